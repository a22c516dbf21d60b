"""The reference endpoint over HTTP: what it says, when, and what it writes down."""

import asyncio
import hashlib
import json
import signal
import socket
import time
from typing import Any

import httpx
import pytest

from tests.endpoints.children import Child, Reference

CHAT = {"model": "m", "messages": [{"role": "user", "content": "grüße"}], "stream": True}
USAGE = {"stream_options": {"include_usage": True}}


def events(response: httpx.Response) -> list[dict[str, Any]]:
    """The JSON events of a stream that ended as it should."""
    data = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert data[-1] == "[DONE]"
    return [json.loads(line) for line in data[:-1]]


def post(child: Child, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    return httpx.post(f"{child.url}/{path}", json=body, headers=headers, timeout=10)


def test_a_chat_stream_has_exactly_max_tokens_and_the_usage_that_was_asked_for(reference: Reference) -> None:
    response = post(reference(), "chat/completions", CHAT | USAGE | {"max_tokens": 7})
    assert response.headers["content-type"] == "text/event-stream"
    *told, usage = events(response)
    deltas = [event["choices"][0]["delta"].get("content") for event in told]
    assert deltas == ["", *[" tok"] * 7, None]  # the role, the tokens, the finish
    assert told[-1]["choices"][0]["finish_reason"] == "length"
    # "grüße" has 5 characters: ceil(5 / 4) = 2 tokens
    assert usage["choices"] == []
    assert usage["usage"] == {
        "prompt_tokens": 2,
        "completion_tokens": 7,
        "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def test_a_completions_stream_without_usage_and_with_the_default_length(reference: Reference) -> None:
    child = reference("--output-tokens", 3)
    told = events(post(child, "completions", {"model": "m", "prompt": "abc", "stream": True}))
    assert [event["choices"][0]["text"] for event in told] == [" tok"] * 3 + [""]
    assert not any("usage" in event for event in told)


def test_tokens_can_be_bundled_and_the_last_chunk_holds_the_rest(reference: Reference) -> None:
    child = reference("--tokens-per-chunk", 4)
    told = events(post(child, "completions", {"model": "m", "prompt": "abc", "stream": True, "max_tokens": 10}))
    assert [event["choices"][0]["text"].count("tok") for event in told] == [4, 4, 2, 0]
    (record,) = reference.truth(child)
    assert record["tokens_per_chunk"] == 4
    assert len(record["sent_ns"]) == 3
    # the chunks are due with their first tokens: 20 ms after the request came, and 4 and 8 tokens of 2 ms later
    due_ms = [(left_ns - record["received_ns"]) / 1e6 for left_ns in record["sent_ns"]]
    assert all(left >= due - 1 for left, due in zip(due_ms, (20, 28, 36), strict=True))


def test_the_truth_log_agrees_with_a_socket_client(reference: Reference) -> None:
    child = reference("--ttft-ms", 100, "--itl-ms", 10)
    body = json.dumps({"model": "m", "prompt": "truth", "stream": True, "max_tokens": 5}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nhost: x\r\nx-request-id: r-1\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(child.address) as sock:
        sent_ns, data = time.time_ns(), b""
        seen_ns: list[int] = []
        sock.sendall(head.encode() + body)
        while not data.endswith(b"0\r\n\r\n"):
            data += sock.recv(65536)
            seen_ns += [time.time_ns()] * (data.count(b" tok") - len(seen_ns))
    (record,) = reference.truth(child)
    assert record["request_id"] == "r-1"
    assert record["prompt_sha256"] == hashlib.sha256(b"truth").hexdigest()
    assert record["prompt_chars"] == 5
    assert record["received_ns"] == pytest.approx(sent_ns, abs=200e6)
    assert record["sent_ns"] == sorted(record["sent_ns"])
    for number, (left_ns, came_ns) in enumerate(zip(record["sent_ns"], seen_ns, strict=True)):
        due_ns = record["received_ns"] + 100e6 + number * 10e6
        assert -1e6 < left_ns - due_ns < 500e6
        assert -1e6 < came_ns - left_ns < 500e6


@pytest.mark.skipif("not sys.platform.startswith('linux')", reason="kernel stamps are Linux's")
def test_the_stamps_are_the_kernels_for_many_streams_over_one_connection_each(reference: Reference) -> None:
    child = reference("--itl-ms", 1)

    async def ask(client: httpx.AsyncClient, number: int) -> None:
        for turn in range(2):
            body = {"model": "m", "prompt": f"{number} {turn}", "stream": True, "max_tokens": 150}
            assert (await client.post(f"{child.url}/completions", json=body)).text.count(" tok") == 150

    async def crowd() -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            await asyncio.gather(*(ask(client, number) for number in range(40)))

    asyncio.run(crowd())
    records = reference.truth(child)
    assert len({record["prompt_sha256"] for record in records}) == len(records) == 80
    assert {(record["stamp"], record["received_stamp"]) for record in records} == {("kernel", "kernel")}
    assert {len(record["sent_ns"]) for record in records} == {150}


def test_a_slow_reader_gets_every_byte(reference: Reference) -> None:
    child = reference("--ttft-ms", 0, "--itl-ms", 0, "--tokens-per-chunk", 1000)
    body = json.dumps({"model": "m", "prompt": "slow", "stream": True, "max_tokens": 2_000_000}).encode()
    with socket.create_connection(child.address) as sock:
        sock.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        time.sleep(0.3)  # both kernels' buffers are full by now: 8 MB do not fit
        pieces = [sock.recv(1 << 20)]
        while not pieces[-1].endswith(b"0\r\n\r\n"):
            pieces.append(sock.recv(1 << 20))
    assert b"".join(pieces).count(b" tok") == 2_000_000
    (record,) = reference.truth(child)
    assert len(record["sent_ns"]) == 2000


def test_a_client_that_leaves_is_logged_as_far_as_it_got_and_others_are_served(reference: Reference) -> None:
    child = reference("--itl-ms", 10)
    body = {"model": "m", "prompt": "leaver", "stream": True, "max_tokens": 1000}
    with httpx.stream("POST", f"{child.url}/completions", json=body) as response:
        next(response.iter_raw())
    assert post(child, "chat/completions", CHAT | {"max_tokens": 2}).status_code == 200
    time.sleep(0.1)
    left, stayed = sorted(reference.truth(child), key=lambda record: -record["prompt_chars"])
    assert 1 <= len(left["sent_ns"]) < 1000
    assert len(stayed["sent_ns"]) == 2


def test_one_connection_serves_many_requests_and_a_pipelined_one(reference: Reference) -> None:
    child = reference()
    one = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"
    with socket.create_connection(child.address) as sock:
        for requests in (1, 1, 2):
            sock.sendall(one * requests)
            data = b""
            while data.count(b'"owned_by":"ratecard"}]}') < requests:
                data += sock.recv(65536)
        sock.sendall(one.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        assert b"200 OK" in sock.recv(65536)
        assert sock.recv(65536) == b""


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "says"),
    [
        ("POST", "completions", b"{", 400, "Unreadable request body"),
        ("POST", "completions", b'{"model": "m", "prompt": ["a", "b"]}', 400, "one string"),
        ("POST", "completions", b'{"model": "m", "prompt": "a", "max_tokens": 0}', 400, "max_tokens"),
        ("POST", "chat/completions", b'{"model": "m"}', 400, "messages"),
        ("POST", "embeddings", b"{}", 404, "Unknown path"),
        ("GET", "completions", b"", 405, "takes POST"),
    ],
)
def test_a_bad_request_is_answered_in_openais_form(
    reference: Reference, method: str, path: str, content: bytes, status: int, says: str
) -> None:
    response = httpx.request(method, f"{reference().url}/{path}", content=content)
    assert response.status_code == status
    assert says in response.json()["error"]["message"]


def test_garbage_is_answered_and_the_connection_closed(reference: Reference) -> None:
    with socket.create_connection(reference().address) as sock:
        sock.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        answer = b""
        while data := sock.recv(65536):
            answer += data
    assert answer.startswith(b"HTTP/1.1 4")


def test_a_key_and_a_model_can_be_demanded(reference: Reference) -> None:
    child = reference("--api-key", "s3cret", "--model", "only-this")
    missing = post(child, "chat/completions", CHAT)
    assert (missing.status_code, missing.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "s3cret" not in missing.text
    other = post(child, "chat/completions", CHAT, authorization="Bearer s3cret")
    assert (other.status_code, other.json()["error"]["code"]) == (404, "model_not_found")
    right = post(child, "chat/completions", CHAT | {"model": "only-this"}, authorization="Bearer s3cret")
    assert right.status_code == 200
    models = httpx.get(f"{child.url}/models", headers={"authorization": "Bearer s3cret"}).json()
    assert [model["id"] for model in models["data"]] == ["only-this"]


def test_usage_can_be_withheld(reference: Reference) -> None:
    response = post(reference("--no-usage"), "chat/completions", CHAT | USAGE | {"max_tokens": 2})
    assert not any("usage" in event for event in events(response))


def test_an_endpoint_that_does_not_stream_answers_in_one_piece(reference: Reference) -> None:
    response = post(reference("--no-stream"), "chat/completions", CHAT | {"max_tokens": 3})
    assert response.headers["content-type"] == "application/json"
    assert response.json()["choices"][0]["message"]["content"] == " tok" * 3
    assert response.json()["usage"]["completion_tokens"] == 3


def test_an_endpoint_that_hangs_says_nothing_and_still_stops(reference: Reference) -> None:
    child = reference("--fault", "hang")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{child.url}/chat/completions", json=CHAT, timeout=0.3)
    assert child.close_stdin() == 0


def test_sigusr1_writes_the_log_so_far(reference: Reference) -> None:
    child = reference()
    post(child, "chat/completions", CHAT | {"max_tokens": 2})
    assert reference.read() == []
    child.process.send_signal(signal.SIGUSR1)
    end = time.monotonic() + 5
    while not reference.read() and time.monotonic() < end:
        time.sleep(0.01)
    assert len(reference.read()) == 1
    assert len(reference.truth(child)) == 1


def test_stopping_in_the_middle_of_a_stream_keeps_its_record(reference: Reference) -> None:
    child = reference("--itl-ms", 50)
    with httpx.stream("POST", f"{child.url}/chat/completions", json=CHAT | {"max_tokens": 1000}) as response:
        next(response.iter_raw())
        child.process.send_signal(signal.SIGTERM)
        assert child.process.wait(timeout=5) == 0
    (record,) = reference.read()
    assert len(record["sent_ns"]) >= 1


def test_a_taken_port_is_an_error_event(reference: Reference) -> None:
    taken = reference().address[1]
    child = reference("--port", taken)
    assert child.ready["event"] == "error"
    assert str(taken) in child.ready["message"]
    assert child.close_stdin() == 1
