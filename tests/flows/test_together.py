"""Workers of one level on one machine: told one instant to begin at, none waited for in vain, and stopped together."""

import asyncio
from time import monotonic_ns
from typing import Any

import pytest

from flows.together import Together


class Workers:
    """What each worker was told."""

    def __init__(self, workers: int) -> None:
        self.together = Together(range(workers))
        self.told: dict[int, list[dict[str, Any]]] = {worker: [] for worker in range(workers)}

    def ready(self, *workers: int) -> None:
        for worker in workers:
            self.together.heard({"event": "ready", "shard": worker}, self.told[worker].append)

    def progress(self, worker: int, stop_reason: str | None = None, *, satisfied: bool = False) -> None:
        event = {"event": "progress", "shard": worker, "stop_reason": stop_reason, "satisfied": satisfied}
        self.together.heard(event, self.told[worker].append)

    def stops(self) -> dict[int, list[str]]:
        return {worker: [m["stop"] for m in told if "stop" in m] for worker, told in self.told.items()}


async def test_nobody_begins_before_all_are_ready_and_then_all_at_one_instant() -> None:
    workers = Workers(3)
    workers.ready(2, 0)
    assert workers.told == {0: [], 1: [], 2: []}
    now_ns = monotonic_ns()
    workers.ready(1)
    [start] = workers.told[0]
    assert workers.told == {worker: [start] for worker in range(3)}
    assert start["start_ns"] >= now_ns + 100_000_000  # LEAD_S: to be heard of before it is
    await workers.together.wait()
    assert monotonic_ns() >= start["start_ns"] - 2_000_000  # timers are of whole milliseconds


async def test_a_worker_that_ended_is_not_waited_for() -> None:
    workers = Workers(2)
    workers.ready(0)
    workers.together.gone(1)
    assert len(workers.told[0]) == 1
    workers.together.gone(0)  # it has run to its end
    assert len(workers.told[0]) == 1


async def test_without_any_worker_nothing_begins() -> None:
    workers = Workers(2)
    workers.together.gone(0)
    workers.together.gone(1)
    assert workers.told == {0: [], 1: []}
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(workers.together.wait(), 0.01)


async def test_a_worker_that_takes_too_long_is_told_the_instant_that_it_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.together.PATIENCE_S", 0.01)
    monkeypatch.setattr("flows.together.LEAD_S", 0.01)
    workers = Workers(2)
    workers.ready(0)
    await workers.together.wait()
    workers.ready(1)
    assert workers.told[1] == workers.told[0] != []


@pytest.mark.parametrize("reason", ["error_share", "over_saturated"])
async def test_a_level_that_one_worker_gives_up_is_over_for_all(reason: str) -> None:
    workers = Workers(3)
    workers.ready(0, 1, 2)
    workers.progress(0)
    assert workers.stops() == {0: [], 1: [], 2: []}
    workers.progress(1, reason)
    workers.progress(2, reason)  # told once
    assert workers.stops() == {0: [reason], 1: [reason], 2: [reason]}


async def test_a_level_of_a_narrow_interval_ends_when_all_workers_have_theirs() -> None:
    workers = Workers(3)
    workers.ready(0, 1, 2)
    workers.progress(0, satisfied=True)
    workers.progress(1, satisfied=True)
    workers.progress(0, satisfied=True)
    assert workers.stops() == {0: [], 1: [], 2: []}
    workers.together.gone(2)  # it was killed
    assert workers.stops() == {0: ["confidence"], 1: ["confidence"], 2: []}
