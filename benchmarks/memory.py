"""Does a worker's memory stay bounded in a long level? 100,000 requests of 200 tokens, as fast as they go."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import endpoint
from benchmarks.shards import Level, Worked, work
from benchmarks.tables import Section
from loadgen.spec import Shape

STREAMS, OUTPUT_TOKENS = 2, 200
"""Few streams: with many the worker falls behind, and tokens that one late read delivers together leave no gaps."""


@dataclass(frozen=True)
class Row:
    """One level by one worker. `peak_mib` is its peak resident memory; `gaps` are what its rows hold."""

    requests: int
    output_tokens: int
    gaps: int
    seconds: float
    parts: int
    parts_mib: float
    peak_mib: float


def run(quick: bool) -> list[Section]:
    """A level a twentieth as long for comparison, and the whole."""
    sizes = (5_000,) if quick else (5_000, 100_000)
    return [Section("memory", "peak memory of one worker", [measure(requests) for requests in sizes])]


def measure(requests: int) -> Row:
    """Run one level; the endpoint sends without a pause and keeps no log, which would outgrow the client."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with endpoint.reference(folder, ttft_ms=1, itl_ms=0, logs=False) as url:
            worked = work(url, Level(Shape(kind="closed", concurrency=STREAMS), requests, OUTPUT_TOKENS), folder)
        return _row(requests, worked)


def _row(requests: int, worked: Worked) -> Row:
    gaps = tokens = rows = 0
    first_ns, last_ns = [], []
    for part in worked.parts:
        table = pq.read_table(part, columns=["gaps_us", "output_tokens", "sent_ns", "closed_ns"])
        rows += table.num_rows
        gaps += pc.sum(pc.list_value_length(table["gaps_us"])).as_py()
        tokens += pc.sum(table["output_tokens"]).as_py()
        first_ns.append(pc.min(table["sent_ns"]).as_py())
        last_ns.append(pc.max(table["closed_ns"]).as_py())
    if rows != requests or tokens != requests * OUTPUT_TOKENS:
        raise RuntimeError(f"{rows} rows of {tokens} tokens for {requests} requests of {OUTPUT_TOKENS}")
    return Row(
        requests=requests,
        output_tokens=tokens,
        gaps=gaps,
        seconds=(max(last_ns) - min(first_ns)) / 1e9,
        parts=len(worked.parts),
        parts_mib=sum(part.stat().st_size for part in worked.parts) / 2**20,
        peak_mib=worked.usage.peak_mib,
    )
