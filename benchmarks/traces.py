"""Trace rows by the million: simulated closed-loop streams as Arrow tables that keep the contract.

A stream's gaps are an engine step of 8 ms + 0.15 ms a concurrent stream with 5 % jitter, and one step in 50 that
waited for another request's prompt: the spread that decides how well gaps pack and how far a histogram folds them.
"""

import heapq
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.arrow import arrow_schema, arrow_type
from schemas.columns import REQUEST_TRACES, TRACE_SCHEMA_VERSION

Integers = npt.NDArray[np.int64]

RUN_DATE = "2000-01-01"
IDENTITY: dict[str, Any] = dict.fromkeys(
    ("run_id", "suite", "endpoint", "workload", "load", "config_hash", "client_version", "model"), "benchmark"
) | {"attempt": 1, "api": "chat", "run_date": RUN_DATE}
_CLOCK_BEGAN = datetime(2026, 1, 1)
_STREAM_ENDS_NS, _THINKS_NS, _STARTS_APART_NS = 100_000, 300_000, 5_000_000


@dataclass(frozen=True)
class Level:
    """A load level to simulate: about `gaps` token gaps, in answers of `mean_chunks` chunks on average.

    `is_weighted`: a chunk brings 1 to 4 tokens and says how many, as speculative decoding does; else one token a
    chunk, which needs no list of weights.
    """

    index: int
    concurrency: int
    gaps: int
    mean_chunks: int
    is_weighted: bool = False


def simulate(level: Level) -> pa.Table:
    """Requests of `level` with the columns of `request_traces`, in the order in which they were sent; seeded."""
    rng = np.random.default_rng(level.index)
    requests = max(2 * level.concurrency, round(level.gaps / (level.mean_chunks - 1)))
    chunks = _lengths(rng, requests, level.mean_chunks)
    gaps_us = _gaps_us(rng, int((chunks - 1).sum()), level.concurrency)
    columns = _constants(level) | {"request_index": np.arange(requests), "token_chunks": chunks, "reads": chunks + 1}
    columns |= _times(rng, level.concurrency, chunks, gaps_us) | _tokens(rng, level, chunks)
    columns |= {"gaps_us": _lists(chunks - 1, gaps_us), "response_bytes": 250 * chunks}
    columns |= {name: _hashes(rng, requests) for name in ("prompt_sha256", "text_sha256")}
    return _table(columns, requests)


def _lengths(rng: np.random.Generator, requests: int, mean: int) -> Integers:
    lengths = rng.lognormal(np.log(mean) - 0.5**2 / 2, 0.5, requests)
    return np.clip(np.rint(lengths), 2, 8 * mean).astype(np.int64)


def _gaps_us(rng: np.random.Generator, count: int, concurrency: int) -> Integers:
    gaps = rng.normal(1, 0.05, count)
    waited = rng.random(count) < 0.02
    gaps[waited] += rng.exponential(2, int(waited.sum()))
    return np.maximum(gaps * (8000 + 150 * concurrency), 1).astype(np.int64)


def _times(rng: np.random.Generator, concurrency: int, chunks: Integers, gaps_us: Integers) -> dict[str, Any]:
    ttft_ns = rng.gamma(8, 10e6 + 0.5e6 * concurrency, len(chunks)).astype(np.int64)
    streaming_ns = np.add.reduceat(gaps_us, np.cumsum(chunks - 1) - (chunks - 1)) * 1000
    held_ns = ttft_ns + streaming_ns + _STREAM_ENDS_NS
    sent = _sent_ns(held_ns + _THINKS_NS, concurrency)
    first = sent + ttft_ns
    return {
        "scheduled_ns": sent,
        "sent_ns": sent,
        "headers_ns": first - 1_000_000,
        "first_chunk_ns": first,
        "first_token_ns": first,
        "first_answer_ns": first,
        "last_token_ns": first + streaming_ns,
        "closed_ns": sent + held_ns,
    }


def _sent_ns(taken_ns: Integers, concurrency: int) -> Integers:
    """When each request is sent: as soon as one of the slots is free of the request that it took before."""
    free_at = [slot * _STARTS_APART_NS for slot in range(concurrency)]
    return np.array([heapq.heapreplace(free_at, free_at[0] + taken) for taken in taken_ns.tolist()])


def _tokens(rng: np.random.Generator, level: Level, chunks: Integers) -> dict[str, Any]:
    inputs = rng.integers(200, 300, len(chunks))
    columns: dict[str, Any] = {
        "input_tokens": inputs,
        "target_input_tokens": inputs,
        "chunk_token_source": "chunk_mean",
    }
    output = chunks
    if level.is_weighted:
        weights = rng.integers(1, 5, int(chunks.sum()))
        output = np.add.reduceat(weights, np.cumsum(chunks) - chunks)
        columns |= {"chunk_tokens": _lists(chunks, weights), "chunk_token_source": "usage"}
    return columns | {"output_tokens": output, "target_output_tokens": output}


def _constants(level: Level) -> dict[str, Any]:
    return IDENTITY | {
        "run_date": date.fromisoformat(RUN_DATE),
        "level_index": level.index,
        "load_kind": "closed",
        "concurrency": level.concurrency,
        "shard": 0,
        "phase": "measure",
        "schema_version": TRACE_SCHEMA_VERSION,
        "epoch_wall_at": _CLOCK_BEGAN,
        "clock_source": "kernel",
        "clock_suspect": False,
        "merged_reads": 0,
        "first_token_merged": False,
        "outcome": "ok",
        "http_status": 200,
        "finish_reason": "length",
        "cached_input_tokens": 0,
        "input_token_source": "usage",
        "output_token_source": "usage",
    }


def _lists(lengths: Integers, values: Integers) -> Any:
    type_: Any = arrow_type("INTEGER[]")
    offsets: Any = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(values.astype(np.int32)), type=type_)


def _hashes(rng: np.random.Generator, count: int) -> list[str]:
    digits = rng.bytes(32 * count).hex()
    return [digits[start : start + 64] for start in range(0, len(digits), 64)]


def _table(columns: dict[str, Any], rows: int) -> pa.Table:
    """Columns of `request_traces`: arrays as they are, one value for all rows repeated, null where not given."""
    schema = arrow_schema(REQUEST_TRACES)
    return pa.table([_column(columns.get(field.name), field.type, rows) for field in schema], schema=schema)


def _column(value: Any, type_: Any, rows: int) -> Any:
    if value is None:
        return pa.nulls(rows, type_)
    if isinstance(value, pa.Array):
        return value
    if isinstance(value, np.ndarray):
        return pa.array(value).cast(type_)
    if isinstance(value, list):
        return pa.array(value, type_)
    constant: Any = pa.scalar(value, type_)
    return pa.repeat(constant, rows)
