"""`ratecard import aiperf`, landing and contract included, beside a bare line-by-line orjson read of the same file."""

import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.contract import best_s
from benchmarks.tables import Section
from schemas.catalog import Catalog
from schemas.catalog.endpoints import Endpoint
from warehouse.home import Home
from warehouse.importers.land import land
from warehouse.importers.levels import Said
from warehouse.importers.readers import read

CONCURRENCY = 32
CHUNKS = 100
_BEGAN_NS = 1_795_166_448_000_000_000
_UNUSED = (
    "http_req_connection_reused", "http_req_data_sent", "decode_duration", "usage_total_tokens", "http_req_connection_overhead",
    "http_req_dns_lookup", "http_req_connecting", "osl_mismatch_diff_pct", "output_token_throughput_per_user", "http_req_waiting",
    "inter_token_latency", "http_req_duration", "prefill_throughput_per_user", "http_req_chunks_received", "e2e_output_token_throughput",
    "http_req_total", "http_req_receiving", "http_req_chunks_sent", "output_token_count", "time_to_second_token", "http_req_sending",
    "http_req_blocked",
)  # fmt: skip
"""Metrics of a record of AIPerf 0.13 that are read past."""


@dataclass(frozen=True)
class Row:
    """One file. `over_bare`: time of the import / time of the bare read."""

    requests: int
    file_mib: float
    import_s: float
    bare_s: float
    requests_per_s: int
    over_bare: float


def run(quick: bool) -> list[Section]:
    """One file of AIPerf 0.13's shape: 3.6 kB a record, 100 chunks each."""
    with tempfile.TemporaryDirectory(prefix="ratecard-bench-") as folder:
        path = Path(folder) / "profile_export.jsonl"
        requests = 10_000 if quick else 50_000
        _write(path, requests)
        row = _measure(path, requests, Path(folder))
    return [
        Section("importing", "import of AIPerf records, beside a bare line-by-line orjson read (best of 3 each)", [row])
    ]


def _measure(path: Path, requests: int, folder: Path) -> Row:
    homes = (Home(folder / f"home-{number}") for number in range(100))
    seconds = []
    for home in [next(homes) for _ in range(3)]:
        home.prepare()
        started = time.perf_counter()
        said = Said("benchmark", concurrency=CONCURRENCY)
        endpoint = Endpoint(url="http://benchmark.invalid", model="benchmark").model_dump(mode="json")
        (outcome,) = land(home, read("aiperf", [path], said)[0], said, endpoint, lambda _: Catalog())
        seconds.append(time.perf_counter() - started)
        if (outcome.status, outcome.requests) != ("landed", requests):
            raise RuntimeError(f"{outcome.status}: {outcome.requests} of {requests} requests landed: {outcome.message}")
    bare = best_s(lambda: _bare(path))
    return Row(
        requests, path.stat().st_size / 2**20, min(seconds), bare, round(requests / min(seconds)), min(seconds) / bare
    )


def _bare(path: Path) -> None:
    with path.open("rb") as file:
        for line in file:
            orjson.loads(line)


def _write(path: Path, requests: int) -> None:
    """Records of a closed loop: 200 ms to the first token, then 20 ms a token with some jitter."""
    rng = random.Random(1)
    with path.open("wb") as file:
        for index in range(requests):
            file.write(orjson.dumps(_record(index, rng)) + b"\n")


def _record(index: int, rng: random.Random) -> dict[str, Any]:
    gaps = [20 * rng.uniform(0.8, 1.2) for _ in range(CHUNKS - 1)]
    latency = 200.0 + sum(gaps)
    start = _BEGAN_NS + (index // CONCURRENCY) * 2_200_000_000 + (index % CONCURRENCY) * 1_000_000
    times = {
        "time_to_first_token": 200.0,
        "time_to_first_output_token": 200.0,
        "request_latency": latency,
        "inter_chunk_latency": gaps,
    }
    counts = {
        "usage_prompt_tokens": 84,
        "usage_completion_tokens": CHUNKS,
        "input_sequence_length": 84,
        "output_sequence_length": CHUNKS,
    }
    return {
        "metadata": {
            "session_num": index, "x_request_id": f"{rng.getrandbits(128):032x}", "x_correlation_id": f"{rng.getrandbits(128):032x}",
            "conversation_id": f"{rng.getrandbits(128):032x}", "turn_index": 0, "credit_issued_ns": start - 500_000,
            "request_start_ns": start, "request_ack_ns": start + 199_000_000, "request_end_ns": start + round(latency * 1e6),
            "worker_id": "worker_85f55508", "record_processor_id": "record_processor_79b0e736", "benchmark_phase": "profiling",
            "was_cancelled": False,
        },
        "metrics": {
            **{name: {"value": rng.random() * 1000, "unit": "ms"} for name in _UNUSED},
            **{name: {"value": value, "unit": "ms"} for name, value in times.items()},
            **{name: {"value": value, "unit": "tokens"} for name, value in counts.items()},
            "http_req_data_received": {"value": 19.177734375, "unit": "KB"},
        },
    }  # fmt: skip
