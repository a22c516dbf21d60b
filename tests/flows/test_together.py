"""Workers of one level on one machine: all are told one instant, and none is waited for in vain."""

import asyncio
from time import monotonic_ns

import pytest

from flows.together import CommonStart


class Told:
    """What each worker was told."""

    def __init__(self, workers: int) -> None:
        self.start = CommonStart(range(workers))
        self.starts: dict[int, list[int]] = {worker: [] for worker in range(workers)}

    def ready(self, worker: int) -> None:
        self.start.ready(worker, self.starts[worker].append)


async def test_nobody_begins_before_all_are_ready_and_then_all_at_one_instant() -> None:
    told = Told(3)
    told.ready(2)
    told.ready(0)
    assert told.starts == {0: [], 1: [], 2: []}
    now_ns = monotonic_ns()
    told.ready(1)
    [start_ns] = told.starts[0]
    assert told.starts == {worker: [start_ns] for worker in range(3)}
    assert start_ns >= now_ns + 100_000_000  # LEAD_S: to be heard of before it is
    await told.start.wait()
    assert monotonic_ns() >= start_ns - 2_000_000  # timers are of whole milliseconds


async def test_a_worker_that_ended_is_not_waited_for() -> None:
    told = Told(2)
    told.ready(0)
    told.start.gone(1)
    assert len(told.starts[0]) == 1
    told.start.gone(0)  # it has run to its end
    assert len(told.starts[0]) == 1


async def test_without_any_worker_nothing_begins() -> None:
    told = Told(2)
    told.start.gone(0)
    told.start.gone(1)
    assert told.starts == {0: [], 1: []}
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(told.start.wait(), 0.01)


async def test_a_worker_that_takes_too_long_is_told_the_instant_that_it_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.together.PATIENCE_S", 0.01)
    monkeypatch.setattr("flows.together.LEAD_S", 0.01)
    told = Told(2)
    told.ready(0)
    await told.start.wait()
    told.ready(1)
    assert told.starts[1] == told.starts[0] != []
