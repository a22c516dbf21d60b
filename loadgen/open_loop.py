"""An open loop: requests start when the schedule says, whatever the server does."""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from loadgen.due import pause_s, when_due
from loadgen.interpret import Interpreter
from loadgen.jobs import Job, JobQueue
from loadgen.level import Level
from loadgen.schedule import Schedule
from loadgen.spec import ShardSpec
from loadgen.stopping import OverSaturation
from loadgen.wire import Transport

_AHEAD_S, _MOST_AHEAD = 2.0, 512
_RESERVE_S, _LEAST_RESERVE = 0.25, 8
_RESERVE_EVERY_S = 0.05
_AT_ONCE = 32
_EARLY_NS = 50_000_000
"""A request is on its connection that much before its time: no stall of the event loop that is shorter makes it late."""
_STEADY = ("constant", "poisson", "gamma")


class OpenLoop(Level):
    """Sends each request at its arrival time, on a connection that was opened before and that it waits on.

    Above `max_in_flight` requests are held back: they go late, with the schedule they had. Follow-up turns of a
    conversation go when their answer and the think time are over; those not due when the level stops are left out.
    """

    def __init__(
        self,
        spec: ShardSpec,
        transport: Transport,
        jobs: JobQueue,
        interpreter: Interpreter,
        sink: Callable[[dict[str, Any]], None],
    ) -> None:
        shape = spec.shape
        self._rate = (shape.rate or 0.0) / spec.shards  # requests a second of this shard
        super().__init__(spec, transport, jobs, interpreter, sink, round_size=math.ceil(self._rate))
        self._schedule = Schedule(spec, jobs.mean_turns)
        self._most = math.inf if shape.max_in_flight is None else max(1, spec.share(shape.max_in_flight))
        self._wake = asyncio.Event()
        self._quiet = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: deque[tuple[Job, int]] = deque()
        self._arrived = 0
        self._behind_since_ns: int | None = None
        spread = 1 / shape.burstiness if shape.arrivals == "gamma" else 1.0
        # where the rate changes on purpose, a queue that grows for a while is what was asked for
        self._saturation = OverSaturation(spread) if shape.arrivals in _STEADY else None

    async def _open_connections(self) -> None:
        connections = min(max(_LEAST_RESERVE, math.ceil(self._rate * _AHEAD_S)), _MOST_AHEAD)
        await self._transport.open(connections, self._spec.target.url)

    async def _drive(self) -> None:
        reserve = asyncio.create_task(self._guarded(self._keep_reserve))
        try:
            await self._dispatch()
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            reserve.cancel()

    def _follow(self, job: Job, due_ns: int) -> None:
        when_due(due_ns - _EARLY_NS, self._take_turn, job, due_ns)

    def _on_stop(self) -> None:
        self._wake.set()

    def _over_saturated(self) -> bool:
        if self._saturation is None:
            return False
        now_ns = monotonic_ns()
        held_ns = 0 if self._behind_since_ns is None else max(0, now_ns - self._behind_since_ns)
        arrivals = self._arrived + self._rate * held_ns / 1e9
        return self._saturation.check((now_ns - self.started_ns) / 1e9, arrivals, self.ended, self.tally.waited_s)

    async def _dispatch(self) -> None:
        launched = 0
        # a shard that is late to its end keeps its pace
        early_ns = _EARLY_NS if self.started_ns == self.planned_ns else 0
        while not self._stopped:
            if not self._jobs:
                self._stop("count")
                return
            job = self._jobs.take()
            offset_s = self._schedule.next_s(job)
            if offset_s is None:
                self._stop("duration")
                return
            offset_ns = math.ceil(offset_s * 1e9)
            due_ns = self.started_ns + offset_ns
            if not await self._near(due_ns, early_ns) or not self._admit(job, due_ns):
                return
            self._launch(job, self.planned_ns + offset_ns)
            launched += 1
            if launched % _AT_ONCE == 0:
                await asyncio.sleep(0)  # far behind: let them go out

    async def _near(self, due_ns: int, early_ns: int) -> bool:
        """Wait until `early_ns` before a request is due, and for room; false if the level stopped before."""
        while not self._stopped:
            left_ns = due_ns - early_ns - monotonic_ns()
            if left_ns > 0:
                await self._pause(pause_s(left_ns))
            elif len(self._tasks) >= self._most:
                self._behind_since_ns = due_ns
                await self._pause(None)
            else:
                self._behind_since_ns = None
                return True
        return False

    async def _pause(self, seconds: float | None) -> None:
        self._wake.clear()
        timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer:
                timer.cancel()

    def _take_turn(self, job: Job, due_ns: int) -> None:
        if self._stopped:
            return
        if len(self._tasks) >= self._most:
            self._arrived += 1
            self._held.append((job, due_ns))
        else:
            self._go(job, due_ns)

    def _go(self, job: Job, due_ns: int) -> None:
        """Send a further turn, if it may still be sent."""
        job = self._as_of_now(job)
        if self._admit(job, due_ns):
            self._launch(job, due_ns)

    def _launch(self, job: Job, due_ns: int) -> None:
        self._arrived += 1
        task = asyncio.create_task(self._guarded(self._send, job, due_ns))
        self._tasks.add(task)
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._held and not self._stopped:
            job, due_ns = self._held.popleft()
            self._arrived -= 1
            self._go(job, due_ns)
        elif self._behind_since_ns is not None:
            self._wake.set()

    async def _keep_reserve(self) -> None:
        """Keep idle connections ready, so that no request waits for one to be opened."""
        reserve = max(_LEAST_RESERVE, math.ceil(self._rate * _RESERVE_S))
        while not self._stopped:
            self._transport.reserve(reserve, self._spec.target.url)
            await asyncio.sleep(_RESERVE_EVERY_S)
