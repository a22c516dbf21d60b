"""Rows a second of the contract check, beside a bare polars pass over every value of the same frame."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl
import polars.selectors as cs

from benchmarks.tables import Section
from benchmarks.traces import Level, simulate
from schemas.columns import REQUEST_TRACES
from schemas.contracts import POLARS_TYPES, split_request_traces

REPEATS = 3
CHUNKS = 32
BAD_EVERY = 100


@dataclass(frozen=True)
class Row:
    """One frame, best of REPEATS. `over_scan`: time of the check / time of the bare pass."""

    frame: str
    rows: int
    gaps_per_row: float
    bad_rows: int
    split_s: float
    scan_s: float
    rows_per_s: int
    over_scan: float


def run(quick: bool) -> list[Section]:
    """Clean rows, and one in a hundred that breaks the contract."""
    clean = frame(rows=100_000 if quick else 1_000_000)
    rows = [measure("clean", clean, 0), measure("1 % bad", spoiled(clean), -(-clean.height // BAD_EVERY))]
    title = f"contract check of request_traces, beside one polars pass over all values (best of {REPEATS})"
    return [Section("contract", title, rows)]


def frame(rows: int) -> pl.DataFrame:
    """About `rows` healthy requests of one level, as landing reads them."""
    table = simulate(Level(index=1, concurrency=64, gaps=rows * (CHUNKS - 1), mean_chunks=CHUNKS))
    types: dict[Any, pl.DataType] = {column.name: POLARS_TYPES[column.type] for column in REQUEST_TRACES.columns}
    rows_frame = pl.from_arrow(table)
    assert isinstance(rows_frame, pl.DataFrame)
    return rows_frame.cast(types).rechunk()


def spoiled(clean: pl.DataFrame) -> pl.DataFrame:
    """Every BAD_EVERY-th row breaks one rule, four rules in turn."""
    number = pl.int_range(pl.len())

    def broken(name: str, kind: int, value: pl.Expr) -> pl.Expr:
        return pl.when(number % (4 * BAD_EVERY) == kind * BAD_EVERY).then(value).otherwise(pl.col(name)).alias(name)

    return clean.with_columns(
        broken("outcome", 0, pl.lit("unheard of")),
        broken("closed_ns", 1, pl.col("sent_ns") - 1),
        broken("cached_input_tokens", 2, pl.col("input_tokens") + 1),
        broken("output_tokens", 3, pl.lit(0, pl.Int64)),
    )


def measure(name: str, rows: pl.DataFrame, bad_rows: int) -> Row:
    """Time the check. Raises RuntimeError where it finds another number of bad rows than were planted."""
    found = split_request_traces(rows)
    if (found.good.height, found.bad.height) != (rows.height - bad_rows, bad_rows):
        raise RuntimeError(f"{name}: {found.bad.height} of {rows.height} rows were rejected, {bad_rows} were planted")
    del found
    split_s = best_s(lambda: split_request_traces(rows))
    scan_s = best_s(lambda: scan(rows))
    return Row(
        frame=name,
        rows=rows.height,
        gaps_per_row=float(rows["gaps_us"].list.len().sum()) / rows.height,
        bad_rows=bad_rows,
        split_s=split_s,
        scan_s=scan_s,
        rows_per_s=round(rows.height / split_s),
        over_scan=split_s / scan_s,
    )


def scan(rows: pl.DataFrame) -> pl.DataFrame:
    """Touch every value once."""
    return rows.select(
        cs.numeric().sum(),
        cs.boolean().sum(),
        cs.temporal().max(),
        cs.string().str.len_bytes().sum(),
        cs.list().explode().cast(pl.Int64).sum(),
    )


def best_s(work: Callable[[], object]) -> float:
    """Seconds of the fastest of REPEATS calls."""
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
