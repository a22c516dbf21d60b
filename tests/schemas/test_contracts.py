"""The contract of request_traces splits good rows from bad and says column, check and value."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from schemas.columns import CLIENT_HEALTH, REQUEST_TRACES, SERVER_METRICS, Table
from schemas.contracts import SPLITTERS, of_this_version, split_request_traces
from schemas.errors import PartRefusedError
from tests.traces import MS, frame, health, of_version_1, row, scrape

FAILED = {
    "outcome": "http_error", "http_status": 503, "finish_reason": None, "first_chunk_ns": None, "first_token_ns": None,
    "first_answer_ns": None, "last_token_ns": None, "token_chunks": 0, "gaps_us": [], "input_tokens": None,
    "cached_input_tokens": None, "output_tokens": None, "input_token_source": None, "output_token_source": None,
    "chunk_token_source": None, "text_sha256": None, "error": "503: overloaded",
}  # fmt: skip


def test_healthy_and_failed_requests_keep_the_contract() -> None:
    refused = FAILED | {"outcome": "connect_error", "http_status": None, "sent_ns": None, "headers_ns": None}
    split = split_request_traces(frame(row(0), row(1, **FAILED), row(2, **refused)))
    assert (split.good.height, split.bad.height) == (3, 0)


@pytest.mark.parametrize(
    ("changes", "column", "check"),
    [
        ({"outcome": "fine"}, "outcome", "isin"),
        ({"sent_ns": -1}, "sent_ns", "in_order"),
        ({"headers_ns": 101 * MS}, "first_chunk_ns", "in_order"),
        ({"first_token_ns": 170 * MS}, "last_token_ns", "in_order"),
        ({"closed_ns": 159 * MS}, "closed_ns", "in_order"),
        ({"cached_input_tokens": 65}, "cached_input_tokens", "within_input"),
        ({"reasoning_tokens": 5}, "reasoning_tokens", "within_output"),
        ({"output_tokens": 3}, "output_tokens", "at_least_one_a_chunk"),
        ({"output_tokens": 801}, "output_tokens", "fits_in_the_stream"),
        ({"output_tokens": -4}, "output_tokens", "greater_than_or_equal_to(0)"),
        ({"gaps_us": [20_000] * 2}, "gaps_us", "one_fewer_than_chunks"),
        ({"gaps_us": [20_000, 20_000, 20_100]}, "gaps_us", "sum_to_last_minus_first"),
        ({"gaps_us": [-1, 40_001, 20_000]}, "gaps_us", "not_negative"),
        ({"chunk_tokens": [1, 1, 1]}, "chunk_tokens", "one_a_chunk"),
        ({"chunk_tokens": [1, 1, 1, 2]}, "chunk_tokens", "within_output"),
        ({"finish_reason": None}, "finish_reason", "ok_has_a_finish_reason"),
        ({"run_id": None}, "run_id", "not_nullable"),
        ({"concurrency": None}, "concurrency", "closed_loop_has_concurrency"),
        ({"http_status": 99}, "http_status", "in_range"),
        ({"input_token_source": None}, "input_token_source", "known_if_counted"),
        ({"first_token_ns": None}, "first_token_ns", "iff_token_chunks"),
    ],
)
def test_a_bad_row_is_split_off_with_the_column_check_and_value(
    changes: dict[str, Any], column: str, check: str
) -> None:
    split = split_request_traces(frame(row(0), row(1) | _shifted(changes), row(2)))
    assert split.good["request_index"].to_list() == [0, 2]
    assert split.bad["request_index"].to_list() == [1]
    reasons = split.bad["reasons"][0].to_list()
    assert any(r["column"] == column and r["check"].startswith(check) for r in reasons), reasons


def _shifted(changes: dict[str, Any]) -> dict[str, Any]:
    """Times of `changes` are after the request's start, which is at 1 s for row 1."""
    return {k: v + 1000 * MS if k.endswith("_ns") and v is not None else v for k, v in changes.items()}


def test_the_value_that_was_found_is_in_the_reason() -> None:
    reasons = split_request_traces(frame(row(0, cached_input_tokens=99))).bad["reasons"][0].to_list()
    assert reasons == [{"column": "cached_input_tokens", "check": "within_input", "value": "99"}]


def test_gaps_rounded_one_by_one_are_within_the_tolerance() -> None:
    # three gaps of 20,000.4 us, each rounded down: 60,000 against 60,001.2
    times = {"last_token_ns": 160_001_200, "closed_ns": 161_001_200}
    assert split_request_traces(frame(row(0, **times))).bad.height == 0


def test_of_two_rows_with_one_key_the_second_is_rejected() -> None:
    split = split_request_traces(frame(row(0), row(0, prompt_sha256="other")))
    assert split.good["prompt_sha256"].to_list() == ["p"]
    assert split.bad["reasons"][0][0]["check"] == "unique_in_grain"


def test_other_columns_or_types_refuse_the_whole_part() -> None:
    with pytest.raises(PartRefusedError, match="sent_ns"):
        split_request_traces(frame(row(0)).with_columns(pl.col("sent_ns").cast(pl.Float64)))
    with pytest.raises(PartRefusedError, match="outcome"):
        split_request_traces(frame(row(0)).drop("outcome"))


def test_a_frame_of_version_1_is_read_as_one_of_today_with_nulls() -> None:
    old = of_this_version(REQUEST_TRACES, of_version_1(row(0)))
    assert split_request_traces(old).good.height == 1
    assert old.select("transport", "conversation_index", "turn_index", "prefix_group").row(0) == (None,) * 4
    assert old.columns == [column.name for column in REQUEST_TRACES.columns]


def test_a_frame_that_lacks_a_required_column_stays_refused() -> None:
    with pytest.raises(PartRefusedError, match="closed_ns"):
        split_request_traces(of_this_version(REQUEST_TRACES, of_version_1(row(0)).drop("closed_ns")))


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"transport": "pigeon"}, "transport"),
        ({"conversation_index": 1}, "conversation_index"),  # without its turn
        ({"conversation_index": -1, "turn_index": 0}, "conversation_index"),
        ({"prefix_group": -1}, "prefix_group"),
    ],
)
def test_conversations_and_prefixes_have_rules_of_their_own(changes: dict[str, Any], column: str) -> None:
    good = {"transport": "httpx", "conversation_index": 4, "turn_index": 0, "prefix_group": 2}
    split = split_request_traces(frame(row(0, **good), row(1, **changes)))
    assert split.good["request_index"].to_list() == [0]
    assert split.bad["reasons"][0][0]["column"] == column


@pytest.mark.parametrize(
    ("table", "good", "changes", "column"),
    [
        (CLIENT_HEALTH, health, {"done": 3}, "done"),  # of 2 sent
        (CLIENT_HEALTH, health, {"merged_reads": 5}, "merged_reads"),
        (CLIENT_HEALTH, health, {"cpu_share": float("nan")}, "cpu_share"),
        (CLIENT_HEALTH, health, {"loop_lag_p99_ms": 0.4}, "loop_lag_p99_ms"),
        (CLIENT_HEALTH, health, {"in_flight": -1}, "in_flight"),
        (CLIENT_HEALTH, health, {"elapsed_s": 1.0}, "elapsed_s"),  # the first row's
        (CLIENT_HEALTH, health, {"sampled_at": None}, "sampled_at"),
        (SERVER_METRICS, scrape, {"kv_cache_usage": 1.5}, "kv_cache_usage"),
        (SERVER_METRICS, scrape, {"requests_waiting": -1.0}, "requests_waiting"),
        (SERVER_METRICS, scrape, {"source": "a web page"}, "source"),
        (SERVER_METRICS, scrape, {"elapsed_s": 1.0}, "elapsed_s"),
    ],
)
def test_health_and_server_metrics_have_contracts_too(
    table: Table, good: Callable[..., dict[str, Any]], changes: dict[str, Any], column: str
) -> None:
    split = SPLITTERS[table.name](frame(good(1), good(2) | changes, table=table))
    assert (split.good.height, split.bad.height) == (1, 1)
    assert split.bad["reasons"][0][0]["column"] == column


@pytest.mark.parametrize(("table", "good"), [(CLIENT_HEALTH, health), (SERVER_METRICS, scrape)])
def test_what_an_engine_or_a_system_does_not_say_may_be_null(table: Table, good: Callable[..., dict[str, Any]]) -> None:
    nothing = {column.name: None for column in table.columns if column.nullable}
    assert SPLITTERS[table.name](frame(good(1, **nothing), table=table)).bad.height == 0
