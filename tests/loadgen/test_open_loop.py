"""An open loop sends on schedule whatever the server does, and its rows keep the schedule."""

import asyncio
import time
from collections import Counter
from itertools import pairwise

import pytest

from loadgen.schedule import all_offsets

OPEN = {"kind": "open", "concurrency": None}


@pytest.fixture
def quick(wire):
    async def answer(body, writer) -> None:
        writer.write(wire.stream("a", "b", "c", prompt=50))

    return answer


def test_rows_carry_the_arrival_times_of_the_schedule(run_level, quick) -> None:
    result = run_level(quick, **OPEN, arrivals="poisson", rate=100.0, requests=40, warmup_requests=5)
    scheduled = sorted(row["scheduled_ns"] for row in result.rows)
    offsets = [offset for _, offset in zip(scheduled, all_offsets(result.spec), strict=False)]
    # to the nanosecond, all counted from one instant
    between = [later - earlier for earlier, later in pairwise(scheduled)]
    assert between == pytest.approx([(b - a) * 1e9 for a, b in pairwise(offsets)], abs=2)
    assert Counter(row["phase"] for row in result.rows) == {"warmup": 5, "measure": 40}
    assert all(row["sent_ns"] >= row["scheduled_ns"] for row in result.rows)
    assert {row["outcome"] for row in result.rows} == {"ok"}
    assert result.done["stop_reason"] == "count"


def late_by(result) -> list[int]:
    """How long after its schedule each request was sent, in the order of the schedule (ns)."""
    rows = sorted(result.rows, key=lambda row: row["scheduled_ns"])
    return [row["sent_ns"] - row["scheduled_ns"] for row in rows]


def test_a_shard_that_begins_a_little_late_catches_up_and_says_how_late_it_was(run_level, quick, monkeypatch) -> None:
    monkeypatch.setattr("loadgen.level._CATCH_UP_NS", 60e9)  # so that a busy machine is a little late, too
    result = run_level(quick, **OPEN, arrivals="constant", rate=20.0, requests=12, start_at=time.time() - 0.4)
    assert result.done["health"]["late_start_ms"] >= 400
    # the plan's times stand: 50 ms apart from the common start on, the 9 of the first 400 ms before anything was sent
    scheduled = sorted(row["scheduled_ns"] for row in result.rows)
    assert [later - earlier for earlier, later in pairwise(scheduled)] == [50_000_000] * 11
    assert all(late >= (400 - 50 * due) * 1e6 for due, late in enumerate(late_by(result)[:9]))
    assert result.done["health"]["late_sends"] >= 8


def test_a_shard_that_begins_much_too_late_floods_nobody_and_is_late_to_its_end(run_level, quick) -> None:
    result = run_level(quick, **OPEN, arrivals="constant", rate=50.0, requests=10, start_at=time.time() - 3)
    assert result.done["health"]["late_start_ms"] >= 3000
    assert min(late_by(result)) >= 3e9
    assert result.done["health"]["late_sends"] == 10
    # at its own pace: the last was due 9 intervals of 20 ms after the first, which was at least that long ago
    sent = sorted(row["sent_ns"] for row in result.rows)
    assert sent[-1] >= min(row["scheduled_ns"] for row in result.rows) + 3e9 + 9 * 20e6


def test_a_slow_server_holds_nothing_back(run_level, wire) -> None:
    all_came = asyncio.Event()
    came: list[object] = []

    async def answer(body, writer) -> None:
        came.append(body)
        if len(came) == 30:
            all_came.set()  # before any was answered
        await all_came.wait()
        writer.write(wire.stream("a"))

    result = run_level(answer, **OPEN, arrivals="constant", rate=100.0, requests=30)
    assert result.server.peak == 30
    assert result.done["outcomes"] == {"ok": 30}


def test_connections_are_open_before_they_are_needed(run_level, quick) -> None:
    result = run_level(quick, **OPEN, arrivals="constant", rate=50.0, requests=25)
    assert [row for row in result.rows if row["connect_ns"] is not None] == []


def test_above_the_most_in_flight_requests_go_late_and_none_is_dropped(run_level, wire) -> None:
    async def answer(body, writer) -> None:
        await asyncio.sleep(0.05)
        writer.write(wire.stream("a"))

    result = run_level(answer, **OPEN, arrivals="constant", rate=200.0, requests=20, max_in_flight=2)
    assert result.server.peak == 2
    assert len(result.rows) == 20
    # 20 requests, 2 at a time, take 10 rounds of 50 ms at least; the last was due after 95 ms
    last = max(result.rows, key=lambda row: row["scheduled_ns"])
    assert last["sent_ns"] - last["scheduled_ns"] >= 300e6
    assert result.done["health"]["late_sends"] >= 15


def test_a_duration_is_one_of_arrivals(run_level, quick) -> None:
    result = run_level(quick, **OPEN, arrivals="constant", rate=50.0, requests=None, duration_s=0.5, warmup_requests=10)
    # warm-up until 0.18 s; measured arrivals from 0.20 s until before 0.68 s
    assert Counter(row["phase"] for row in result.rows) == {"warmup": 10, "measure": 24}
    assert result.done["stop_reason"] == "duration"


def test_the_shards_of_a_level_send_each_request_once(run_level, quick) -> None:
    fields = {**OPEN, "arrivals": "poisson", "rate": 200.0, "requests": 31, "warmup_requests": 4, "shards": 2}
    parts = [run_level(quick, **fields, shard=shard) for shard in range(2)]
    alone = run_level(quick, **fields | {"shards": 1})
    hashes = sorted(row["prompt_sha256"] for part in parts for row in part.rows)
    assert hashes == sorted(row["prompt_sha256"] for row in alone.rows)
    assert [len(part.rows) for part in parts] == [18, 17]


def test_failures_stop_an_open_loop_too(run_level, wire) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.sized(b"no", "500 Internal Server Error"))

    result = run_level(answer, **OPEN, arrivals="constant", rate=20.0, requests=None, duration_s=50.0, error_share=0.5)
    assert result.done["stop_reason"] == "error_share"
    assert 3 <= len(result.rows) < 100


def test_an_interruption_wakes_a_loop_that_waits_for_its_next_arrival(run_level, quick) -> None:
    result = run_level(quick, **OPEN, arrivals="constant", rate=0.01, requests=3, interrupt_once_ended=1)
    assert result.done["interrupted"]
    assert result.done["stop_reason"] == "interrupted"
    assert result.done["outcomes"] == {"ok": 1}


@pytest.mark.parametrize("how", ["interrupted", "error_share"])
def test_what_waits_for_its_time_when_a_level_is_broken_off_was_never_a_request(
    run_level, wire, monkeypatch, how: str
) -> None:
    monkeypatch.setattr("loadgen.open_loop._EARLY_NS", 3e9)  # 30 wait on their connections at any time

    async def answer(body, writer) -> None:
        writer.write(wire.stream("a") if how == "interrupted" else wire.sized(b"no", "500 Internal Server Error"))

    ends = {"interrupt_once_ended": 2} if how == "interrupted" else {"error_share": 0.5}
    result = run_level(answer, **OPEN, arrivals="constant", rate=10.0, requests=300, **ends)
    assert result.done["stop_reason"] == how
    assert 2 <= len(result.rows) < 30
    assert all(row["closed_ns"] >= row["scheduled_ns"] for row in result.rows)
    assert all(row["sent_ns"] >= row["scheduled_ns"] for row in result.rows)
    assert result.events[-1]["sent"] == result.events[-1]["done"] == len(result.rows)


def test_a_request_that_is_cut_is_cut_so_long_after_its_time(run_level, wire) -> None:
    async def answer(body, writer) -> None:
        await asyncio.Event().wait()

    cut = {"cancel_share": 1.0, "cancel_after_s": 0.02}
    result = run_level(answer, **OPEN, arrivals="constant", rate=50.0, requests=10, **cut)
    assert result.done["outcomes"] == {"cancelled": 10}
    assert all(row["closed_ns"] - row["sent_ns"] >= 20e6 for row in result.rows)


def test_the_longest_duration_ends_an_open_loop(run_level, quick) -> None:
    result = run_level(quick, **OPEN, arrivals="constant", rate=1.5, requests=100, max_duration_s=0.5)
    assert result.done["stop_reason"] == "max_duration"
    assert len(result.rows) == 1


def test_a_server_that_falls_behind_stops_the_level(run_level, wire, monkeypatch) -> None:
    async def one_at_a_time(body, writer) -> None:
        async with lock:
            await asyncio.sleep(0.1)
            writer.write(wire.stream("a"))

    lock = asyncio.Lock()
    checks = []

    def check(self, at_s, arrivals, served, waited_s) -> bool:
        checks.append((arrivals, served, waited_s))
        return True  # the rule itself has tests of its own

    monkeypatch.setattr("loadgen.stopping.OverSaturation.check", check)
    result = run_level(one_at_a_time, **OPEN, arrivals="constant", rate=40.0, requests=None, duration_s=50.0)
    assert result.done["stop_reason"] == "over_saturated"
    (arrivals, served, waited_s), *others = checks
    assert not others
    assert arrivals > served >= 1
    assert waited_s > 0
    assert result.done["outcomes"] == {"ok": len(result.rows)}  # what was in flight is followed to its end


def test_a_ramp_and_a_trace_are_never_over_saturated(run_level, quick, monkeypatch) -> None:
    monkeypatch.setattr("loadgen.stopping.OverSaturation.check", lambda *_: True)
    result = run_level(quick, **OPEN, arrivals="ramp", rate=20.0, requests=None, duration_s=1.3)
    assert result.done["stop_reason"] == "duration"


def test_follow_up_turns_come_after_their_answer_and_the_think_time(run_level, wire) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.stream("x", "y"))

    turns = {"count": 3, "think_time_s": 0.1, "think_time": "fixed"}
    result = run_level(answer, **OPEN, arrivals="constant", rate=30.0, requests=None, duration_s=1.5, turns=turns)
    talks: dict[int, list[dict]] = {}
    for row in sorted(result.rows, key=lambda row: row["scheduled_ns"]):
        talks.setdefault(row["conversation_index"], []).append(row)
    assert [row["turn_index"] for row in talks[0]] == [0, 1, 2]
    for talk in talks.values():
        for earlier, later in pairwise(talk):
            assert later["scheduled_ns"] - earlier["closed_ns"] == 100_000_000
    # requests come at 30/s: conversations of 3 open 10 times a second
    opened = sorted(talk[0]["scheduled_ns"] for talk in talks.values())
    assert opened[1] - opened[0] == pytest.approx(100e6, abs=2)
    assert result.server.bodies[-1]["messages"][1:2] in ([], [{"role": "assistant", "content": "xy"}])
