"""One request on its way: sent, followed to its end, or cut before."""

import asyncio
import random
from time import monotonic_ns

import httpx

from loadgen.arrivals import Arrivals
from loadgen.interpret import Exchange, Failure
from loadgen.jobs import Job
from loadgen.spec import ShardSpec
from loadgen.wire import Transport


class Flight:
    """A request of the task that makes it, which is the one to call `run`."""

    __slots__ = ("_arrivals", "_cut", "_job", "_scheduled_ns", "_task", "_timer")

    def __init__(self, job: Job, scheduled_ns: int) -> None:
        self._job = job
        self._scheduled_ns = scheduled_ns
        self._arrivals = Arrivals()
        self._cut: Failure | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task = asyncio.current_task()

    async def run(self, transport: Transport) -> Exchange:
        """Send the request and wait for its end, however it ends."""
        job = self._job
        failure = None
        try:
            await transport.exchange(job.request, self._arrivals, self._scheduled_ns)
        except asyncio.CancelledError:
            if self._cut is None:
                raise
            failure = self._cut
        except httpx.TransportError as error:
            failure = _failure(error)
        finally:
            self._settle()
        return Exchange(
            job.index, job.phase, job.target_input_tokens, job.target_output_tokens, job.prompt_sha256,
            self._scheduled_ns, self._arrivals, failure, job.conversation_index, job.turn_index, job.prefix_group,
        )  # fmt: skip

    def cut(self, failure: Failure) -> None:
        """End it now: the connection is closed, and `failure` is its outcome."""
        if self._cut is None and self._task is not None:
            self._cut = failure
            self._task.cancel()

    def is_early(self) -> bool:
        """Whether its time has not come yet."""
        return self._scheduled_ns > monotonic_ns()

    def cut_later(self, after_s: float) -> None:
        """Cut it `after_s` seconds after it was sent, as a user who gives up; its outcome is then `cancelled`."""
        sent_ns = self._arrivals.sent_ns
        now_ns = monotonic_ns()
        left_s = after_s - (now_ns - (sent_ns or max(now_ns, self._scheduled_ns))) / 1e9
        # the connection may have taken its time to open: then this is looked at again
        if sent_ns is not None and left_s <= 0:
            self.cut(Failure("cancelled", f"the plan cancelled it after {after_s:g} s"))
        else:
            delay_s = max(left_s, 0.001)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self.cut_later, after_s)

    def _settle(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._cut is not None and self._task is not None:
            self._task.uncancel()  # the task lives on, and its next time-out must not take this for its own
        self._task = None


def is_to_be_cancelled(spec: ShardSpec, job: Job) -> bool:
    """Whether the plan has this request cancelled: `shape.cancel_share` of them.

    They are chosen by the seed and the number in the level, whichever shard sends them.
    """
    share = spec.shape.cancel_share
    if not share or job.phase == "probe":
        return False
    number = spec.number(job.index) if job.conversation_index is None else job.conversation_index
    key = f"{spec.seed}/{spec.identity.get('level_index')}/{number}/{job.turn_index or 0}/cancel"
    return random.Random(key).random() < share


def _failure(error: httpx.TransportError) -> Failure:
    message = str(error)
    if isinstance(error, httpx.TimeoutException):
        return Failure("timeout", message)
    if isinstance(error, httpx.ConnectError | httpx.UnsupportedProtocol):
        return Failure("connect_error", message)
    if isinstance(error, httpx.RemoteProtocolError) and not message.startswith("the server closed"):
        return Failure("malformed", message)
    return Failure("truncated", message)
