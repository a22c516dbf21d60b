"""A 1 ms beat on the event loop: how late the loop runs, and whether a read may have waited for it."""

import asyncio
from time import monotonic_ns

BEAT_NS = 1_000_000
LATE_NS = 1_000_000
"""A loop gap this much beyond the beat is a stall: what the kernel received meanwhile is read in one piece."""

_BUCKET_NS = 10_000
_BUCKETS = 20_000  # 0.2 s; longer stalls are counted in the last bucket


class Heartbeat:
    """Beats on the running loop from `start` to `stop`.

    `calm_ns` (monotonic) is the last beat that came on time. A beat that ends a stall does not count, since the
    reads that follow it still hold what waited.
    """

    def __init__(self) -> None:
        self.calm_ns = monotonic_ns()
        self._last_ns = self.calm_ns
        self._timer: asyncio.TimerHandle | None = None
        self._lags = [0] * _BUCKETS

    def start(self) -> None:
        """Start on the running loop; nothing happens if it beats already."""
        if self._timer is None:
            self._loop = asyncio.get_running_loop()
            self.calm_ns = self._last_ns = monotonic_ns()
            self._timer = self._loop.call_later(BEAT_NS / 1e9, self._beat)

    def stop(self) -> None:
        """Stop beating; the lags stay."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def is_late(self, now_ns: int) -> bool:
        """Whether a read at `now_ns` (monotonic) may hold what arrived while the loop was stalled."""
        return now_ns - self.calm_ns > BEAT_NS + LATE_NS

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

    def _beat(self) -> None:
        now = monotonic_ns()
        lag = now - self._last_ns - BEAT_NS
        self._last_ns = now
        if lag <= LATE_NS:
            self.calm_ns = now
        self._lags[min(max(lag, 0) // _BUCKET_NS, _BUCKETS - 1)] += 1
        self._timer = self._loop.call_later(BEAT_NS / 1e9, self._beat)
