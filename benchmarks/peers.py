"""AIPerf and GuideLLM beside our client: what they say of the reference endpoint, and what its log says.

    python -m benchmarks peers

They are installed on the first call into virtual environments of their own, below `.bench-peers/` or the folder that
the environment variable BENCH_PEERS names: gigabytes. Nothing here touches the environment of the project.
"""

import tempfile
from pathlib import Path

import polars as pl

from benchmarks import client, endpoint
from benchmarks.clients import Streams
from benchmarks.peer_tools import PEERS, Told, environment
from benchmarks.tables import Section
from benchmarks.tokenizer import make_tokenizer

STREAMS, ROUNDS = 256, 5
NOTES = (
    "guidellm keeps one ITL a request, its mean: its p99 is compared with that of the true means of the requests",
    "CPU is left out for the peers: they are many processes that wait busily",
)


def run(quick: bool) -> list[Section]:
    """Our client, then each peer that can be installed and run; the others' notes say why not."""
    load = Streams(64, 128) if quick else Streams(STREAMS, ROUNDS * STREAMS)
    ours = client.table([(load.streams, ("ratecard",))], load.requests // load.streams)
    rows, notes = [*ours.rows], [*NOTES]
    for name in PEERS:
        try:
            rows.append(measure(name, load))
        except RuntimeError as error:
            notes.append(f"{name} is left out: {error}")
    return [Section("peers", "other tools beside the reference endpoint's kernel stamps", rows, tuple(notes))]


def measure(name: str, load: Streams) -> client.Row:
    """Run one tool, installed if it is not. Raises RuntimeError where it cannot be installed, or failed."""
    home = environment(name)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tokenizer = make_tokenizer(folder / "tokenizer")
        with endpoint.reference(folder) as url:
            told = PEERS[name].run(home, url.removesuffix("/v1"), load, tokenizer, folder)
        truth = endpoint.truth(folder)
    if not told.requests == truth.height == load.requests:
        raise RuntimeError(f"{told.requests} of {load.requests} requests in its results, {truth.height} in the log")
    return row(f"{name} {told.version}", load, told, truth)


def row(name: str, load: Streams, told: Told, truth: pl.DataFrame) -> client.Row:
    """A line of the table; `truth` as `endpoint.truth` gives it."""
    gaps = truth["gaps_ms"].list.mean() if told.itl_by_request else truth["gaps_ms"].explode()
    true_ttft_ms = float(truth["ttft_ms"].mean())  # type: ignore[arg-type]
    return client.Row(
        client=name,
        streams=load.streams,
        requests=told.requests,
        true_ttft_ms=true_ttft_ms,
        client_ttft_ms=told.ttft_mean_ms,
        ttft_error_ms=told.ttft_mean_ms - true_ttft_ms,
        ttft_p99_error_ms=told.ttft_p99_ms - _p99(truth["ttft_ms"]),
        itl_p99_error_ms=told.itl_p99_ms - _p99(gaps),
        cpu_us_per_token=None,
        cpu_vs_bare=None,
        cpu_vs_httpx=None,
        merged_share=None,
        cpu_share=None,
        loop_lag_p99_ms=None,
    )


def _p99(values: pl.Series) -> float:
    return float(values.quantile(0.99, "linear"))  # type: ignore[arg-type]
