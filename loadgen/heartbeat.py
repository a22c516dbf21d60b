"""A beat on the event loop: how late the loop runs, which reads may have waited for it, how the clocks stand."""

import asyncio
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from time import monotonic_ns, time_ns

import numpy as np

from loadgen.clock_pair import clock_pair

BEAT_NS = 1_000_000
LATE_NS = 1_000_000
"""A loop gap this much beyond the beat is a stall: what the kernel received meanwhile is read in one piece."""
_SLOW_BEATS = 8
"""Where reads do not wait for the loop, it beats this many times more slowly: waking up is what costs a client most."""

_BUCKET_NS = 10_000
_BUCKETS = 20_000  # 0.2 s; longer stalls are counted in the last bucket
_STEADY_NS = 1_000  # both clocks are slewed alike: only a step moves them apart


class Heartbeat:
    """Beats on the running loop from `start` to `stop`, once a millisecond.

    Whoever reads is calm while its signs of life follow each other closely. After a stall it is not calm until the next
    sign on time: the reads up to then still hold what waited. The loop reads, and its beats are its signs, unless
    `follow` is told of a thread that reads: then the beats tell only of the loop, and come each 8 ms.
    """

    def __init__(self) -> None:
        # called with the lag of each beat (ns), and how many beats of a millisecond it stands for
        self.on_lag: Callable[[int, int], None] | None = None
        self._calm_ns = self._last_ns = monotonic_ns()
        self._signs: Callable[[], tuple[int, bytes]] | None = None
        self._due_ns = 0
        self._timer: asyncio.TimerHandle | None = None
        self._lags = [0] * _BUCKETS
        self._stall_starts = array("q")  # the last calm beat before each stall …
        self._stall_ends = array("q")  # … and the next one
        self._offset_from: list[int] = [0]
        self._offsets: list[int] = [_wall_minus_mono()]

    def start(self) -> None:
        """Start on the running loop; nothing happens if it beats already."""
        if self._timer is None:
            self._loop = asyncio.get_running_loop()
            self._calm_ns = self._last_ns = monotonic_ns()
            self._beat_later(self._last_ns)

    def stop(self) -> None:
        """Stop beating; the lags stay."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- stalls

    def follow(self, signs: Callable[[], tuple[int, bytes]]) -> None:
        """Go by the signs of life of a thread that reads.

        `signs` is when it was calm last, and two int64 for each stall that is over since it was last called: what
        `note_stall` takes, all monotonic ns.
        """
        self._signs = signs

    def note_stall(self, from_ns: int, to_ns: int) -> None:
        """Whoever reads was calm last at `from_ns` and again at `to_ns` (monotonic), after all noted so far."""
        self._stall_starts.append(from_ns)
        self._stall_ends.append(to_ns)

    def stalled_ns(self, at_ns: int) -> int:
        """How long before `at_ns` (monotonic) whoever reads was calm for the last time."""
        self._catch_up()
        position = bisect_right(self._stall_starts, at_ns) - 1
        if position >= 0 and at_ns < self._stall_ends[position]:
            return at_ns - self._stall_starts[position]
        return max(0, at_ns - self._calm_ns)

    def is_late(self, now_ns: int) -> bool:
        """Whether a read at `now_ns` (monotonic) may hold what arrived while nothing was read."""
        return self.stalled_ns(now_ns) > BEAT_NS + LATE_NS

    def is_never_late(self, from_ns: int, to_ns: int) -> bool:
        """Whether no time from `from_ns` to `to_ns` (monotonic) is late."""
        self._catch_up()
        stalls_before = bisect_right(self._stall_ends, from_ns)
        return stalls_before == len(self._stall_ends) and to_ns - self._calm_ns <= BEAT_NS + LATE_NS

    def late(self, times: Sequence[int]) -> list[bool]:
        """`is_late` of rising times, at least one."""
        self._catch_up()
        first, last = bisect_right(self._stall_ends, times[0]), times[-1]
        calm = np.array(self._stall_starts[first:] + array("q", [self._calm_ns]))
        until = np.array(self._stall_ends[first:] + array("q", [last + 1]))
        stall = np.searchsorted(until, times, side="right")  # the one that a read may have been in
        late: list[bool] = (times - calm[stall] > BEAT_NS + LATE_NS).tolist()
        return late

    def forget(self) -> None:
        """Drop the lags seen so far, so that the figures of a level start with the level."""
        self._lags = [0] * _BUCKETS

    def lag_p99_ms(self) -> float | None:
        """99th percentile of the beats' lateness in milliseconds (10 us steps); null without a beat."""
        beats = sum(self._lags)
        seen = 0
        for bucket, count in enumerate(self._lags):
            seen += count
            if count and seen >= 0.99 * beats:
                return bucket * _BUCKET_NS / 1e6
        return None

    # -- clocks

    def wall_minus_mono(self, since_ns: int) -> int | None:
        """Wall clock - monotonic clock, if the wall clock was not stepped since `since_ns` (monotonic); else null."""
        return self._offsets[-1] if self._offset_from[-1] <= since_ns else None

    def wall_minus_mono_at(self, at_ns: int) -> int:
        """Wall clock - monotonic clock at `at_ns` (monotonic)."""
        return self._offsets[max(0, bisect_right(self._offset_from, at_ns) - 1)]

    def _beat(self) -> None:
        # with nothing in between: where the clocks seem to have moved apart, they are looked at again
        now, wall = monotonic_ns(), time_ns()
        lag = now - self._due_ns
        if self.on_lag is not None:
            self.on_lag(lag, self._beats)
        self._lags[min(max(lag, 0) // _BUCKET_NS, _BUCKETS - 1)] += self._beats
        if self._signs is None:
            self._live(now)
        if not -_STEADY_NS < wall - now - self._offsets[-1] < _STEADY_NS:
            self._note_offset(now)
        self._beat_later(now)

    @property
    def _beats(self) -> int:
        """Beats of a millisecond that one of the loop's stands for."""
        return 1 if self._signs is None else _SLOW_BEATS

    def _beat_later(self, now: int) -> None:
        self._due_ns = now + self._beats * BEAT_NS
        self._timer = self._loop.call_later(self._beats * BEAT_NS / 1e9, self._beat)

    def _live(self, now: int) -> None:
        """A sign of life."""
        if now - self._last_ns <= BEAT_NS + LATE_NS:
            if self._calm_ns != self._last_ns:
                self.note_stall(self._calm_ns, now)
            self._calm_ns = now
        self._last_ns = now

    def _catch_up(self) -> None:
        """Hear the signs of the thread that reads."""
        if self._signs is not None:
            self._calm_ns, stalls = self._signs()
            ends = iter(memoryview(stalls).cast("q"))
            for from_ns, to_ns in zip(ends, ends, strict=True):
                self.note_stall(from_ns, to_ns)

    def _note_offset(self, now: int) -> None:
        """The wall clock seems to have been stepped, or the process lost its core between the two: look again."""
        offset = _wall_minus_mono()
        if abs(offset - self._offsets[-1]) >= _STEADY_NS:
            self._offset_from.append(now)
            self._offsets.append(offset)


def _wall_minus_mono() -> int:
    """The two clocks read as closely together as a few tries allow."""
    mono, wall = clock_pair(3)
    return wall - mono
