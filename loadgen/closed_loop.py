"""A closed loop: a fixed number of slots, each sending its next request when the last one ended."""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from loadgen.due import when_due
from loadgen.interpret import Interpreter
from loadgen.jobs import Job, JobQueue
from loadgen.level import Level
from loadgen.spec import ShardSpec
from loadgen.wire import Transport
from schemas.errors import SpecError


class ClosedLoop(Level):
    """Keeps `concurrency` requests in flight; a probe sends one at a time.

    A conversation holds no slot while it thinks: a free slot takes the next turn that is due, or begins another
    conversation. Turns that are not due when the level stops are left out.
    """

    def __init__(
        self,
        spec: ShardSpec,
        transport: Transport,
        jobs: JobQueue,
        interpreter: Interpreter,
        sink: Callable[[dict[str, Any]], None],
    ) -> None:
        if spec.phase != "probe" and (spec.shape.concurrency or 0) < spec.shards:
            raise SpecError(f"shape.concurrency is {spec.shape.concurrency}: a closed loop needs 1 a shard at least")
        self._slots = 1 if spec.phase == "probe" else spec.share(spec.shape.concurrency or 1)
        super().__init__(spec, transport, jobs, interpreter, sink, round_size=self._slots)
        self._due: deque[tuple[Job, int]] = deque()

    async def _open_connections(self) -> None:
        await self._transport.open(self._slots, self._spec.target.url)

    async def _drive(self) -> None:
        await asyncio.gather(*(self._guarded(self._slot) for _ in range(self._slots)))

    def _follow(self, job: Job, due_ns: int) -> None:
        when_due(due_ns, self._due.append, (job, due_ns))

    def _on_stop(self) -> None:
        """A slot that waits for its answer finds out when it is there."""

    async def _slot(self) -> None:
        free_ns = self.planned_ns
        while (request := self._next(free_ns)) is not None:
            free_ns = await self._send(*request)

    def _next(self, free_ns: int) -> tuple[Job, int] | None:
        """The next request of a slot and when it was to start; null: there is none."""
        if self._stopped:
            return None
        if self._due:
            job, due_ns = self._due.popleft()
            job = self._as_of_now(job)
        elif self._jobs:
            job, due_ns = self._jobs.take(), free_ns
        else:
            return None
        if not self._in_time(job) or not self._admit(job):
            return None
        if not self._jobs:
            self._stop("count")
        return job, max(free_ns, due_ns)

    def _in_time(self, job: Job) -> bool:
        """Whether `stop.duration_s` lets `job` go; its time begins with the first measured request."""
        duration_s = self._spec.stop.duration_s
        if duration_s is None or job.phase != "measure":
            return True
        if self._measure_started_ns is None:
            self._later(duration_s, self._time_is_up)
            return True
        if monotonic_ns() - self._measure_started_ns >= duration_s * 1e9:
            self._time_is_up()
        return not self._stopped

    def _time_is_up(self) -> None:
        if self._measured >= self._spec.share(self._spec.stop.min_requests):
            self._stop("duration")
