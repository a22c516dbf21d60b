"""The reference endpoint misbehaves on request, by header or by option, and logs what carried tokens."""

import json
import subprocess
import sys
from itertools import pairwise

import httpx
import pytest

from tests.endpoints.children import Child, Reference

BODY = {"model": "m", "prompt": "abcd", "stream": True, "max_tokens": 6, "stream_options": {"include_usage": True}}


def ask(child: Child, fault: str | None, **more: object) -> httpx.Response:
    headers = {} if fault is None else {"x-reference-fault": fault}
    return httpx.post(f"{child.url}/completions", json=BODY | more, headers=headers, timeout=10)


def received(child: Child, fault: str, **more: object) -> tuple[bytes, Exception | None]:
    """What came of an answer before it broke, and how it broke."""
    content = b""
    with httpx.stream(
        "POST", f"{child.url}/completions", json=BODY | more, headers={"x-reference-fault": fault}, timeout=10
    ) as response:
        try:
            for piece in response.iter_raw():
                content += piece
        except httpx.HTTPError as error:
            return content, error
    return content, None


def test_429_says_when_to_retry_and_500_that_it_failed(reference: Reference) -> None:
    child = reference()
    busy, failed = ask(child, "429"), ask(child, "500")
    assert (busy.status_code, busy.headers["retry-after"]) == (429, "1")
    assert busy.json()["error"]["code"] == "rate_limit_exceeded"
    assert (failed.status_code, failed.json()["error"]["type"]) == (500, "server_error")
    assert reference.truth(child) == []  # neither carried tokens


def test_slow_headers_delay_the_whole_answer(reference: Reference) -> None:
    child = reference()
    assert ask(child, "slow_headers:seconds=0.3").text.count(" tok") == 6
    (record,) = reference.truth(child)
    assert record["fault"] == "slow_headers"
    # the first token of 20 ms comes 300 ms later
    assert record["sent_ns"][0] - record["received_ns"] >= 319e6


def test_a_stall_is_a_gap_after_so_many_tokens(reference: Reference) -> None:
    child = reference()
    assert ask(child, "stall:tokens=2,seconds=0.3").text.count(" tok") == 6
    (record,) = reference.truth(child)
    sent = record["sent_ns"]
    gaps_ms = [(later - earlier) / 1e6 for earlier, later in pairwise(sent)]
    assert gaps_ms.index(max(gaps_ms)) == 1  # between the second and the third token
    assert gaps_ms[1] >= 290


@pytest.mark.parametrize("tokens", [0, 2, 99])
def test_a_cut_closes_the_connection_in_the_middle_of_a_chunk(reference: Reference, tokens: int) -> None:
    child = reference()
    content, error = received(child, f"cut:tokens={tokens}")
    assert isinstance(error, httpx.RemoteProtocolError)
    whole_events = content.split(b"\n\n")[:-1]
    assert sum(b" tok" in event for event in whole_events) == min(tokens, 6)
    assert b"data: [DONE]" not in content
    (record,) = reference.truth(child)
    assert (record["fault"], len(record["sent_ns"])) == ("cut", min(tokens, 6))


@pytest.mark.parametrize("tokens", [0, 3])
def test_a_malformed_event_stands_between_good_ones(reference: Reference, tokens: int) -> None:
    *events, last = ask(reference(), f"malformed:tokens={tokens}").text.removesuffix("\n\n").split("\n\n")
    assert last == "data: [DONE]"
    with pytest.raises(json.JSONDecodeError):
        json.loads(events[tokens].removeprefix("data: "))
    good = [json.loads(event.removeprefix("data: ")) for event in events[:tokens] + events[tokens + 1 :]]
    assert len(good) == 6 + 2  # the tokens, the finish, the usage


@pytest.mark.parametrize("path", ["completions", "chat/completions", "responses"])
def test_an_error_event_ends_the_stream(reference: Reference, path: str) -> None:
    child = reference()
    body = {"model": "m", "stream": True, "prompt": "a", "input": "a", "messages": [{"role": "user", "content": "a"}]}
    headers = {"x-reference-fault": "error_event:tokens=2"}
    text = httpx.post(f"{child.url}/{path}", json=body, headers=headers, timeout=10).text
    assert text.count(" tok") == 2
    assert "[DONE]" not in text and "response.incomplete" not in text
    kind, data = text.removesuffix("\n\n").split("\n\n")[-1].split("\n")
    assert kind == "event: error"
    said = json.loads(data.removeprefix("data: "))
    assert said.get("error", said)["code"] == "server_error"
    (record,) = reference.truth(child)
    assert (record["fault"], len(record["sent_ns"])) == ("error_event", 2)


def test_wrong_usage_counts_twice_and_an_empty_answer_has_only_a_finish_reason(reference: Reference) -> None:
    child = reference()
    wrong, empty = ask(child, "wrong_usage").text, ask(child, "empty").text
    assert wrong.count(" tok") == 6
    assert '"completion_tokens":12,' in wrong
    assert " tok" not in empty
    assert '"finish_reason":"stop"' in empty
    assert '"completion_tokens":0,' in empty
    assert empty.endswith("data: [DONE]\n\n")


def test_garbage_is_no_http(reference: Reference) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        ask(reference(), "garbage")


@pytest.mark.parametrize("fault", ["malformed", "error_event", "cut"])
def test_an_answer_in_one_piece_can_be_spoiled_too(reference: Reference, fault: str) -> None:
    content, error = received(reference(), fault, stream=False)
    assert (error is not None) == (fault == "cut")
    if fault == "error_event":
        assert json.loads(content)["error"]["code"] == "server_error"
    else:
        with pytest.raises(ValueError):  # undecodable, or no JSON
            json.loads(content)


def test_every_second_request_is_hit_and_a_header_goes_before(reference: Reference) -> None:
    child = reference("--fault", "500", "--fault-every", 2)
    faults = (None, None, None, "429", None, None)
    assert [ask(child, fault).status_code for fault in faults] == [200, 500, 200, 429, 200, 500]
    assert httpx.get(f"{child.url}/models").status_code == 200


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("nap", "unknown fault 'nap'; have 429, 500"),
        ("stall:minutes=1", "takes tokens and seconds, not 'minutes=1'"),
        ("empty:tokens=1", "takes no arguments"),
        ("cut:tokens=-1", "tokens must be a whole number of at least 0, not '-1'"),
        ("stall:seconds=soon", "seconds must be a number from 0 to 86400, not 'soon'"),
    ],
)
def test_a_fault_that_there_is_not_is_refused_with_advice(reference: Reference, fault: str, says: str) -> None:
    response = ask(reference(), fault)
    assert response.status_code == 400
    assert says in response.json()["error"]["message"]
    command = [sys.executable, "-m", "endpoints.reference", "--fault", fault]
    refused = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert refused.returncode == 2
    assert says in refused.stderr


def test_a_hanging_request_leaves_the_others_alone(reference: Reference) -> None:
    child = reference("--slots", 1)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{child.url}/completions", json=BODY, headers={"x-reference-fault": "hang"}, timeout=0.3)
    assert ask(child, None).status_code == 200  # the only slot is free
