"""One closed-loop load level: a fixed number of slots, each sending its next request when the last one ended."""

import asyncio
import contextlib
import gc
import time
from collections import deque
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

import httpx

from loadgen.arrivals import Arrivals
from loadgen.interpret import Exchange, Failure, Interpreter
from loadgen.jobs import Job, JobQueue
from loadgen.spec import ShardSpec
from loadgen.tally import Tally
from loadgen.transport import SocketTransport
from schemas.errors import PartError


class Level:
    """Sends a shard's requests and hands each one's row to `sink`.

    Responses are interpreted one at a time by a task of their own, so that a slot's next request never waits for the
    reading of its last answer. Past `max_duration_s` nothing more is sent; what is in flight is followed to its end.
    """

    def __init__(
        self,
        spec: ShardSpec,
        transport: SocketTransport,
        jobs: JobQueue,
        interpreter: Interpreter,
        sink: Callable[[dict[str, Any]], None],
    ) -> None:
        self._spec = spec
        self._transport = transport
        self._jobs = jobs
        self._interpreter = interpreter
        self._sink = sink
        self._slots = 1 if spec.phase == "probe" else spec.concurrency
        self._tasks: list[asyncio.Task[None]] = []
        self._finished: deque[tuple[Job, Exchange]] = deque()
        self._wake = asyncio.Event()
        self._write_error: PartError | None = None
        self._measure_started_ns: int | None = None
        self._measured = 0
        self.tally = Tally(self._slots)
        self.sent = 0
        self.started_ns = monotonic_ns()
        self.cpu_share = 0.0  # of one core, while sending
        self.interrupted = False
        self.stopped_early: str | None = None

    async def run(self) -> None:
        """Run the level to its end. Raises PartError if a row could not be written."""
        await self._wait_for([self._prepare()])
        helpers = [asyncio.create_task(self._interpret()), asyncio.create_task(self._jobs.keep_filled())]
        gc.collect()
        gc.freeze()
        gc.disable()  # a collection stalls the loop for milliseconds
        try:
            self.started_ns, cpu_started_ns = monotonic_ns(), time.process_time_ns()
            self._transport.beat.forget()
            await self._wait_for([self._slot() for _ in range(self._slots)])
            self.cpu_share = (time.process_time_ns() - cpu_started_ns) / max(1, monotonic_ns() - self.started_ns)
        finally:
            gc.enable()
            gc.unfreeze()
            for helper in helpers:
                helper.cancel()
        while self._finished:
            self._record(*self._finished.popleft())
        if self._write_error:
            raise self._write_error

    @property
    def measuring(self) -> bool:
        """Whether the warm-up is over."""
        return self._measure_started_ns is not None

    def interrupt(self) -> None:
        """Stop now: requests in flight are cancelled and become rows with outcome `interrupted`."""
        if not self.interrupted:
            self.interrupted = True
            for task in self._tasks:
                task.cancel()

    async def _wait_for(self, coroutines: list[Any]) -> None:
        """Run coroutines side by side; an interruption cancels them and is no error."""
        self._tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
        if self.interrupted:
            for task in self._tasks:
                task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    async def _prepare(self) -> None:
        await self._jobs.fill()
        with contextlib.suppress(httpx.TransportError):  # the requests meet the same trouble and say so on their rows
            await self._transport.open(self._slots, self._spec.target.url)
        if self._spec.start_at is not None:
            await asyncio.sleep(max(0.0, self._spec.start_at - time.time()))

    async def _slot(self) -> None:
        free_ns = self.started_ns
        while self._may_send():
            free_ns = await self._send(self._jobs.take(), free_ns)

    def _may_send(self) -> bool:
        spec, now = self._spec, monotonic_ns()
        if self.interrupted or self.stopped_early or self._write_error or not self._jobs:
            return False
        if now - self.started_ns >= spec.max_duration_s * 1e9:
            return False
        if not self._jobs.next_is_measured():
            return True
        self._measure_started_ns = self._measure_started_ns or now
        time_is_up = spec.duration_s is not None and now - self._measure_started_ns >= spec.duration_s * 1e9
        if time_is_up and self._measured >= spec.min_requests:
            return False
        self._measured += 1
        return True

    async def _send(self, job: Job, scheduled_ns: int) -> int:
        """Send one request and see to its row; when its slot became free again (monotonic ns)."""
        arrivals = Arrivals()
        job.request.extensions["arrivals"] = arrivals
        self.sent += 1
        failure = None
        try:
            await self._transport.handle_async_request(job.request)
        except asyncio.CancelledError:
            failure = Failure("interrupted", "the run was interrupted")
        except httpx.TransportError as error:
            failure = _failure(error)
        exchange = Exchange(
            job.index, job.phase, job.target_input_tokens, job.target_output_tokens, job.prompt_sha256,
            scheduled_ns, arrivals, failure,
        )  # fmt: skip
        if failure or arrivals.status != 200:
            self._record(job, exchange)  # cheap to read, and the stop rule must know before the next one is sent
        else:
            self._finished.append((job, exchange))
            self._wake.set()
        return arrivals.closed_ns or monotonic_ns()

    async def _interpret(self) -> None:
        while True:
            while self._finished:
                self._record(*self._finished.popleft())
                await asyncio.sleep(0)
            self._wake.clear()
            await self._wake.wait()

    def _record(self, job: Job, exchange: Exchange) -> None:
        row = self._interpreter.row(exchange)
        self.tally.add(row, job.prompt_chars)
        try:
            self._sink(row)
        except PartError as error:
            self._write_error = error
        if not self.interrupted and self.tally.errors_exceed(self._spec.stop_error_share):
            self.stopped_early = "error_share"


def _failure(error: httpx.TransportError) -> Failure:
    message = str(error)
    if isinstance(error, httpx.TimeoutException):
        return Failure("timeout", message)
    if isinstance(error, httpx.ConnectError | httpx.UnsupportedProtocol):
        return Failure("connect_error", message)
    if isinstance(error, httpx.RemoteProtocolError) and not message.startswith("the server closed"):
        return Failure("malformed", message)
    return Failure("truncated", message)
