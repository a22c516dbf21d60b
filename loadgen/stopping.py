"""Two rules that end a level early, as pure arithmetic: its queue only grows, or its mean is known well enough."""

import math
from array import array
from collections import deque
from typing import Any, NamedTuple

from schemas.errors import SpecError

_LEAST_WINDOW_S = 10.0
_LEAST_ARRIVALS = 50
_SERVED_SHARE = 0.9
_GROWTH = 1.5
_STEADY = 0.25
_SIGMAS = 2.5
_TURNOVERS = 2
_WAIT_SLOPE, _LEAST_SERVED = 0.1, 10
_CHECKS = 2

BATCHES = 10
_T_95 = 2.262  # Student's t for 9 degrees of freedom, two-sided 95 %
LEAST_ROUNDS = 10
LEAST_OPEN = 100


class OverSaturation:
    """Says when the queue of an open loop with steady arrivals only grows.

    It looks at the last half of the time so far, once that is 10 s and 50 arrivals long. Four things must hold, at two
    checks in a row. Fewer than 90 % of the arrivals were served. What is outstanding grew to 1.5 times, and by more
    than chance does (2.5 standard deviations of the counts; `dispersion` is the arrivals', 1 for Poisson). It grew all
    along: each half of that half has a quarter of the growth, so that a passing stall is none. And it is not merely
    the level filling up with answers that take longer than it has run: twice as many as were outstanding at the half's
    start had been served by then, or the time to first token rises by 0.1 s each second (at a utilisation u it rises
    by 1 - 1/u).
    """

    def __init__(self, dispersion: float = 1.0) -> None:
        self._dispersion = dispersion
        self._seen: deque[_Sample] = deque()
        self._alarms = 0

    def check(self, at_s: float, arrivals: float, served: int, waited_s: float) -> bool:
        """Whether the level is over-saturated; to be called each second.

        `at_s` counts from the level's start. Since then there were so many arrivals, and so many requests ended; the
        times to first token of those add up to `waited_s`.
        """
        self._seen.append(_Sample(at_s, arrivals, served, waited_s))
        while len(self._seen) > 1 and self._seen[1].at_s <= at_s / 2:
            self._seen.popleft()
        self._alarms = self._alarms + 1 if self._grows() else 0
        return self._alarms >= _CHECKS

    def _grows(self) -> bool:
        first, last = self._seen[0], self._seen[-1]
        arrived = last.arrivals - first.arrivals
        if last.at_s - first.at_s < _LEAST_WINDOW_S or arrived < _LEAST_ARRIVALS:
            return False
        middle = min(self._seen, key=lambda sample: abs(sample.at_s - (first.at_s + last.at_s) / 2))
        start, end = first.outstanding, last.outstanding
        served = last.served - first.served
        chance = _SIGMAS * math.sqrt(arrived * self._dispersion + served)
        return (
            served < _SERVED_SHARE * arrived  # so that end > start
            and _STEADY < (middle.outstanding - start) / (end - start) < 1 - _STEADY
            and end >= _GROWTH * start
            and end - start >= chance
            and (first.served >= _TURNOVERS * start or _wait_slope(first, middle, last) >= _WAIT_SLOPE)
        )


class _Sample(NamedTuple):
    at_s: float
    arrivals: float
    served: int
    waited_s: float

    @property
    def outstanding(self) -> float:
        return self.arrivals - self.served


def _wait_slope(first: _Sample, middle: _Sample, last: _Sample) -> float:
    """Seconds by which the mean time to first token rises in a second; 0 where too few requests ended to say."""
    if min(middle.served - first.served, last.served - middle.served) < _LEAST_SERVED:
        return 0.0
    early = (middle.waited_s - first.waited_s) / (middle.served - first.served)
    late = (last.waited_s - middle.waited_s) / (last.served - middle.served)
    return (late - early) / ((last.at_s - first.at_s) / 2)


class Confidence:
    """Says when the 95 % interval of a level's mean, by batch means, is within +/- `share` of it.

    `request_rps`: completions in 10 equal slices of the time since the `slots`-th; the others: 10 batches of equal
    count, one value a request. Not before 10 completions a slot, or 100 in an open loop (`slots` null). Each shard
    judges its own; the shards are independent, so that all together are closer by the square root of their number.
    """

    def __init__(self, metric: str, share: float, slots: int | None) -> None:
        if metric not in _VALUES:
            raise SpecError(f"stop.confidence_metric is {metric!r}, expected one of {', '.join(_VALUES)}")
        self._metric = metric
        self._share = share
        self._least = LEAST_OPEN if slots is None else max(BATCHES, LEAST_ROUNDS * slots)
        self._filling = slots or 1
        self._values = array("d")

    def add(self, row: dict[str, Any]) -> None:
        """Take a trace row; only measured requests that were ok count."""
        if row["phase"] == "measure" and row["outcome"] == "ok":
            value = _VALUES[self._metric](row)
            if value is not None:
                self._values.append(value)

    def reached(self, now_ns: int) -> bool:
        """Whether it is, at `now_ns` in the time of the rows."""
        if len(self._values) < self._least:
            return False
        batches = self._counts(now_ns) if self._metric == "request_rps" else _batch_means(self._values)
        return relative_half_width(batches) <= self._share

    def _counts(self, now_ns: int) -> list[float]:
        ordered = sorted(self._values)[self._filling - 1 :]
        counts = [0.0] * BATCHES
        for closed_ns in ordered[1:]:
            counts[min(int((closed_ns - ordered[0]) * BATCHES / (now_ns - ordered[0])), BATCHES - 1)] += 1
        return counts


def relative_half_width(batches: list[float]) -> float:
    """Half of the 95 % interval of the mean of 10 batches / the mean (infinite for a mean of 0)."""
    mean = math.fsum(batches) / BATCHES
    variance = math.fsum((value - mean) ** 2 for value in batches) / (BATCHES - 1)
    return _T_95 * math.sqrt(variance / BATCHES) / mean if mean else math.inf


def _batch_means(values: "array[float]") -> list[float]:
    size = len(values) // BATCHES
    first = len(values) - size * BATCHES  # the oldest are left out
    return [math.fsum(values[at : at + size]) / size for at in range(first, len(values), size)]


def _ttft_ns(row: dict[str, Any]) -> float | None:
    return float(row["first_token_ns"] - row["sent_ns"])


def _e2e_ns(row: dict[str, Any]) -> float | None:
    return float(row["last_token_ns"] - row["sent_ns"])


def _tpot_ns(row: dict[str, Any]) -> float | None:
    """docs/metrics.md: the tokens of the first chunk were not waited for."""
    first = row["chunk_tokens"][0] if row["chunk_tokens"] else (row["output_tokens"] or 0) / row["token_chunks"]
    later = (row["output_tokens"] or 0) - first
    return (row["last_token_ns"] - row["first_token_ns"]) / later if later > 0 else None


_VALUES = {"request_rps": lambda row: float(row["closed_ns"]), "ttft": _ttft_ns, "tpot": _tpot_ns, "e2e": _e2e_ns}
