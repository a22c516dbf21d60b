"""Healthy rows that keep the contracts, and parts and runs made of them."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from schemas.catalog import Catalog
from schemas.catalog_files import load
from schemas.columns import REQUEST_TRACES, TRACE_SCHEMA_VERSION, Table
from schemas.contracts import POLARS_TYPES
from warehouse import runs
from warehouse.home import Home

STARTER = Path(__file__).parents[1] / "catalog"
MS = 1_000_000


def row(index: int = 0, **changes: Any) -> dict[str, Any]:
    """Request `index`, sent after `index` seconds: first token after 100 ms, three more 20 ms apart."""
    sent = index * 1000 * MS
    return {
        "run_id": "r", "attempt": 1, "suite": "s", "endpoint": "e", "workload": "w", "load": "l",
        "run_date": date(2026, 11, 20), "level_index": 1, "load_kind": "closed", "concurrency": 1,
        "request_rate": None, "shard": 0, "request_index": index, "phase": "measure", "model": "m", "api": "chat",
        "config_hash": "c", "client_version": "0", "schema_version": TRACE_SCHEMA_VERSION, "transport": "socket",
        "conversation_index": None, "turn_index": None, "prefix_group": None, "epoch_wall_at": datetime(2026, 11, 20, 2),
        "clock_source": "kernel", "clock_suspect": False, "reads": 4, "merged_reads": 0, "first_token_merged": False,
        "scheduled_ns": sent, "sent_ns": sent, "headers_ns": sent + 99 * MS, "first_chunk_ns": sent + 100 * MS,
        "first_token_ns": sent + 100 * MS, "first_answer_ns": sent + 100 * MS, "last_token_ns": sent + 160 * MS,
        "closed_ns": sent + 161 * MS, "connect_ns": None, "outcome": "ok", "http_status": 200,
        "finish_reason": "length", "error": None, "input_tokens": 64, "cached_input_tokens": 0, "output_tokens": 4,
        "reasoning_tokens": None, "input_token_source": "usage", "output_token_source": "usage",
        "target_input_tokens": 64, "target_output_tokens": 4, "token_chunks": 4, "gaps_us": [20_000] * 3,
        "chunk_tokens": None, "chunk_token_source": "chunk_mean", "response_bytes": 800, "prompt_sha256": "p",
        "text_sha256": "t",
    } | changes  # fmt: skip


def health(second: int = 1, **changes: Any) -> dict[str, Any]:
    """A second of a worker that was well."""
    return {
        "run_id": "r", "attempt": 1, "endpoint": "e", "run_date": date(2026, 11, 20), "level_index": 1, "shard": 0,
        "sampled_at": datetime(2026, 11, 20, 2) + timedelta(seconds=second), "elapsed_s": float(second), "in_flight": 1,
        "sent": second, "done": second - 1, "late_sends": 0, "merged_reads": 0, "reads": 4, "loop_lag_p50_ms": 0.1,
        "loop_lag_p99_ms": 0.2, "loop_lag_max_ms": 0.3, "read_lag_p99_ms": 0.1, "cpu_share": 0.1,
        "connections_open": 1, "connections_opened": 1, "requests_on_reused": second, "tcp_rtt_ms": 0.5,
        "clock_step_ms": 0.0, "rss_mib": 100.0,
    } | changes  # fmt: skip


def scrape(second: int = 1, **changes: Any) -> dict[str, Any]:
    """A scrape of an engine with one request."""
    return {
        "run_id": "r", "attempt": 1, "endpoint": "e", "run_date": date(2026, 11, 20), "level_index": 1,
        "scraped_at": datetime(2026, 11, 20, 2) + timedelta(seconds=second), "elapsed_s": float(second),
        "source": "vllm", "requests_running": 1.0, "requests_waiting": 0.0, "kv_cache_usage": 0.5,
        "prefix_cache_hit_share": None, "prefix_cache_queries": 100.0 * second, "prefix_cache_hits": 25.0 * second,
        "prompt_tokens": 64.0 * second, "generation_tokens": 4.0 * second, "requests_finished": float(second),
        "preemptions": 0.0, "scrape_ms": 2.0,
    } | changes  # fmt: skip


def frame(*rows: dict[str, Any], table: Table = REQUEST_TRACES) -> pl.DataFrame:
    """Rows as the contract's frame."""
    return pl.DataFrame(list(rows), schema={c.name: POLARS_TYPES[c.type] for c in table.columns})


def of_version_1(*rows: dict[str, Any]) -> pl.DataFrame:
    """Rows as the first version of the contract had them."""
    return frame(*(row | {"schema_version": 1} for row in rows)).drop(
        "transport", "conversation_index", "turn_index", "prefix_group"
    )


PLAN: dict[str, Any] = {
    "run_id": "r", "attempt": 1, "suite": "s", "endpoint": "e", "workload": "w", "load": "l",
    "night": "2026-11-20T02:00:00", "run_date": "2026-11-20", "config_hash": "c", "client_version": "0",
    "target": {"url": "http://user:secret@localhost:1/v1", "api": "chat", "model": "m"},
    "endpoint_config": {
        "engine": None, "engine_version": None, "precision": None, "accelerator": "cpu", "gpus_per_instance": 1,
        "gpus_per_server": 1, "instances_measured": 1, "role": "aggregated", "quality_score": None,
        "quality_source": None, "memory_gib_per_gpu": None,
    },
    "workload_config": {"input_tokens": 64, "output_tokens": 4},
    "levels": [{"level_index": 1, "concurrency": 1}, {"level_index": 2, "concurrency": 2}],
}  # fmt: skip

LEVEL: dict[str, Any] = {
    "level_index": 1, "load_kind": "closed", "concurrency": 1, "request_rate": None, "status": "complete",
    "failure": None, "client_cpu_share": 0.1, "loop_lag_p99_ms": 0.2,
}  # fmt: skip


def starter() -> Catalog:
    """The catalog that ships."""
    return load(STARTER)


def begin(home: Home, **changes: Any) -> runs.RunFolder:
    """An open run of PLAN."""
    home.prepare()
    return runs.begin(home, json.loads(json.dumps(PLAN)) | changes, starter())


def write_part(folder: runs.RunFolder, *rows: dict[str, Any], level: int = 1, shard: int = 0) -> Path:
    """A part in `incoming/`, as a worker leaves it."""
    path = folder.path / f"a{folder.run()['attempt']}-l{level:03d}-s{shard:03d}.parquet"
    frame(*rows).write_parquet(path)
    return path


def land(home: Home, *rows: dict[str, Any], **changes: Any) -> Path:
    """A whole closed run of one level; returns its manifest."""
    folder = begin(home, **changes)
    identity = {name: folder.run()[name] for name in ("run_id", "attempt", "endpoint", "workload")}
    write_part(folder, *(r | identity for r in rows))
    folder.land_level(LEVEL)
    return folder.close("complete", None)
