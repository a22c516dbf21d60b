"""pandera contracts on eager polars frames, derived from `schemas.columns`, and the checks across columns.

A lazy frame would be checked for its columns only, silently: `split` takes eager frames. Each cross-field rule hangs
on the column that it accuses, so that the quarantine's reason names column, check and value.

One expression of all rules finds the rows that break any, in one pass; pandera says of those rows why.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors

from schemas.columns import (
    CHUNK_TOKEN_SOURCES,
    CLIENT_HEALTH,
    CLOCK_SOURCES,
    ENGINE_PAGES,
    IMPORT_TOOLS,
    LATENCY_METRICS,
    OUTCOMES,
    PHASES,
    REQUEST_TRACES,
    SERVER_METRICS,
    STATISTICS,
    SUMMARY_POINTS,
    TOKEN_SOURCES,
    TRANSPORTS,
    Table,
)
from schemas.errors import PartRefusedError

POLARS_TYPES: dict[str, pl.DataType] = {
    "VARCHAR": pl.String(),
    "INTEGER": pl.Int32(),
    "BIGINT": pl.Int64(),
    "DOUBLE": pl.Float64(),
    "BOOLEAN": pl.Boolean(),
    "TIMESTAMP": pl.Datetime("us"),
    "DATE": pl.Date(),
    "INTEGER[]": pl.List(pl.Int32()),
}

_ORDER = (
    "scheduled_ns",
    "sent_ns",
    "headers_ns",
    "first_chunk_ns",
    "first_token_ns",
    "first_answer_ns",
    "last_token_ns",
    "closed_ns",
)
_OK = pl.col("outcome") == "ok"
_IMPORTED = pl.col("clock_source") == "imported"
"""Other tools keep less of a request: what they never say is null in their rows, and in theirs alone."""
_ALWAYS_OURS = (
    "reads", "merged_reads", "first_token_merged", "scheduled_ns", "target_input_tokens", "target_output_tokens",
    "token_chunks", "gaps_us", "response_bytes", "prompt_sha256",
)  # fmt: skip
_COUNTS = (
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "token_chunks",
    "merged_reads",
    "reads",
)


@dataclass(frozen=True)
class _Rule:
    """What must hold of a column: as pandera checks it, and as an expression that is true of the rows which keep it.

    The expression may be false of a row that keeps the rule: pandera has the last word. Null: nothing to compare.
    """

    check: pa.Check
    good: Callable[[str], pl.Expr]


def _rule(name: str, good: pl.Expr) -> _Rule:
    """A rule over whole rows: `good` is true, or null where there is nothing to compare."""

    def check(data: pa.PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(good.fill_null(True).alias("check_output"))

    return _Rule(pa.Check(check, name=name), lambda _: good)


def _isin(values: Iterable[str]) -> _Rule:
    return _Rule(pa.Check.isin(values), lambda column: pl.col(column).is_in(list(values)))


def _at_least(least: float | datetime, name: str | None = None) -> _Rule:
    check = pa.Check.ge(least, name=name) if name else pa.Check.ge(least)
    return _Rule(check, lambda column: pl.col(column) >= least)


def _above(limit: float) -> _Rule:
    return _Rule(pa.Check.gt(limit), lambda column: pl.col(column) > limit)


def _within(least: float, most: float) -> _Rule:
    return _Rule(pa.Check.in_range(least, most), lambda column: pl.col(column).is_between(least, most))


_CLOCK_SET = _at_least(datetime(2020, 1, 1), name="clock_set")


def _earlier(position: int) -> pl.Expr:
    """The latest known time among the steps before `position`."""
    return pl.max_horizontal(*_ORDER[:position])


def _unique_in_grain(table: Table) -> _Rule:
    """No two rows of one grain. Where its last column alone tells rows apart, as in most parts, the rest is not looked at."""
    last, whole = pl.col(table.grain[-1]), pl.struct(list(table.grain))

    def check(data: pa.PolarsData) -> pl.LazyFrame:
        suspects = data.lazyframe.select(last.is_duplicated().any()).collect().item()
        unique = whole.is_first_distinct() if suspects else pl.repeat(True, pl.len())
        return data.lazyframe.select(unique.alias("check_output"))

    return _Rule(pa.Check(check, name="unique_in_grain"), lambda _: last.n_unique() == pl.len())


def _trace_rules() -> dict[str, list[_Rule]]:
    gaps, chunks = pl.col("gaps_us"), pl.col("chunk_tokens")
    span_us = (pl.col("last_token_ns") - pl.col("first_token_ns")) / 1000
    rules: dict[str, list[_Rule]] = {
        "outcome": [_isin(OUTCOMES)],
        "phase": [_isin(PHASES)],
        "load_kind": [_isin(("closed", "open"))],
        "clock_source": [_isin(CLOCK_SOURCES)],
        "input_token_source": [_isin(TOKEN_SOURCES), _rule("known_if_counted", pl.col("input_tokens").is_null() | pl.col("input_token_source").is_not_null())],
        "output_token_source": [_isin(TOKEN_SOURCES), _rule("known_if_counted", pl.col("output_tokens").is_null() | pl.col("output_token_source").is_not_null())],
        "chunk_token_source": [_isin(CHUNK_TOKEN_SOURCES)],
        "http_status": [_within(100, 599)],
        "epoch_wall_at": [_CLOCK_SET],
        "concurrency": [_rule("closed_loop_has_concurrency", (pl.col("load_kind") != "closed") | (pl.col("concurrency").fill_null(0) > 0))],
        "request_rate": [_rule("open_loop_has_rate", (pl.col("load_kind") != "open") | (pl.col("request_rate").fill_null(0) > 0))],
        "request_index": [_at_least(0), _unique_in_grain(REQUEST_TRACES)],
        "transport": [_isin(TRANSPORTS)],
        "conversation_index": [_at_least(0), _rule("iff_turn", pl.col("conversation_index").is_not_null() == pl.col("turn_index").is_not_null())],
        "turn_index": [_at_least(0)],
        "prefix_group": [_at_least(0)],
        "connect_ns": [_at_least(0)],
        "first_token_ns": [
            _rule("iff_token_chunks", pl.col("first_token_ns").is_not_null() == (pl.col("token_chunks") > 0)),
            _rule("ok_has_a_token", ~_OK | pl.col("first_token_ns").is_not_null()),
        ],
        "last_token_ns": [_rule("iff_first_token", pl.col("last_token_ns").is_not_null() == pl.col("first_token_ns").is_not_null())],
        "sent_ns": [_rule("ok_was_sent", ~_OK | pl.col("sent_ns").is_not_null())],
        "finish_reason": [_rule("ok_has_a_finish_reason", ~_OK | pl.col("finish_reason").is_not_null() | _IMPORTED)],
        "cached_input_tokens": [_rule("within_input", pl.col("cached_input_tokens") <= pl.col("input_tokens"))],
        "reasoning_tokens": [_rule("within_output", pl.col("reasoning_tokens") <= pl.col("output_tokens"))],
        "output_tokens": [
            # a chunk with text holds at least one token, a streamed token at least one byte
            _rule("at_least_one_a_chunk", pl.col("output_tokens") >= pl.col("token_chunks")),
            _rule("fits_in_the_stream", pl.col("output_tokens") - pl.col("reasoning_tokens").fill_null(0) <= pl.col("response_bytes")),
        ],
        "gaps_us": [
            _rule("one_fewer_than_chunks", gaps.list.len() == pl.max_horizontal(pl.col("token_chunks") - 1, 0)),
            _rule("not_negative", gaps.list.min() >= 0),
            # each stored gap is a whole microsecond
            _rule("sum_to_last_minus_first", (gaps.list.eval(pl.element().cast(pl.Int64)).list.sum() - span_us).abs() <= gaps.list.len() + 1),
        ],
        "chunk_tokens": [
            _rule("one_a_chunk", chunks.list.len() == pl.col("token_chunks")),
            _rule("not_negative", chunks.list.min() >= 0),
            _rule("within_output", chunks.list.eval(pl.element().cast(pl.Int64)).list.sum() <= pl.col("output_tokens")),
        ],
    }  # fmt: skip
    for name in _COUNTS:
        rules.setdefault(name, []).insert(0, _at_least(0))
    for name in _ALWAYS_OURS:
        rules.setdefault(name, []).append(_rule("null_only_if_imported", pl.col(name).is_not_null() | _IMPORTED))
    for position, name in enumerate(_ORDER):
        if position:
            rules.setdefault(name, []).append(_rule("in_order", pl.col(name) >= _earlier(position)))
    return rules


_HEALTH_COUNTS = (
    "in_flight", "sent", "done", "late_sends", "merged_reads", "reads", "connections_open", "connections_opened",
    "requests_on_reused",
)  # fmt: skip
_HEALTH_FIGURES = ("loop_lag_p50_ms", "loop_lag_p99_ms", "loop_lag_max_ms", "read_lag_p99_ms", "tcp_rtt_ms", "rss_mib")


def _health_rules() -> dict[str, list[_Rule]]:
    rules: dict[str, list[_Rule]] = {
        "elapsed_s": [*_finite("elapsed_s"), _at_least(0), _unique_in_grain(CLIENT_HEALTH)],
        "sampled_at": [_CLOCK_SET],
        "cpu_share": [*_finite("cpu_share"), _at_least(0)],
        "clock_step_ms": _finite("clock_step_ms"),
        **{name: [*_finite(name), _at_least(0)] for name in _HEALTH_FIGURES},
        **{name: [_at_least(0)] for name in _HEALTH_COUNTS},
    }
    rules["done"].append(_rule("sent_before", pl.col("done") <= pl.col("sent")))
    rules["merged_reads"].append(_rule("within_reads", pl.col("merged_reads") <= pl.col("reads")))
    rules["loop_lag_p99_ms"].append(_rule("within_max", pl.col("loop_lag_p99_ms") <= pl.col("loop_lag_max_ms")))
    rules["loop_lag_p50_ms"].append(_rule("within_p99", pl.col("loop_lag_p50_ms") <= pl.col("loop_lag_p99_ms")))
    return rules


_SERVER_SHARES = ("kv_cache_usage", "prefix_cache_hit_share")
_SERVER_AMOUNTS = (
    "requests_running", "requests_waiting", "prefix_cache_queries", "prefix_cache_hits", "prompt_tokens",
    "generation_tokens", "requests_finished", "preemptions", "gpu_power_w", "gpu_energy_mj", "gpu_memory_mib",
    "scrape_ms",
)  # fmt: skip


def _server_rules() -> dict[str, list[_Rule]]:
    return {
        "elapsed_s": [*_finite("elapsed_s"), _unique_in_grain(SERVER_METRICS)],
        "scraped_at": [_CLOCK_SET],
        "source": [_isin(ENGINE_PAGES)],
        "gpu_busy_percent": [*_finite("gpu_busy_percent"), _within(0, 100)],
        **{name: [*_finite(name), _within(0, 1)] for name in _SERVER_SHARES},
        **{name: [*_finite(name), _at_least(0)] for name in _SERVER_AMOUNTS},
    }


_SUMMARY_AMOUNTS = (
    "duration_s", "request_rps", "output_tps", "input_tps", "mean_in_flight", "input_tokens_mean",
    "cached_input_tokens_mean", "output_tokens_mean", "reasoning_tokens_mean", "target_output_tokens",
    "interactivity_mean_tps", *(f"{metric}_{statistic}_ms" for metric in LATENCY_METRICS for statistic in (*STATISTICS, "max")),
)  # fmt: skip
_RATE_TOLERANCE = 0.05


def _summary_rules() -> dict[str, list[_Rule]]:
    # a rate that differs from its count / duration by a factor is in another unit
    rules: dict[str, list[_Rule]] = {
        "level_index": [_at_least(1), _unique_in_grain(SUMMARY_POINTS)],
        "load_kind": [_isin(("closed", "open"))],
        "concurrency": [_rule("closed_loop_has_concurrency", (pl.col("load_kind") != "closed") | (pl.col("concurrency").fill_null(0) > 0))],
        "request_rate": [_rule("open_loop_has_rate", (pl.col("load_kind") != "open") | (pl.col("request_rate").fill_null(0) > 0))],
        "tool": [_isin(IMPORT_TOOLS)],
        "started_at": [_CLOCK_SET],
        "completed_requests": [_at_least(0)],
        "failed_requests": [_at_least(0)],
        "requests": [_at_least(1), _rule("completed_and_failed", pl.col("requests") == pl.col("completed_requests") + pl.col("failed_requests"))],
        **{name: [*_finite(name), _at_least(0)] for name in _SUMMARY_AMOUNTS},
    }  # fmt: skip
    rate = pl.col("completed_requests") / pl.col("duration_s")
    rules["duration_s"].append(_above(0))
    rules["request_rps"].append(
        _rule("completed_by_duration", (pl.col("request_rps") - rate).abs() <= _RATE_TOLERANCE * rate)
    )
    rules["cached_input_tokens_mean"].append(
        _rule("within_input", pl.col("cached_input_tokens_mean") <= pl.col("input_tokens_mean"))
    )
    rules["reasoning_tokens_mean"].append(
        _rule("within_output", pl.col("reasoning_tokens_mean") <= pl.col("output_tokens_mean"))
    )
    for metric in LATENCY_METRICS:
        rising = [f"{metric}_{statistic}_ms" for statistic in (*list(STATISTICS)[1:], "max")]
        for position, name in enumerate(rising[1:], start=1):
            rules[name].append(_rule("rises", pl.col(name) >= pl.max_horizontal(*rising[:position])))
    return rules


def _finite(name: str) -> list[_Rule]:
    """NaN compares as larger than any number, so that no range would refuse it."""
    return [_rule("finite", pl.col(name).is_finite())]


Rules = Mapping[str, list[_Rule]]


def contract(table: Table, rules: Rules) -> pa.DataFrameSchema:
    """Schema of `table`: exactly its columns, their types and nullability, and `rules` by column."""
    checks = {name: [rule.check for rule in of_column] for name, of_column in rules.items()}
    return pa.DataFrameSchema(
        {
            c.name: pa.Column(POLARS_TYPES[c.type], nullable=c.nullable, checks=checks.get(c.name))
            for c in table.columns
        },
        strict=True,
    )


def _kept(table: Table, rules: Rules) -> pl.Expr:
    """Whether a row keeps the contract of `table`: false also of rows that only pandera can tell."""
    required = (pl.col(column.name).is_not_null() for column in table.columns if not column.nullable)
    held = (rule.good(name) for name, of_column in rules.items() for rule in of_column)
    return pl.all_horizontal(*required, *held).fill_null(True)


@dataclass(frozen=True)
class Split:
    """Rows that keep the contract, and those that do not with `reasons` (a list of column, check, value)."""

    good: pl.DataFrame
    bad: pl.DataFrame


Splitter = Callable[[pl.DataFrame], Split]


def splitter(table: Table, rules: Rules) -> Splitter:
    """A function that splits an eager frame by the contract of `table`."""
    schema = contract(table, rules)
    types = pl.Schema({column.name: POLARS_TYPES[column.type] for column in table.columns})

    @cache
    def kept() -> pl.Expr:  # when it is first asked for: with it polars starts its threads, which no fork outlives
        return _kept(table, rules)

    def split(frame: pl.DataFrame) -> Split:
        """Split `frame`; raises PartRefusedError where columns or types differ."""
        if frame.schema == types:
            suspects = frame.lazy().select((~kept()).arg_true()).collect().to_series()
        else:
            suspects = pl.arange(frame.height, eager=True)
        if frame.schema == types and not len(suspects):
            return Split(frame, frame.clear())
        try:
            schema.validate(frame[suspects], lazy=True)
        except SchemaErrors as error:
            return _split(frame, suspects, error.failure_cases)
        return Split(frame, frame.clear())

    return split


def _split(frame: pl.DataFrame, suspects: pl.Series, failures: pl.DataFrame) -> Split:
    """Split by pandera's failure cases, whose index is the position in `suspects`, the rows that it looked at."""
    whole = failures.filter(pl.col("index").is_null())
    if whole.height:
        said = whole.select(
            pl.format(
                "{}: {} ({})", pl.col("column").fill_null("columns"), "check", pl.col("failure_case").fill_null("null")
            )
        )
        raise PartRefusedError("; ".join(said.to_series().unique(maintain_order=True).head(5)))
    reasons = (
        failures.group_by("index")
        .agg(
            pl.struct(pl.col("column"), pl.col("check"), pl.col("failure_case").str.head(500).alias("value")).alias(
                "reasons"
            )
        )
        .sort("index")
    )
    broken = suspects.gather(reasons["index"])
    is_broken = pl.arange(frame.height, eager=True).is_in(broken.implode())
    return Split(frame.filter(~is_broken), frame[broken].with_columns(reasons["reasons"]))


split_request_traces: Splitter = splitter(REQUEST_TRACES, _trace_rules())
"""The contract of `request_traces`."""

SPLITTERS: dict[str, Splitter] = {
    REQUEST_TRACES.name: split_request_traces,
    CLIENT_HEALTH.name: splitter(CLIENT_HEALTH, _health_rules()),
    SERVER_METRICS.name: splitter(SERVER_METRICS, _server_rules()),
    SUMMARY_POINTS.name: splitter(SUMMARY_POINTS, _summary_rules()),
}
"""The contract of each landed table."""


def of_this_version(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` of an older version of `table`: the nullable columns that it lacks, all null, and the table's order.

    A frame that lacks a required column, or has one that the table has not, comes back as it is: the contract says so.
    """
    known = {column.name for column in table.columns}
    missing = [column for column in table.columns if column.name not in frame.columns]
    if any(not column.nullable for column in missing) or set(frame.columns) - known:
        return frame
    nulls = [pl.lit(None, POLARS_TYPES[column.type]).alias(column.name) for column in missing]
    return frame.with_columns(nulls).select(column.name for column in table.columns)
