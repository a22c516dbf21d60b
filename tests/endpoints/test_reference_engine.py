"""The reference endpoint as an engine: slots, a queue, a prefix cache and /metrics."""

import json
import re
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from endpoints.reference.prefix_cache import PrefixCache
from endpoints.reference.request import Generation
from tests.endpoints.children import Child, Reference


def body(prompt: str, max_tokens: int) -> dict[str, Any]:
    return {"model": "m", "prompt": prompt, "stream": True, "max_tokens": max_tokens}


def ask(child: Child, prompt: str, max_tokens: int) -> httpx.Response:
    return httpx.post(f"{child.url}/completions", json=body(prompt, max_tokens), timeout=30)


def send(child: Child, prompt: str, max_tokens: int) -> socket.socket:
    """Ask on a connection of its own, and read nothing."""
    sock = socket.create_connection(child.address)
    sock.sendall(request(prompt, max_tokens))
    return sock


def request(prompt: str, max_tokens: int) -> bytes:
    content = json.dumps(body(prompt, max_tokens)).encode()
    return b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(content) + content


def metrics(child: Child) -> dict[str, float]:
    """The samples by name, without `vllm:`; a finished reason is part of the name."""
    text = httpx.get(f"{child.url.removesuffix('/v1')}/metrics", timeout=10).text
    samples = re.findall(r"^vllm:(\w+)\{(?:finished_reason=\"(\w+)\",)?model_name=\"\w+\"\} (\S+)$", text, re.MULTILINE)
    return {f"{name}:{reason}" if reason else name: float(value) for name, reason, value in samples}


def wait_for(child: Child, holds: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    """Return the first metrics of which `holds` is true."""
    end = time.monotonic() + 20
    while not holds(now := metrics(child)):
        assert time.monotonic() < end, now
        time.sleep(0.005)
    return now


def test_with_one_slot_the_second_request_begins_when_the_first_has_ended(reference: Reference) -> None:
    child = reference("--slots", 1, "--ttft-ms", 100, "--itl-ms", 10)
    with send(child, "a", 151):  # long enough to be looked at meanwhile, on a busy machine too
        wait_for(child, lambda now: now["num_requests_running"] == 1)
        with send(child, "bb", 11):
            wait_for(child, lambda now: now["num_requests_waiting"] == 1)
            ask(child, "ccc", 11)
    first, second, third = sorted(reference.truth(child), key=lambda record: record["sent_ns"][0])
    assert [record["prompt_chars"] for record in (first, second, third)] == [1, 2, 3]
    # each takes 100 ms to its first token, from when the one before has ended; then come gaps of 10 ms, each from when
    # the token before was due: one that is late itself has the next one sooner behind it, and the last is never early
    for earlier, later in ((first, second), (second, third)):
        assert earlier["received_ns"] < later["received_ns"] < earlier["sent_ns"][-1]
        assert later["sent_ns"][0] - earlier["sent_ns"][-1] >= 99e6
        assert later["sent_ns"][-1] - earlier["sent_ns"][-1] >= 198e6


def test_a_client_that_leaves_frees_its_slot_or_its_place(reference: Reference) -> None:
    child = reference("--slots", 1, "--ttft-ms", 0, "--itl-ms", 20)
    with send(child, "plays", 100_000):
        wait_for(child, lambda now: now["num_requests_running"] == 1)
        with send(child, "waits", 5):
            wait_for(child, lambda now: now["num_requests_waiting"] == 1)
        wait_for(child, lambda now: now["num_requests_waiting"] == 0)
        assert metrics(child)["num_requests_running"] == 1
    assert ask(child, "next", 5).text.count(" tok") == 5
    after = wait_for(child, lambda now: now["num_requests_running"] == 0)
    assert (after["request_success_total:abort"], after["request_success_total:length"]) == (1, 1)
    sent = {record["prompt_chars"]: len(record["sent_ns"]) for record in reference.truth(child)[-2:]}
    assert sent[len("next")] == 5


def test_who_sends_on_or_leaves_at_the_moment_that_its_turn_comes_is_served_or_dropped(reference: Reference) -> None:
    child = reference("--slots", 1, "--ttft-ms", 500, "--itl-ms", 0)
    first, second, third, fourth = (send(child, prompt, 1) for prompt in ("a", "bb", "ccc", "dddd"))
    wait_for(child, lambda now: now["num_requests_waiting"] == 3)
    # While the server sleeps, the first answer falls due, and news comes from those who wait: all is seen in one turn.
    child.process.send_signal(signal.SIGSTOP)
    for sock in (fourth, second):
        sock.sendall(request("pipelined", 1))
    third.close()
    time.sleep(0.6)
    child.process.send_signal(signal.SIGCONT)
    for sock, answers in ((first, 1), (second, 2), (fourth, 2)):
        data = b""
        while data.count(b"[DONE]") < answers:
            data += sock.recv(65536)
        sock.close()
    assert wait_for(child, lambda now: now["num_requests_running"] == 0)["request_success_total:length"] == 5


def test_metrics_show_who_runs_and_who_waits_and_count_tokens(reference: Reference) -> None:
    child = reference("--slots", 2, "--ttft-ms", 0, "--itl-ms", 10)
    socks = [send(child, "12345678", 20_000) for _ in range(3)]
    busy = wait_for(child, lambda now: now["num_requests_waiting"] == 1 and now["generation_tokens_total"] > 2)
    assert busy["num_requests_running"] == 2
    assert busy["kv_cache_usage_perc"] == 1.0
    assert busy["prompt_tokens_total"] == 2 * 2  # 8 characters are 2 tokens; who waits is not counted
    for sock in socks:
        sock.close()
    wait_for(child, lambda now: now["num_requests_running"] == 0)
    before = metrics(child)["generation_tokens_total"]
    ask(child, "abc", 7)
    after = wait_for(child, lambda now: now["request_success_total:length"] == 1)
    assert after["generation_tokens_total"] - before == 7


def test_metrics_need_no_key_have_help_and_can_be_left_out(reference: Reference) -> None:
    child = reference("--api-key", "s3cret", "--model", "only-this")
    response = httpx.get(f"{child.url.removesuffix('/v1')}/metrics", timeout=10)
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = [line for line in response.text.splitlines() if not line.startswith("#")]
    names = {line.partition("{")[0] for line in samples}
    assert all(f"# HELP {name} " in response.text and f"# TYPE {name} " in response.text for name in names)
    assert 'vllm:num_requests_running{model_name="only-this"} 0' in samples
    bare = reference("--no-metrics")
    assert httpx.get(f"{bare.url.removesuffix('/v1')}/metrics", timeout=10).status_code == 404


def test_a_follow_up_hits_the_prefix_cache(reference: Reference) -> None:
    child = reference("--prefix-cache")
    question, answer = "q" * 200, " tok" * 20

    def turn(messages: list[dict[str, str]]) -> dict[str, Any]:
        chat = {"model": "m", "messages": messages, "max_tokens": 20}
        usage: dict[str, Any] = httpx.post(f"{child.url}/chat/completions", json=chat, timeout=10).json()["usage"]
        return usage

    first = [{"role": "user", "content": question}]
    assert turn(first)["prompt_tokens_details"] == {"cached_tokens": 0}
    follow_up = [*first, {"role": "assistant", "content": answer}, {"role": "user", "content": "and?"}]
    second = turn(follow_up)
    # all messages count: (200 + 80 + 4) / 4 = 71 tokens
    assert second["prompt_tokens"] == 71
    # "user" + 200 characters are 3 whole blocks of 64 characters or 16 tokens
    assert second["prompt_tokens_details"] == {"cached_tokens": 48}
    now = metrics(child)
    assert (now["prefix_cache_queries_total"], now["prefix_cache_hits_total"]) == (50 + 71, 48)
    # the hash of the truth is of the users' texts alone
    assert [record["prompt_chars"] for record in reference.truth(child)] == [200, 204]


def test_without_a_prefix_cache_nothing_is_cached(reference: Reference) -> None:
    child = reference()
    for _ in range(2):
        chat = {"model": "m", "messages": [{"role": "user", "content": "q" * 200}], "max_tokens": 1}
        usage = httpx.post(f"{child.url}/chat/completions", json=chat, timeout=10).json()["usage"]
        assert usage["prompt_tokens_details"] == {"cached_tokens": 0}


@pytest.mark.parametrize(
    ("texts", "cached"),
    [
        (["a" * 256, "a" * 256], [0, 63]),  # the same again: all but one token
        (["a" * 256, "a" * 100 + "b" * 156], [0, 16]),  # differs in the second block
        (["a" * 256, "b" + "a" * 255], [0, 0]),  # a block is known only after the same beginning
        (["a" * 60, "a" * 60], [0, 0]),  # less than a block
        (["a" * 256, "b" * 256, "a" * 256], [0, 0, 0]),  # 4 blocks of room: the second text drives out the first
    ],
)
def test_the_prefix_cache_knows_the_longest_chain_of_blocks(texts: list[str], cached: list[int]) -> None:
    cache = PrefixCache(blocks=4)
    assert [
        cache.cached_tokens(Generation("completions", "m", (("", text),), False, False, None)) for text in texts
    ] == cached
