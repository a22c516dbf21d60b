"""What arrived becomes one row that says what the server did, and nothing that it did not."""

import gzip
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.arrivals import Arrivals
from loadgen.interpret import Exchange, Failure, Interpreter
from loadgen.redact import Redactor
from schemas.columns import REQUEST_TRACES

MS = 1_000_000
EPOCH = 5_000 * MS
CONSTANTS = dict.fromkeys(
    (
        "run_id", "attempt", "suite", "endpoint", "workload", "load", "run_date", "level_index", "load_kind",
        "concurrency", "request_rate", "shard", "model", "api", "config_hash", "client_version", "schema_version",
        "epoch_wall_at",
    )
)  # fmt: skip


def row_of(
    *reads: tuple[float, bytes],
    late: bool = False,
    status: int | None = 200,
    headers: dict[str, str] | None = None,
    failure: Failure | None = None,
    secrets: tuple[str, ...] = ("sk-very-secret",),
) -> dict[str, Any]:
    """Row of a request sent at 0 ms whose body came in `reads` of (milliseconds, bytes)."""
    arrivals = Arrivals(sent_ns=EPOCH, status=status, headers_ns=EPOCH + MS, closed_ns=EPOCH + 10_000 * MS)
    arrivals.headers = [(k.encode(), v.encode()) for k, v in (headers or {"Content-Type": "text/event-stream"}).items()]
    for index, (at_ms, data) in enumerate(reads):
        arrivals.stamps.append(EPOCH + round(at_ms * MS))
        arrivals.late.append(late)
        arrivals.pieces.append((index, data))
    exchange = Exchange(0, "measure", 50, 3, "hash", EPOCH, arrivals, failure)
    return Interpreter(CONSTANTS, EPOCH, Redactor(secrets)).row(exchange)


def delta(**fields: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": fields}]}).encode() + b"\n\n"


def test_a_row_has_exactly_the_columns_of_the_contract(wire) -> None:
    row = row_of((200, wire.token("a")), (220, wire.finish()))
    assert set(row) == {column.name for column in REQUEST_TRACES.columns}


def test_role_empty_and_usage_events_are_no_tokens(wire) -> None:
    row = row_of(
        (100, delta(role="assistant", content=None)),
        (110, delta(role="assistant", content="")),
        (200, wire.token("a")),
        (225.0009, wire.token("b")),
        (240, wire.finish()),
        (250, wire.usage(7, 2, prompt_tokens_details={"cached_tokens": 4})),
        (251, b"data: [DONE]\n\n"),
    )
    assert row["outcome"] == "ok"
    assert row["first_chunk_ns"] == 100 * MS
    assert row["first_token_ns"] == row["first_answer_ns"] == 200 * MS
    assert row["last_token_ns"] == 225 * MS + 900
    assert row["token_chunks"] == 2
    assert row["gaps_us"] == [25_000]
    assert (row["input_tokens"], row["cached_input_tokens"], row["output_tokens"]) == (7, 4, 2)
    assert (row["chunk_tokens"], row["chunk_token_source"]) == (None, "chunk_mean")
    assert row["error"] is None


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_generated_text_but_no_answer(wire, name: str) -> None:
    usage = wire.usage(7, 9, completion_tokens_details={"reasoning_tokens": 6})
    row = row_of((200, delta(**{name: "hm"})), (300, wire.token("a")), (301, wire.finish() + usage))
    assert (row["first_token_ns"], row["first_answer_ns"]) == (200 * MS, 300 * MS)
    assert (row["token_chunks"], row["reasoning_tokens"]) == (2, 6)


@pytest.mark.parametrize(
    "thought",
    [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
    ],
)
def test_content_in_parts_is_read_part_by_part(wire, thought: dict[str, Any]) -> None:
    answer = [{"type": "text", "text": "yes"}]
    row = row_of((1, delta(content=[thought])), (2, delta(content=answer)), (3, wire.finish()))
    assert (row["outcome"], row["token_chunks"]) == ("ok", 2)
    assert (row["first_token_ns"], row["first_answer_ns"]) == (1 * MS, 2 * MS)


def test_tool_calls_count_as_answer(wire) -> None:
    call = {"index": 0, "function": {"name": "search", "arguments": "{"}}
    row = row_of((200, delta(tool_calls=[call])), (210, wire.finish()))
    assert (row["outcome"], row["token_chunks"], row["first_answer_ns"]) == ("ok", 1, 200 * MS)


def test_what_a_custom_tool_is_told_counts_as_answer(wire) -> None:
    call = {"index": 0, "type": "custom", "custom": {"name": "shell", "input": "ls"}}
    row = row_of((200, delta(tool_calls=[call])), (210, wire.finish()))
    assert (row["outcome"], row["token_chunks"], row["first_answer_ns"]) == ("ok", 1, 200 * MS)


def test_a_usage_without_counts_takes_none_away(wire) -> None:
    row = row_of(
        (200, wire.token("a")), (210, wire.finish()), (220, wire.usage(7, 1)), (230, wire.event({"usage": {}}))
    )
    assert (row["input_tokens"], row["output_tokens"], row["output_token_source"]) == (7, 1, "usage")


def test_a_count_may_be_written_with_a_point(wire) -> None:
    row = row_of((200, wire.token("a")), (210, wire.finish()), (220, wire.usage(7.0, 1.5)))
    assert (row["input_tokens"], row["output_tokens"]) == (7, None)  # there is no half token


def test_without_usage_the_token_counts_stay_unknown(wire) -> None:
    row = row_of((200, wire.token("a")), (210, wire.finish()))
    assert row["outcome"] == "ok"
    assert (
        row["input_tokens"] is row["output_tokens"] is row["output_token_source"] is row["chunk_token_source"] is None
    )


def test_running_usage_gives_the_tokens_of_each_chunk(wire) -> None:
    def running(tokens: int) -> dict[str, int]:
        return {"prompt_tokens": 7, "completion_tokens": tokens}

    row = row_of(
        (200, wire.token("ab", usage=running(2))),
        (210, wire.token("", usage=running(3))),  # reported on an empty chunk: joins the next
        (220, wire.token("cd", usage=running(4))),
        (230, wire.finish()),
    )
    assert (row["chunk_tokens"], row["chunk_token_source"]) == ([2, 2], "usage")
    assert row["output_tokens"] == 4


def test_usage_on_the_finish_chunk_alone_is_not_taken_for_running_usage(wire) -> None:
    last = {"choices": [{"delta": {"content": "b"}, "finish_reason": "stop"}], "usage": {"completion_tokens": 2}}
    row = row_of((200, wire.token("a")), (220, wire.event(last)))
    assert (row["chunk_tokens"], row["chunk_token_source"]) == (None, "chunk_mean")


def test_events_that_a_late_read_joined_are_one_chunk(wire) -> None:
    reads = [(200, wire.token("a")), (260, wire.token("b") + wire.token("c")), (280, wire.finish() + wire.usage(7, 3))]
    row = row_of(*reads, late=True)
    assert (row["merged_reads"], row["token_chunks"], row["gaps_us"]) == (1, 2, [60_000])
    assert (row["chunk_tokens"], row["chunk_token_source"]) == ([1, 2], "events")
    assert not row["first_token_merged"]


def test_events_that_the_server_sent_together_stay_apart(wire) -> None:
    reads = [(200, wire.token("a")), (260, wire.token("b") + wire.token("c")), (280, wire.finish() + wire.usage(7, 3))]
    row = row_of(*reads)
    assert (row["merged_reads"], row["token_chunks"], row["gaps_us"]) == (0, 3, [60_000, 0])


def test_a_merged_first_token_is_flagged(wire) -> None:
    row = row_of((200, wire.token("a") + wire.token("b")), (210, wire.finish()), late=True)
    assert row["first_token_merged"]


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=50))
def test_gaps_sum_to_the_whole_microseconds_between_first_and_last_token(offsets_ns: list[int]) -> None:
    reads = [(ns / MS, delta(content="x")) for ns in sorted(offsets_ns)]
    row = row_of(*reads)
    assert len(row["gaps_us"]) == row["token_chunks"] - 1
    assert sum(row["gaps_us"]) == (row["last_token_ns"] - row["first_token_ns"]) // 1000
    assert all(gap >= 0 for gap in row["gaps_us"])


def test_a_gap_too_long_for_a_trace_ends_the_chunks_and_is_a_timeout(wire) -> None:
    row = row_of((1, wire.token("a")), (2, wire.token("b")), (3e6, wire.token("c")), (3e6, wire.finish()))
    assert (row["outcome"], row["token_chunks"], row["gaps_us"]) == ("timeout", 2, [1000])
    assert "no token for 3000 s" in row["error"]


def test_a_stream_cut_before_its_finish_reason_is_truncated(wire) -> None:
    half = wire.token("b")[:20]
    row = row_of((200, wire.token("a")), (220, half), failure=Failure("truncated", "the server closed the connection"))
    assert (row["outcome"], row["error"], row["token_chunks"]) == ("truncated", "the server closed the connection", 1)
    assert row_of((200, wire.token("a")))["outcome"] == "truncated"


def test_a_stream_cut_after_its_finish_reason_is_ok(wire) -> None:
    failure = Failure("truncated", "the server closed the connection")
    assert row_of((200, wire.token("a") + wire.finish()), failure=failure)["outcome"] == "ok"


def test_an_answer_without_tokens_is_empty(wire) -> None:
    assert row_of((200, wire.finish() + b"data: [DONE]\n\n"))["outcome"] == "empty"
    assert row_of()["outcome"] == "empty"
    assert row_of((1, b": keepalive\n\n"))["outcome"] == "empty"


def test_an_answer_without_tokens_shows_what_it_has_instead() -> None:
    row = row_of((1, b'data: {"detail": "model is loading"}\n\ndata: [DONE]\n\n'))
    assert row["outcome"] == "empty"
    assert row["error"].startswith('the answer holds no generated text: data: {"detail": "model is loading"}')
    assert row_of()["error"] == "the answer holds no generated text"


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error": {"message": "out of memory", "code": 500}}\n\n',
        b'event: error\ndata: {"message": "out of memory", "type": "500"}\n\n',
        b"event: error\ndata: 500: out of memory\n\n",
        b'error: {"code": 500, "message": "out of memory", "type": "server_error"}\n\n',
        b'data: {"object": "error", "message": "out of memory", "type": "ServerError", "code": 500}\n\n',
    ],
)
def test_an_error_inside_the_stream_is_malformed_and_says_what_the_server_said(wire, event: bytes) -> None:
    row = row_of((200, wire.token("a")), (210, event))
    assert (row["outcome"], row["http_status"]) == ("malformed", 200)
    assert row["error"] == "the stream carried an error: 500: out of memory"


def test_an_event_that_is_not_json_is_malformed(wire) -> None:
    row = row_of((200, wire.token("a")), (210, b"data: {oops\n\n"), (220, wire.finish()))
    assert (row["outcome"], row["error"]) == ("malformed", "an event is not JSON: {oops")


def test_an_emoji_cut_into_its_halves_is_text(wire) -> None:
    halves = [
        rb'data: {"choices": [{"delta": {"content": "\ud83d"}}]}',
        rb'data: {"choices": [{"delta": {"content": "\ude00"}}]}',
    ]
    row = row_of((200, halves[0] + b"\n\n"), (210, halves[1] + b"\n\n"), (220, wire.finish()))
    assert (row["outcome"], row["token_chunks"]) == ("ok", 2)


def test_a_python_servers_nan_does_no_harm(wire) -> None:
    event = b'data: {"choices": [{"delta": {"content": "a"}, "logprobs": {"top": -Infinity, "mean": NaN}}]}\n\n'
    row = row_of((200, event), (210, wire.finish()))
    assert (row["outcome"], row["token_chunks"]) == ("ok", 1)


def test_json_instead_of_a_stream_says_that_the_server_does_not_stream() -> None:
    row = row_of((9, b'{"choices": []}'), headers={"Content-Type": "application/json"})
    assert row["outcome"] == "malformed"
    assert row["error"].startswith("the server does not stream")


def test_a_web_page_instead_of_a_stream_says_so_too() -> None:
    row = row_of((9, b"<html>hello</html>"), headers={"Content-Type": "text/html"})
    assert row["outcome"] == "malformed"
    assert "text/html" in row["error"]


def test_an_error_status_keeps_the_first_500_characters_of_the_body() -> None:
    row = row_of((9, b"x" * 2000), status=503)
    assert (row["outcome"], row["http_status"]) == ("http_error", 503)
    assert row["error"] == "HTTP 503: " + "x" * 490


def test_a_refusal_says_when_to_come_again() -> None:
    row = row_of((9, b'{"error": "slow down"}'), status=429, headers={"Retry-After": "1"})
    assert (row["outcome"], row["http_status"]) == ("http_error", 429)
    assert row["error"] == 'HTTP 429 (Retry-After: 1): {"error": "slow down"}'


def test_a_redirect_says_where_to() -> None:
    row = row_of((9, b""), status=308, headers={"Location": "https://elsewhere/v1"})
    assert row["error"] == "HTTP 308 (Location: https://elsewhere/v1)"


def test_empty_events_keep_a_stream_alive_and_say_nothing(wire) -> None:
    row = row_of((100, b"data:\n\ndata: \n\n"), (200, wire.token("a") + b"data:\n\n"), (210, wire.finish()))
    assert (row["outcome"], row["first_chunk_ns"], row["token_chunks"]) == ("ok", 200 * MS, 1)
    row = row_of((200, wire.token("a")), (205, b"data: null\n\n"), (210, wire.finish()))
    assert (row["outcome"], row["token_chunks"]) == ("ok", 1)


def test_compressed_streams_keep_the_time_of_each_read(wire) -> None:
    packed = gzip.compress(wire.token("a") + wire.finish(), mtime=0)
    row = row_of((200, packed[:12]), (230, packed[12:]), headers={"Content-Encoding": "gzip"})
    assert (row["outcome"], row["first_token_ns"], row["response_bytes"]) == ("ok", 230 * MS, len(packed))
    assert row_of((1, b"no gzip"), headers={"Content-Encoding": "gzip"})["outcome"] == "malformed"


def test_secrets_never_reach_the_message() -> None:
    body = b'{"error": "bad key sk-very-secret, got Authorization: Bearer abc.def-ghi and Bearer zzzzzzzzzz"}'
    row = row_of((9, body), status=401)
    for secret in ("sk-very-secret", "abc.def-ghi", "zzzzzzzzzz"):
        assert secret not in row["error"]
    assert "bad key ***" in row["error"]


def test_a_secret_at_the_cut_is_masked_before_the_cut() -> None:
    row = row_of((9, b"x" * 485 + b"sk-very-secret"), status=401)
    assert "sk-" not in row["error"]


@pytest.mark.parametrize("before", [b'{"a": "%b', b"data: {%b", b"event: error\ndata: %b", b"<html>%b"])
def test_no_piece_of_a_secret_is_left_where_a_body_is_cut(before: bytes) -> None:
    secret, kind = b"sk-very-secret", "application/json" if before.startswith(b"{") else "text/event-stream"
    for padding in range(160, 560, 4):
        body = before % (b"x" * padding + secret + b'"}\n\n' + b"y" * 600 + b"\n\n")
        row = row_of((9, body), headers={"Content-Type": kind})
        assert (row["outcome"], "sk-v" in row["error"]) == ("malformed", False)


@pytest.mark.parametrize("outcome", ["connect_error", "timeout", "interrupted"])
def test_a_failure_before_the_headers_is_a_row_too(outcome: str) -> None:
    row = row_of(status=None, failure=Failure(outcome, "why"))
    assert (row["outcome"], row["error"], row["http_status"], row["gaps_us"]) == (outcome, "why", None, [])
    assert row["first_token_ns"] is row["text_sha256"] is None


def test_times_are_in_order(wire) -> None:
    row = row_of((200, wire.token("a")), (220, wire.token("b")), (230, wire.finish()))
    names = ["scheduled", "sent", "headers", "first_chunk", "first_token", "last_token", "closed"]
    assert all(row[f"{a}_ns"] <= row[f"{b}_ns"] for a, b in pairwise(names))
