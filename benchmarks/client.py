"""How true is our client, and what does a token cost it? Against the reference endpoint's log, beside plain httpx.

    python -m benchmarks.client [--streams 64,256] [--seconds 10] [--json]

Each client runs alone, closed loop, against an endpoint that sends the first token after 200 ms and then one every
20 ms. True TTFT is the first token's departure minus the request's arrival, both by the endpoint's kernel stamps.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.tables import Section, as_json, as_text
from loadgen.spec import PromptScale, ShardSpec, Target

TTFT_MS, ITL_MS, OUTPUT_TOKENS, INPUT_TOKENS = 200, 20, 64, 64


@dataclass(frozen=True)
class Timed:
    """One request as somebody saw it, in ms."""

    ttft_ms: float
    gaps_ms: list[float]


@dataclass(frozen=True)
class Row:
    """One line of the table. Errors are the client's figure minus the true one."""

    client: str
    streams: int
    requests: int
    true_ttft_ms: float
    client_ttft_ms: float
    ttft_error_ms: float
    ttft_p99_error_ms: float
    itl_p99_error_ms: float
    cpu_us_per_token: float


Client = Callable[[str, int, float, Path], tuple[dict[str, Timed], float]]
"""(url, streams, seconds, folder) -> requests by prompt hash, CPU seconds of the client's process."""


def ratecard(url: str, streams: int, seconds: float, folder: Path) -> tuple[dict[str, Timed], float]:
    """Run our load generator, one worker process."""
    names = ("run_id", "suite", "endpoint", "workload", "load", "config_hash")
    identity = dict.fromkeys(names, "benchmark") | {"load_kind": "closed", "run_date": "2000-01-01"}
    spec = ShardSpec(
        identity=identity | {"attempt": 1, "level_index": 1, "concurrency": streams},
        target=Target(url=url, api="chat", model="reference"),
        phase="measure",
        shard=0,
        shards=1,
        concurrency=streams,
        warmup_requests=0,
        requests=None,
        duration_s=seconds,
        min_requests=streams,
        max_duration_s=seconds + 60,
        input_tokens=INPUT_TOKENS,
        output_tokens=OUTPUT_TOKENS,
        prompt_scale=PromptScale(),
        seed=streams,
        stop_error_share=0.1,
        part_path=str(folder / "part.parquet"),
    )
    spec.write(folder / "spec.json")
    cpu_s = _run([sys.executable, "-m", "loadgen", str(folder / "spec.json")], folder / "events.jsonl")
    columns = ["prompt_sha256", "sent_ns", "first_token_ns", "gaps_us", "outcome"]
    rows = pq.read_table(spec.part_path, columns=columns).to_pylist()
    return {
        row["prompt_sha256"]: Timed(
            (row["first_token_ns"] - row["sent_ns"]) / 1e6, [gap / 1e3 for gap in row["gaps_us"]]
        )
        for row in rows
        if row["outcome"] == "ok"
    }, cpu_s


def plain_httpx(url: str, streams: int, seconds: float, folder: Path) -> tuple[dict[str, Timed], float]:
    """Run the httpx that everybody has."""
    out = folder / "rows.jsonl"
    arguments = [url, str(streams), str(seconds), str(OUTPUT_TOKENS)]
    cpu_s = _run([sys.executable, "-m", "benchmarks.plain_httpx", *arguments], out)
    rows = map(json.loads, out.read_text().splitlines())
    return {row["prompt_sha256"]: Timed(row["ttft_ms"], row["gaps_ms"]) for row in rows}, cpu_s


CLIENTS: dict[str, Client] = {"ratecard": ratecard, "httpx": plain_httpx}


def measure(name: str, streams: int, seconds: float) -> Row:
    """Run one client against an endpoint of its own and compare. Raises RuntimeError if nothing can be compared."""
    with tempfile.TemporaryDirectory() as folder:
        _, start_up_cpu_s, _ = _observe(name, 1, 0, Path(folder))
        seen, cpu_s, truth = _observe(name, streams, seconds, Path(folder))
    pairs = [(truth[key], seen[key]) for key in seen.keys() & truth.keys()]
    if not pairs:
        raise RuntimeError(f"{name}: none of {len(seen)} requests is among the {len(truth)} of the endpoint's log")
    true_ttft, client_ttft = (np.array([pair[side].ttft_ms for pair in pairs]) for side in (0, 1))
    true_gaps, client_gaps = (np.concatenate([pair[side].gaps_ms for pair in pairs]) for side in (0, 1))
    tokens = sum(1 + len(request.gaps_ms) for request in truth.values())
    return Row(
        client=name,
        streams=streams,
        requests=len(pairs),
        true_ttft_ms=float(true_ttft.mean()),
        client_ttft_ms=float(client_ttft.mean()),
        ttft_error_ms=float(client_ttft.mean() - true_ttft.mean()),
        ttft_p99_error_ms=float(np.quantile(client_ttft, 0.99) - np.quantile(true_ttft, 0.99)),
        itl_p99_error_ms=float(np.quantile(client_gaps, 0.99) - np.quantile(true_gaps, 0.99)),
        # less what the process costs before and after its tokens: interpreter, imports, one request
        cpu_us_per_token=(cpu_s - start_up_cpu_s) / tokens * 1e6,
    )


def _observe(name: str, streams: int, seconds: float, folder: Path) -> tuple[dict[str, Timed], float, dict[str, Timed]]:
    log = folder / "truth.jsonl"
    command = [sys.executable, "-m", "endpoints.reference", "--ttft-ms", str(TTFT_MS), "--itl-ms", str(ITL_MS)]
    command += ["--log", str(log), "--stop-on-stdin-eof"]
    # Leaving the block closes the endpoint's stdin and waits: the log is whole when it is read.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as endpoint:
        assert endpoint.stdout is not None
        ready = json.loads(endpoint.stdout.readline())
        seen, cpu_s = CLIENTS[name](ready["url"], streams, seconds, folder)
    records = map(json.loads, log.read_text().splitlines())
    return seen, cpu_s, {record["prompt_sha256"]: _true(record["received_ns"], record["sent_ns"]) for record in records}


def _true(received_ns: int, sent_ns: list[int]) -> Timed:
    gaps = [(later - earlier) / 1e6 for earlier, later in pairwise(sent_ns)]
    return Timed((sent_ns[0] - received_ns) / 1e6, gaps)


def _run(command: list[str], output: Path) -> float:
    """Run a client to its end; its CPU seconds, user and system. Raises RuntimeError if it failed."""
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} exited {process.returncode}: {output.read_text()[-500:]}")
    return usage.ru_utime + usage.ru_stime


def run(quick: bool) -> list[Section]:
    """64 and 256 streams, or a short look at 64."""
    return [compare([64], 3) if quick else compare([64, 256], 10)]


def compare(streams: Sequence[int], seconds: float) -> Section:
    """Each client at each number of streams."""
    rows = [measure(name, count, seconds) for count in streams for name in CLIENTS]
    return Section("client", "clients beside the reference endpoint's kernel stamps", rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.client", description="TTFT, ITL and CPU of clients.")
    parser.add_argument("--streams", default="64,256", help="concurrent streams, a list")
    parser.add_argument("--seconds", type=float, default=10, help="length of each run")
    parser.add_argument("--json", action="store_true", help="a list of row objects instead of a table")
    options = parser.parse_args()
    section = compare(list(map(int, options.streams.split(","))), options.seconds)
    print(json.dumps(as_json(section)) if options.json else as_text(section))


if __name__ == "__main__":
    main()
