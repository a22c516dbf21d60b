"""Result files made up to the formats of other tools, and the way from a file to what landed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.catalog import Catalog
from schemas.catalog.endpoints import Endpoint
from tests.traces import starter
from warehouse import manifests
from warehouse.home import Home
from warehouse.importers.land import Outcome, land
from warehouse.importers.levels import Said
from warehouse.importers.readers import read

DATA = Path(__file__).parents[4] / "shared" / "data"
real = pytest.mark.skipif(not DATA.exists(), reason="the real result files are not here")
BEGAN_NS = 1_795_166_448_000_000_000  # 2026-11-20T09:20:48Z
MS = 1_000_000
ENDPOINT = Endpoint(url="http://imported.invalid", model="-").model_dump(mode="json") | {"model": None}


def aiperf_record(index: int = 0, **changes: Any) -> dict[str, Any]:
    """Request `index` of 2 in flight, each 100 ms: first token after 40 ms, three more 20 ms apart."""
    start = BEGAN_NS + (index // 2) * 100 * MS + (index % 2) * 50 * MS
    ms = {
        "time_to_first_token": 40.0,
        "request_latency": 100.0,
        "inter_chunk_latency": [20.0, 20.0, 20.0],
    } | changes.pop("ms", {})
    unit = changes.pop("unit", "ms")
    metadata = {
        "x_request_id": f"id-{index}", "benchmark_phase": "profiling", "request_start_ns": start, "request_ack_ns": start + 39 * MS,
        "request_end_ns": start + 100 * MS, "was_cancelled": False, "session_num": index,
    } | changes.pop("metadata", {})  # fmt: skip
    counts = {"input_sequence_length": 50, "output_sequence_length": 4}
    metrics = {name: {"value": value, "unit": unit} for name, value in ms.items()}
    metrics |= {name: {"value": value, "unit": "tokens"} for name, value in counts.items()}
    return {"metadata": metadata, "metrics": metrics, "a_new_field": {"of": "a later version"}} | changes


def jsonl(path: Path, *records: Any) -> Path:
    """Records, or bare strings, a line each."""
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return path


def aiperf_summary(requests: int = 40, **changes: Any) -> dict[str, Any]:
    """What AIPerf says of `requests` such records: two in flight for 2.05 s."""
    return {
        "aiperf_version": "0.13.0", "benchmark_id": "b1", "start_time": "2026-11-20T09:20:48",
        "request_count": {"unit": "requests", "avg": requests}, "benchmark_duration": {"unit": "sec", "avg": 2.05},
        "request_throughput": {"unit": "requests/sec", "avg": requests / 2.05},
        "time_to_first_token": {"unit": "ms", "avg": 40.0, "p50": 40.0, "max": 40.0},
        "request_latency": {"unit": "ms", "avg": 100.0, "p50": 100.0, "max": 100.0},
        "inter_token_latency": {"unit": "ms", "avg": 20.0, "p50": 20.0, "max": 20.0},
        "output_sequence_length": {"unit": "tokens", "avg": 4.0}, "input_sequence_length": {"unit": "tokens", "avg": 50.0},
        "input_config": {
            "models": {"items": [{"name": "llama"}]}, "endpoint": {"type": "chat", "urls": ["http://u:secret@host:1"]},
            "datasets": [{"prompts": {"isl": {"mean": 50}, "osl": {"mean": 4}}}],
            "phases": [{"kind": "profiling", "concurrency": 2}],
        },
    } | changes  # fmt: skip


def vllm_result(**changes: Any) -> dict[str, Any]:
    """Concurrency 16, 160 requests of 1000 and 100 tokens in 40 s: 4 a second, each 4 s."""
    return {
        "date": "20260214-142343", "model_id": "org/model", "num_prompts": 160, "request_rate": "inf", "max_concurrency": 16,
        "duration": 40.0, "completed": 160, "total_input_tokens": 160_000, "total_output_tokens": 16_000,
        "request_throughput": 4.0, "output_throughput": 400.0, "total_token_throughput": 4400.0, "request_goodput:": None,
        "mean_ttft_ms": 1030.0, "median_ttft_ms": 1000.0, "p99_ttft_ms": 2000.0, "mean_tpot_ms": 30.0, "median_tpot_ms": 30.0,
        "mean_itl_ms": 30.0, "median_itl_ms": 29.0, "mean_e2el_ms": 4000.0, "median_e2el_ms": 3990.0, "a_new_field": {},
    } | changes  # fmt: skip


def sglang_result(**changes: Any) -> dict[str, Any]:
    """The same by SGLang."""
    return {
        "backend": "sglang", "dataset_name": "random", "request_rate": 8.0, "max_concurrency": None, "random_input_len": 1024,
        "random_output_len": 128, "duration": 40.0, "completed": 320, "total_input_tokens": 320_000, "total_output_tokens": 32_000,
        "total_output_tokens_retokenized": 31_990, "request_throughput": 8.0, "input_throughput": 8000.0, "output_throughput": 800.0,
        "mean_e2e_latency_ms": 4000.0, "median_e2e_latency_ms": 3990.0, "mean_ttft_ms": 1030.0, "median_ttft_ms": 1000.0,
        "mean_tpot_ms": 30.0, "median_tpot_ms": 30.0, "mean_itl_ms": 30.0, "median_itl_ms": 29.0, "concurrency": 32.0,
    } | changes  # fmt: skip


def imported(
    home: Home, tool: str, *paths: Path, money: Callable[[str], Catalog] | None = None, **said: Any
) -> list[Outcome]:
    """Read and land `paths`; what cannot be read is raised."""
    home.prepare()
    facts = Said(**{"endpoint": "e", **said})
    levels, errors = read(tool, list(paths), facts)
    if errors:
        raise errors[0]
    return land(home, levels, facts, ENDPOINT, money or (lambda _: starter()))


def rows(home: Home, table: str = "request_traces") -> pl.DataFrame:
    """All landed rows of a table, in order."""
    parts = [
        home.root / part["path"]
        for m in manifests.read_all(home)
        for part in m.parts
        if part["table"] == table and part["path"]
    ]
    return (
        pl.concat([pl.read_parquet(part, glob=False, hive_partitioning=False) for part in parts])
        if parts
        else pl.DataFrame()
    )


def rejected(home: Home) -> list[dict[str, Any]]:
    """What the readers put into quarantine."""
    files = sorted((home.quarantine / "imports").rglob("*.rejected.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]
