"""The reference endpoint speaks the Responses API, and thinks before it speaks."""

import json
from typing import Any

import httpx

from tests.endpoints.children import Child, Reference

MESSAGE_EVENTS = [
    "response.output_item.added",
    "response.content_part.added",
    *["response.output_text.delta"] * 3,
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
]


def events(child: Child, **more: Any) -> list[dict[str, Any]]:
    """The events of a stream, each with the same name in `event:` and in `type`, numbered from 0."""
    body = {"model": "m", "input": "abcde", "max_output_tokens": 3, "stream": True} | more
    response = httpx.post(f"{child.url}/responses", json=body, timeout=10)
    assert response.headers["content-type"] == "text/event-stream"
    told = []
    for event in response.text.removesuffix("\n\n").split("\n\n"):
        kind, data = event.split("\n")
        told.append(json.loads(data.removeprefix("data: ")))
        assert kind == f"event: {told[-1]['type']}"
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    return told


def test_a_stream_has_the_apis_events_in_order_and_ends_incomplete(reference: Reference) -> None:
    child = reference()
    told = events(child)
    kinds = ["response.created", "response.in_progress", *MESSAGE_EVENTS, "response.incomplete"]
    assert [event["type"] for event in told] == kinds
    assert [event["delta"] for event in told if event["type"].endswith(".delta")] == [" tok"] * 3
    response = told[-1]["response"]
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["output"][0]["content"][0]["text"] == " tok" * 3
    # "abcde" has 5 characters: ceil(5 / 4) = 2 tokens
    assert response["usage"] == {
        "input_tokens": 2,
        "output_tokens": 3,
        "total_tokens": 5,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    (record,) = reference.truth(child)
    assert len(record["sent_ns"]) == 3  # the opening events are no tokens
    assert record["prompt_chars"] == 5


def test_an_answer_in_one_piece_is_the_response_object(reference: Reference) -> None:
    said = [{"role": "user", "content": [{"type": "input_text", "text": "abcd"}, {"type": "input_text", "text": "e"}]}]
    body = {"model": "m", "input": said, "max_output_tokens": 2}
    response = httpx.post(f"{reference().url}/responses", json=body, timeout=10).json()
    assert (response["object"], response["status"]) == ("response", "incomplete")
    assert response["output"][0]["content"][0] == {"type": "output_text", "text": " tok tok", "annotations": []}
    assert response["usage"]["input_tokens"] == 2


def test_a_limit_of_no_tokens_is_refused(reference: Reference) -> None:
    body = {"model": "m", "input": "a", "max_output_tokens": 0}
    response = httpx.post(f"{reference().url}/responses", json=body, timeout=10)
    assert response.status_code == 400
    assert "max_output_tokens" in response.json()["error"]["message"]


def test_reasoning_is_an_item_of_its_own(reference: Reference) -> None:
    child = reference("--reasoning-tokens", 2)
    told = events(child, max_output_tokens=5)
    reasoning_events = [
        "response.output_item.added",
        "response.content_part.added",
        *["response.reasoning_text.delta"] * 2,
        "response.reasoning_text.done",
        "response.content_part.done",
        "response.output_item.done",
    ]
    assert [event["type"] for event in told[2:-1]] == reasoning_events + MESSAGE_EVENTS
    assert [item["type"] for item in told[-1]["response"]["output"]] == ["reasoning", "message"]
    assert told[-1]["response"]["usage"]["output_tokens_details"] == {"reasoning_tokens": 2}
    assert {event["output_index"] for event in told if "output_text" in event["type"]} == {1}
    # who is cut off while thinking has said nothing
    assert [item["type"] for item in events(child, max_output_tokens=2)[-1]["response"]["output"]] == ["reasoning"]
    (record, _) = reference.truth(child)
    assert len(record["sent_ns"]) == 5


def test_a_chat_thinks_in_reasoning_content(reference: Reference) -> None:
    child = reference("--reasoning-tokens", 3, "--tokens-per-chunk", 2)
    body = {"model": "m", "messages": [{"role": "user", "content": "a"}], "max_tokens": 5}
    whole = httpx.post(f"{child.url}/chat/completions", json=body, timeout=10).json()
    message = whole["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == (" tok" * 3, " tok" * 2)
    assert whole["usage"]["completion_tokens_details"] == {"reasoning_tokens": 3}
    assert whole["usage"]["completion_tokens"] == 5
    text = httpx.post(f"{child.url}/chat/completions", json=body | {"stream": True}, timeout=10).text
    *told, done = text.removesuffix("\n\n").split("\n\n")
    assert done == "data: [DONE]"
    deltas = [json.loads(event.removeprefix("data: "))["choices"][0]["delta"] for event in told]
    assert deltas[1:-1] == [
        {"reasoning_content": " tok tok"},
        {"reasoning_content": " tok", "content": " tok"},
        {"content": " tok"},
    ]
