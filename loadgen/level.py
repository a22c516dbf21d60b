"""One load level of a shard: what a closed and an open loop have in common."""

import asyncio
import contextlib
import gc
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from time import monotonic_ns
from typing import Any

import httpx

from loadgen.due import until
from loadgen.flight import Flight, is_to_be_cancelled
from loadgen.interpret import Exchange, Failure, Interpreter
from loadgen.jobs import Job, JobQueue
from loadgen.ledger import Ledger
from loadgen.spec import ShardSpec
from loadgen.stopping import Confidence
from loadgen.tally import Tally
from loadgen.wire import Transport
from schemas.errors import PartError

_CHECK_S = 1.0
_SOON_S = 0.001
_CATCH_UP_NS = 1_000_000_000
_INTERRUPTED = Failure("interrupted", "the run was interrupted")
_TO_THE_END = ("count", "duration", "max_duration")
"""Reasons to stop after a last request: all before it still go."""


class Level(ABC):
    """Sends a shard's requests and hands each one's row to `sink`.

    Responses are interpreted one at a time by a task of their own, so that no request waits for the reading of an
    answer; only an answer that a conversation goes on from is read at once. Once a stop rule has spoken nothing more
    is sent; what is in flight is followed to its end, or for `stop.grace_s`.
    """

    def __init__(
        self,
        spec: ShardSpec,
        transport: Transport,
        jobs: JobQueue,
        interpreter: Interpreter,
        sink: Callable[[dict[str, Any]], None],
        round_size: int,
    ) -> None:
        self._spec = spec
        self._transport = transport
        self._jobs = jobs
        self._interpreter = interpreter
        self._sink = sink
        self.tally = Tally(round_size)
        self._ledger = Ledger(interpreter, self.tally, self._keep, lambda: self._transport.busy)
        self._flights: set[Flight] = set()
        self._waiting: asyncio.Task[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._error: Exception | None = None
        self._last_sent_ns = 0
        self._measured = 0
        self.turns_left_out = 0  # of the conversations begun, not sent; those after a failed turn do not count
        self._measured_limit = (
            None if jobs.limit is not None or not spec.stop.requests else spec.share(spec.stop.requests)
        )
        self._confidence = _confidence(spec)
        self._measure_started_ns: int | None = None
        self.begun = asyncio.Event()  # from here on the three times below stand
        self.sent = 0
        self.ended = 0
        self.started_ns = monotonic_ns()  # when the level started here
        self.planned_ns = self.started_ns  # when it should have
        self.late_ns = 0  # how long after `planned_ns` this shard could begin
        self.cpu_share = 0.0  # of one core, while sending
        self.stop_reason: str | None = None  # null: it still sends
        self.is_led = False  # somebody who knows the other shards says when all are satisfied
        self.satisfied = False  # its interval is narrow enough

    async def run(self, common_start: Callable[[], Awaitable[int]] | None = None) -> None:
        """Run the level to its end. Raises PartError if a row could not be written, SpecError.

        `common_start` is awaited once all is ready: the instant (monotonic ns) that all shards of the level begin at.
        """
        await self._interruptible(self._prepare())
        if self.interrupted:
            return
        gc.collect()
        gc.freeze()
        gc.disable()  # a collection stalls the loop for milliseconds
        try:
            await self._interruptible(self._start(common_start))
            if not self.interrupted:
                await self._send_all()
        finally:
            gc.enable()
            gc.unfreeze()
        self._ledger.interpret_rest()
        if self._error:
            raise self._error

    async def _send_all(self) -> None:
        work = (self._ledger.interpret, self._jobs.keep_filled, self._watch)
        helpers = [asyncio.create_task(self._guarded(one)) for one in work]
        self._later(self._spec.stop.max_duration_s, self._stop, "max_duration")
        cpu_started_ns, began_ns = time.process_time_ns(), monotonic_ns()
        try:
            await self._guarded(self._drive)
        finally:
            self.cpu_share = (time.process_time_ns() - cpu_started_ns) / max(1, monotonic_ns() - began_ns)
            for helper in helpers:
                helper.cancel()
            for timer in self._timers:
                timer.cancel()

    @property
    def interrupted(self) -> bool:
        """Whether `interrupt` ended it."""
        return self.stop_reason == "interrupted"

    @property
    def measuring(self) -> bool:
        """Whether the warm-up is over."""
        return self._measure_started_ns is not None

    @property
    def in_flight(self) -> int:
        """Requests that are sent or being sent and have not ended."""
        return len(self._flights)

    def interrupt(self) -> None:
        """Stop now: requests in flight are cancelled and become rows with outcome `interrupted`."""
        if not self.interrupted:
            self.stop_reason = "interrupted"
            if self._waiting:
                self._waiting.cancel()
            self._cut(_INTERRUPTED)
            self._on_stop()

    def stop(self, reason: str) -> None:
        """Send nothing more, as if a rule of its own had said so; what is in flight is followed to its end."""
        self._stop(reason)

    # -- what a closed and an open loop do in their own way

    @abstractmethod
    async def _open_connections(self) -> None:
        """Open the connections that the level begins with."""

    @abstractmethod
    async def _drive(self) -> None:
        """Send requests until a rule stops the level, and wait for the last to end."""

    @abstractmethod
    def _follow(self, job: Job, due_ns: int) -> None:
        """Send the next turn of a conversation, when it is due or soon after."""

    @abstractmethod
    def _on_stop(self) -> None:
        """Wake whoever waits to send: nothing more is to be sent."""

    def _over_saturated(self) -> bool:
        """Whether the queue only grows; asked each second."""
        return False

    # -- before

    async def _prepare(self) -> None:
        await self._jobs.fill()
        with contextlib.suppress(httpx.TransportError):  # the requests meet the same trouble and say so on their rows
            await self._open_connections()

    async def _start(self, common_start: Callable[[], Awaitable[int]] | None) -> None:
        """Wait for the common start. A shard that comes later than that says so, and its requests are late.

        What was planned for the time that it missed is sent at once where that is a second or less: then it is where the
        others are. Beyond that it would be a flood, so the shard keeps its own pace, late to its end.
        """
        planned_ns = monotonic_ns() if common_start is None else await common_start()
        await until(planned_ns)
        self._transport.beat.forget()
        now_ns = monotonic_ns()
        self.planned_ns, self.late_ns = planned_ns, now_ns - planned_ns
        self.started_ns = planned_ns if self.late_ns <= _CATCH_UP_NS else now_ns
        self.begun.set()

    async def _interruptible(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`; an interruption cancels it and is no error."""
        self._waiting = asyncio.create_task(work)
        if self.interrupted:
            self._waiting.cancel()
        try:
            await self._waiting
        except asyncio.CancelledError:
            if not self.interrupted:
                raise
        finally:
            self._waiting = None

    # -- while it runs

    @property
    def _stopped(self) -> bool:
        return self.stop_reason is not None or self._error is not None

    def _stop(self, reason: str) -> None:
        """Send nothing more; the first reason stays."""
        if self.stop_reason is None:
            self.stop_reason = reason
            self._on_stop()
            if reason not in _TO_THE_END:
                self._cut(_INTERRUPTED, only_early=True)
            if self._spec.stop.grace_s is not None:
                # not now: the last request may have been admitted and not be on its way yet
                self._later(_SOON_S, self._cut_after, self._spec.stop.grace_s)

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self._cut(_INTERRUPTED)
        self._on_stop()

    async def _guarded(self, work: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> None:
        """Do `work`; what it raises stops the level, and is raised once the rows of what was sent are safe."""
        try:
            await work(*arguments)
        except Exception as error:
            self._fail(error)

    def _cut_after(self, grace_s: float) -> None:
        left_s = grace_s - (monotonic_ns() - self._last_sent_ns) / 1e9
        if left_s > 0:
            self._later(left_s, self._cut_after, grace_s)
        else:
            message = f"not complete {grace_s:g} s after the level's last request (grace_s)"
            self._cut(Failure("timeout", message))

    def _cut(self, failure: Failure, *, only_early: bool = False) -> None:
        """End what is in flight; those whose time has not come are left out, as if they had never been."""
        for flight in self._flights:
            if not only_early or flight.is_early():
                flight.cut(failure)

    def _later(self, delay_s: float, callback: Callable[..., None], *arguments: Any) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(delay_s, callback, *arguments))

    async def _watch(self) -> None:
        """Judge the rules that look at the whole level, once a second."""
        for second in range(1, int(self._spec.stop.max_duration_s) + 1):
            await asyncio.sleep(max(0.0, second * _CHECK_S - (monotonic_ns() - self.started_ns) / 1e9))
            if self._stopped:
                return
            if (
                self._confidence
                and not self.satisfied
                and self._confidence.reached(self._interpreter.since_epoch(monotonic_ns()))
            ):
                self.satisfied = True
                if not self.is_led:
                    self._stop("confidence")
            elif self._spec.stop.over_saturation and self._over_saturated():
                self._stop("over_saturated")

    def _as_of_now(self, job: Job) -> Job:
        """A further turn is measured once measuring has begun, whenever its conversation did: the server works for it too."""
        return replace(job, phase="measure") if job.phase == "warmup" and self.measuring else job

    def _admit(self, job: Job, due_ns: int = 0) -> bool:
        """Whether `job` may still be sent, which it then must be: counts it and stops the level after the last.

        It is sent at `due_ns` (monotonic), or at once where that is past.
        """
        sent_ns = max(due_ns, monotonic_ns())
        if not self._stopped and sent_ns - self.started_ns >= self._spec.stop.max_duration_s * 1e9:
            self._stop("max_duration")
        if self._stopped:
            return False
        self._last_sent_ns = max(self._last_sent_ns, sent_ns)
        self.turns_left_out += -1 if job.turn_index else len(job.later)
        if job.phase == "measure":
            self._measure_started_ns = self._measure_started_ns or sent_ns
            self._measured += 1
            if self._measured == self._measured_limit:
                self._stop("count")
        return True

    async def _send(self, job: Job, scheduled_ns: int) -> int:
        """Send one request at its time and see to its row; when it ended (monotonic ns)."""
        if self.interrupted:
            return monotonic_ns()
        flight = Flight(job, scheduled_ns)
        self._flights.add(flight)
        self.sent += 1
        self._last_sent_ns = max(self._last_sent_ns, monotonic_ns())
        if is_to_be_cancelled(self._spec, job):
            flight.cut_later(self._spec.shape.cancel_after_s)
        try:
            exchange = await flight.run(self._transport)
        finally:
            self._flights.discard(flight)
            self.ended += 1
        ended_ns = exchange.arrivals.closed_ns or monotonic_ns()
        if exchange.arrivals.sent_ns is None and ended_ns < scheduled_ns:  # left out: its time had not come
            self.sent, self.ended = self.sent - 1, self.ended - 1
            return ended_ns
        answered = exchange.failure is None and exchange.arrivals.status == 200
        if answered and job.think_s is not None:
            self._go_on(job, job.think_s, exchange, ended_ns)
        elif answered:
            self._ledger.add_later(job, exchange)
        else:
            self._ledger.add(job, exchange)  # cheap to read, and the stop rule must know before the next one is sent
            self._give_up(job)
        return ended_ns

    def _go_on(self, job: Job, think_s: float, exchange: Exchange, ended_ns: int) -> None:
        row, text = self._ledger.add(job, exchange)
        if row["outcome"] != "ok":
            self._give_up(job)
        elif not self._stopped:
            follower = self._jobs.next_turn(job, text or "", row["input_tokens"], row["output_tokens"])
            self._follow(follower, ended_ns + math.ceil(think_s * 1e9))

    def _give_up(self, job: Job) -> None:
        """The turns after a failed one are nobody's."""
        self.turns_left_out -= len(job.later)

    def _keep(self, row: dict[str, Any]) -> None:
        if self._confidence:
            self._confidence.add(row)
        try:
            self._sink(row)
        except PartError as error:
            self._fail(error)
        if self.tally.errors_exceed(self._spec.stop.error_share, self._ledger.waiting):
            self._stop("error_share")


def _confidence(spec: ShardSpec) -> Confidence | None:
    stop = spec.stop
    if stop.confidence_metric is None:
        return None
    slots = spec.share(spec.shape.concurrency) if spec.shape.concurrency else None
    return Confidence(stop.confidence_metric, stop.confidence_share * math.sqrt(spec.shards), slots)
