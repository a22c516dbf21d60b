"""The Responses API: what is generated counts, what repeats it does not."""

import json
from typing import Any

import pytest

from loadgen.arrivals import Arrivals
from loadgen.body import body_of
from loadgen.generation import Generation, read_generation
from loadgen.prompts import request_body
from loadgen.spec import Target


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def last(status: str, **fields: Any) -> bytes:
    response = {"id": "r", "status": status, "error": None, "incomplete_details": None, **fields}
    return event(f"response.{status}", response=response)


def text(delta: str, kind: str = "output_text") -> bytes:
    return event(f"response.{kind}.delta", item_id="i", output_index=0, content_index=0, delta=delta)


USAGE = {
    "input_tokens": 15, "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 6, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 21,
}  # fmt: skip


def generation_of(*reads: bytes) -> Generation:
    arrivals = Arrivals(status=200, headers=[(b"content-type", b"text/event-stream")])
    arrivals.pieces = list(enumerate(reads))
    return read_generation(arrivals, body_of(arrivals))


def test_a_response_is_read_from_its_deltas_and_its_last_event() -> None:
    whole = {"type": "message", "content": [{"type": "output_text", "text": "hello"}]}
    generation = generation_of(
        event("response.created", response={"id": "r", "status": "in_progress", "usage": None}),
        event("response.in_progress", response={"id": "r", "status": "in_progress"}),
        event("response.output_item.added", item={"type": "reasoning", "summary": []}),
        text("hm", "reasoning_text"),
        text("so", "reasoning_summary_text"),
        event("response.reasoning_text.done", text="hm"),
        event("response.output_item.added", item={"type": "message", "content": []}),
        event("response.content_part.added", part={"type": "output_text", "text": ""}),
        text("hel"),
        text("lo"),
        text(""),
        event("response.output_text.done", text="hello"),
        event("response.content_part.done", part={"type": "output_text", "text": "hello"}),
        event("response.output_item.done", item=whole),
        last("completed", usage=USAGE, output=[whole]),
    )
    assert generation.token_reads == [3, 4, 8, 9]
    assert (generation.first_event_read, generation.first_answer_read) == (0, 8)
    assert (generation.finish_reason, generation.problem) == ("stop", None)
    assert generation.usage == (15, 6, 4, 2)
    assert generation.text == "hello"


def test_calls_and_refusals_are_generated_text() -> None:
    kinds = ["function_call_arguments", "custom_tool_call_input", "mcp_call_arguments", "refusal"]
    generation = generation_of(*(text("x", kind) for kind in kinds), text("UklGRg==", "audio"), last("completed"))
    assert generation.token_reads == [0, 1, 2, 3]
    assert generation.first_answer_read == 0
    assert generation.usage is None


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ({"reason": "max_output_tokens"}, "length"),
        ({"reason": "content_filter"}, "content_filter"),
        (None, "incomplete"),
    ],
)
def test_an_incomplete_response_says_why_it_ended(details: dict[str, str] | None, reason: str) -> None:
    generation = generation_of(text("a"), last("incomplete", incomplete_details=details, usage=USAGE))
    assert (generation.finish_reason, generation.problem) == (reason, None)
    assert generation.usage is not None


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (last("failed", error={"code": "server_error", "message": "no memory"}), "server_error: no memory"),
        (last("failed"), "the server says that the response failed"),
        (event("error", code="server_error", message="no memory", param=None), "server_error: no memory"),
        (event("error", error={"type": "server_error", "message": "no memory"}), "server_error: no memory"),
        (event("response.error", error={"code": "server_error", "message": "no memory"}), "server_error: no memory"),
        # a proxy that drops the `event:` lines
        (b'data: {"type": "error", "code": "server_error", "message": "no memory"}\n\n', "server_error: no memory"),
    ],
)
def test_a_failed_response_says_what_the_server_said(bad: bytes, said: str) -> None:
    generation = generation_of(text("a"), bad)
    assert generation.problem == f"the stream carried an error: {said}"
    assert generation.finish_reason is None


def test_the_request_asks_for_a_stream_that_the_server_does_not_keep() -> None:
    messages = [{"role": "user", "content": "hello"}]
    target = Target(url="u", api="responses", model="m")
    assert request_body(target, messages, 9) == {
        "model": "m", "input": messages, "max_output_tokens": 9, "temperature": 0, "stream": True, "store": False,
    }  # fmt: skip
    own = Target(url="u", api="responses", model="m", extra_body={"store": None, "reasoning": {"effort": "low"}})
    body = request_body(own, messages, 9)
    assert "store" not in body
    assert body["reasoning"] == {"effort": "low"}
