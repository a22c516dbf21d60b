"""Conversations in a closed loop: turns follow answers, thinking holds no slot, and requests are what is counted."""

import asyncio
import json
from collections import defaultdict
from itertools import pairwise

import pytest

THREE_TURNS = {"count": 3, "think_time_s": 0.1, "think_time": "fixed"}


@pytest.fixture
def talkative(wire):
    async def answer(body, writer) -> None:
        await asyncio.sleep(0.01)
        writer.write(wire.stream("in", "deed"))

    return answer


def by_conversation(rows):
    talks = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["request_index"]):
        talks[row["conversation_index"]].append(row)
    return talks


def test_a_turn_carries_what_was_said_before(run_level, talkative) -> None:
    result = run_level(talkative, concurrency=1, requests=6, turns=THREE_TURNS | {"think_time_s": 0.0})
    said = [[message["role"] for message in body["messages"]] for body in result.server.bodies]
    longest = max(said, key=len)
    assert longest == ["user", "assistant", "user", "assistant", "user"]
    answers = {
        message["content"]
        for body in result.server.bodies
        for message in body["messages"]
        if message["role"] == "assistant"
    }
    assert answers == {"indeed"}
    assert result.done["turns_left_out"] == 0


@pytest.mark.parametrize(
    "shape", [{"concurrency": 2}, {"kind": "open", "concurrency": None, "rate": 100.0, "arrivals": "constant"}]
)
def test_turns_that_come_once_measuring_has_begun_are_measured(run_level, talkative, shape) -> None:
    result = run_level(talkative, requests=30, warmup_requests=4, turns=THREE_TURNS | {"think_time_s": 0.1}, **shape)
    begun = min(row["sent_ns"] for row in result.rows if row["phase"] == "measure")
    assert [row for row in result.rows if row["phase"] == "warmup" and row["sent_ns"] > begun + 20_000_000] == []
    assert any(row["phase"] == "measure" and row["conversation_index"] < 4 for row in result.rows)
    assert sum(row["phase"] == "measure" for row in result.rows) == 30


def test_single_requests_have_no_turns_to_leave_out(run_level, talkative) -> None:
    assert run_level(talkative, requests=2).done["turns_left_out"] is None


def test_requests_are_counted_not_conversations(run_level, talkative) -> None:
    result = run_level(talkative, concurrency=2, requests=7, warmup_requests=1, turns=THREE_TURNS)
    assert sum(row["phase"] == "measure" for row in result.rows) == 7
    assert result.done["stop_reason"] == "count"
    warm = [row for row in result.rows if row["phase"] == "warmup"]
    assert {row["conversation_index"] for row in warm} == {0}
    assert 1 <= len(warm) <= 3


def test_a_conversation_that_thinks_holds_no_slot(run_level, talkative) -> None:
    result = run_level(talkative, concurrency=1, requests=20, turns=THREE_TURNS | {"think_time_s": 0.2})
    rows = sorted(result.rows, key=lambda row: row["sent_ns"])
    # with one slot and answers of 10 ms, other conversations are begun during the first one's 200 ms
    second_turn = next(at for at, row in enumerate(rows) if row["turn_index"] == 1)
    assert second_turn >= 2
    assert result.server.peak == 1
    for talk in by_conversation(rows).values():
        for earlier, later in pairwise(talk):
            assert later["turn_index"] == earlier["turn_index"] + 1
            assert later["scheduled_ns"] - earlier["closed_ns"] >= 200_000_000


@pytest.mark.parametrize(
    "shape", [{"concurrency": 2}, {"kind": "open", "concurrency": None, "rate": 100.0, "arrivals": "constant"}]
)
def test_turns_that_were_not_due_at_the_end_are_counted(run_level, talkative, shape) -> None:
    result = run_level(talkative, requests=8, warmup_requests=1, turns=THREE_TURNS | {"think_time_s": 60.0}, **shape)
    assert [row["turn_index"] for row in result.rows] == [0] * 9
    assert result.done["turns_left_out"] == 18


def test_a_failed_turn_ends_its_conversation(run_level, wire) -> None:
    async def answer(body, writer) -> None:
        fails = len(body["messages"]) == 3
        writer.write(wire.sized(b"no", "500 Internal Server Error") if fails else wire.stream("a"))

    result = run_level(answer, concurrency=1, requests=8, turns=THREE_TURNS | {"think_time_s": 0.0})
    assert max(len(body["messages"]) for body in result.server.bodies) == 3
    assert set(result.done["outcomes"]) == {"ok", "http_error"}
    assert result.done["turns_left_out"] == 0  # four conversations, each to its failure


def test_a_prefix_group_is_on_the_row(run_level, talkative) -> None:
    result = run_level(talkative, requests=4, shared_prefix={"tokens": 20, "prefixes": 2})
    rows = sorted(result.rows, key=lambda row: row["request_index"])
    assert [row["prefix_group"] for row in rows] == [0, 1, 0, 1]
    starts = {json.dumps(body["messages"][0]["content"][:40]) for body in result.server.bodies}
    assert len(starts) == 2


@pytest.mark.parametrize(
    "shape", [{"concurrency": 2}, {"kind": "open", "concurrency": None, "rate": 200.0, "arrivals": "poisson"}]
)
def test_no_turn_is_sent_before_it_is_due_though_timers_come_too_early(
    run_level, talkative, monkeypatch: pytest.MonkeyPatch, shape
) -> None:
    def early(loop, delay, callback, *arguments, context=None):
        return loop.call_at(loop.time() + delay / 2, callback, *arguments, context=context)

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_later", early)
    result = run_level(talkative, requests=60, turns=THREE_TURNS | {"think_time_s": 0.02}, **shape)
    assert sum(row["turn_index"] > 0 for row in result.rows) >= 1
    assert [row for row in result.rows if row["sent_ns"] < row["scheduled_ns"]] == []
