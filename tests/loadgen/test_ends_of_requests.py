"""Requests that the client ends: by plan, at the end of the grace, and levels that end when enough is known."""

import asyncio
from collections import Counter

import pytest


@pytest.fixture
def first_token_then_nothing(wire):
    async def answer(body, writer) -> None:
        writer.write(wire.STREAM_HEAD + wire.chunk(wire.token("a")))
        await writer.drain()
        await asyncio.sleep(30)

    return answer


def test_the_plan_cancels_its_share_after_its_time(run_level, first_token_then_nothing) -> None:
    result = run_level(first_token_then_nothing, requests=6, cancel_share=1.0, cancel_after_s=0.2)
    assert result.done["outcomes"] == {"cancelled": 6}
    assert {row["error"] for row in result.rows} == {"the plan cancelled it after 0.2 s"}
    assert all(row["token_chunks"] == 1 for row in result.rows)
    assert all(row["closed_ns"] - row["sent_ns"] >= 0.2e9 for row in result.rows)
    assert result.done["first_failure"] is None  # it was asked for
    assert result.done["stop_reason"] == "count"
    assert result.server.connections == 6  # each was hung up on


def test_an_answer_that_is_quicker_than_the_cancellation_is_ok(run_level, wire) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.stream("a"))

    result = run_level(answer, requests=6, cancel_share=1.0, cancel_after_s=20.0)
    assert result.done["outcomes"] == {"ok": 6}


@pytest.mark.parametrize("kind", ["closed", "open"])
def test_the_seed_chooses_which_are_cancelled(run_level, wire, kind: str) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.STREAM_HEAD + wire.chunk(wire.token("a")))
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.write(wire.chunk(wire.finish()) + wire.END)

    shape = {"kind": "closed", "concurrency": 8} if kind == "closed" else {
        "kind": "open", "concurrency": None, "arrivals": "constant", "rate": 200.0,
    }  # fmt: skip
    runs = [
        run_level(answer, **shape, requests=60, cancel_share=0.3, cancel_after_s=0.0, seed=seed) for seed in (1, 1, 2)
    ]
    chosen = [{row["request_index"] for row in run.rows if row["outcome"] == "cancelled"} for run in runs]
    assert chosen[0] == chosen[1] != chosen[2]
    assert 6 <= len(chosen[0]) <= 30  # 18 of 60 on average, one standard deviation is 3.5


def test_which_are_cancelled_does_not_depend_on_the_number_of_shards(run_level, wire) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.STREAM_HEAD + wire.chunk(wire.token("a")))
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.write(wire.chunk(wire.finish()) + wire.END)

    def chosen(shards: int) -> set[str]:
        runs = [
            run_level(answer, concurrency=9, requests=45, cancel_share=0.3, cancel_after_s=0.0, shard=s, shards=shards)
            for s in range(shards)
        ]
        return {row["prompt_sha256"] for run in runs for row in run.rows if row["outcome"] == "cancelled"}

    assert chosen(1) == chosen(3) != set()


def test_a_slot_goes_on_after_a_cancelled_request(run_level, first_token_then_nothing) -> None:
    result = run_level(
        first_token_then_nothing, concurrency=1, requests=3, cancel_share=1.0, cancel_after_s=0.05,
        target={"timeout_s": 5.0},
    )  # fmt: skip
    rows = sorted(result.rows, key=lambda row: row["request_index"])
    assert [row["outcome"] for row in rows] == ["cancelled"] * 3
    assert [row["scheduled_ns"] for row in rows[1:]] == [row["closed_ns"] for row in rows[:-1]]


def test_a_time_out_after_a_cancelled_request_is_still_a_time_out(run_level, first_token_then_nothing) -> None:
    result = run_level(
        first_token_then_nothing, concurrency=1, requests=12, cancel_share=0.5, cancel_after_s=0.02,
        target={"timeout_s": 0.1},
    )  # fmt: skip
    assert set(result.done["outcomes"]) == {"cancelled", "timeout"}


@pytest.mark.parametrize("kind", ["closed", "open"])
def test_the_grace_ends_what_is_still_in_flight(run_level, first_token_then_nothing, kind: str) -> None:
    shape = {"concurrency": 3} if kind == "closed" else {
        "kind": "open", "concurrency": None, "arrivals": "constant", "rate": 50.0,
    }  # fmt: skip
    result = run_level(first_token_then_nothing, **shape, requests=3, grace_s=0.3)
    assert result.done["outcomes"] == {"timeout": 3}
    assert {row["error"] for row in result.rows} == {"not complete 0.3 s after the level's last request (grace_s)"}
    last_sent = max(row["sent_ns"] for row in result.rows)
    assert all(row["closed_ns"] - last_sent >= 0.29e9 for row in result.rows)
    assert result.done["stop_reason"] == "count"


@pytest.mark.parametrize("kind", ["closed", "open"])
def test_a_grace_shorter_than_the_pause_between_requests_still_ends_the_last(
    run_level, first_token_then_nothing, kind: str
) -> None:
    shape = (
        {"concurrency": 1, "target": {"timeout_s": 0.4}}
        if kind == "closed"
        else {"kind": "open", "concurrency": None, "arrivals": "constant", "rate": 4.0}
    )
    result = run_level(first_token_then_nothing, **shape, requests=2, grace_s=0.0)
    assert "grace_s" in max(result.rows, key=lambda row: row["scheduled_ns"])["error"]


def test_a_duration_and_its_grace_end_a_level_that_hangs(run_level, first_token_then_nothing) -> None:
    """No slot comes free to notice that the time is up."""
    result = run_level(first_token_then_nothing, requests=None, duration_s=0.3, grace_s=0.2)
    assert result.done["outcomes"] == {"timeout": 2}
    assert result.done["stop_reason"] == "duration"


def test_without_a_grace_requests_are_followed_to_their_end(run_level, wire) -> None:
    async def answer(body, writer) -> None:
        await asyncio.sleep(0.4)
        writer.write(wire.stream("a"))

    result = run_level(answer, requests=None, duration_s=0.1)
    assert result.done["outcomes"] == {"ok": 2}


def test_a_level_ends_once_its_mean_is_known(run_level, wire) -> None:
    async def answer(body, writer) -> None:
        await asyncio.sleep(0.02)
        writer.write(wire.stream("a", "b"))

    result = run_level(
        answer, requests=None, duration_s=50.0, confidence_metric="e2e", confidence_share=0.9, warmup_requests=2
    )
    assert result.done["stop_reason"] == "confidence"
    counts = Counter(row["phase"] for row in result.rows)
    assert counts["warmup"] == 2
    assert counts["measure"] >= 20  # 10 completions a slot
