"""Which load a search tries next, and what it found in the end: pure decisions, without measuring anything.

`next()` says what to try, `tell()` what came of it, until `next()` says None; `finding` then says it in words. The
same results in the same order give the same loads.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.errors import SpecError

PLATEAU_GAIN = 1.1
"""Throughput that grows less than this from one level to the next has reached its plateau (docs/metrics.md)."""
MOST_BISECTIONS = 6
"""Of a knee: noise could move it for ever."""
MOST_LENGTHENED = 4
"""An undecided level is measured again with twice the requests, then with so many times as many."""
MOST_HALVINGS = 10
_LAST_STEP = math.sqrt(2)
_SIGNIFICANT_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Trial:
    """A level to be measured: its load, and how many times longer than usual it is to be."""

    load: float  # requests in flight, or requests/s
    lengthen: int = 1


@dataclass(frozen=True, slots=True)
class Found:
    """What a level found out.

    `request_rps` is null where nothing was delivered or the level was stopped by its error share. `gave_up`: a rule
    stopped it (over-saturated, error share). `holds`, of a goodput search: null where it is undecided.
    """

    request_rps: float | None
    gave_up: bool = False
    holds: bool | None = None
    note: str = ""  # the figures behind it, for people


class Search(ABC):
    """Loads between 1 (or a thousandth of `start`, for a rate) and `maximum`; `whole` for requests in flight."""

    def __init__(self, start: float, maximum: float, resolution: float, *, whole: bool) -> None:
        self._start = start
        self._maximum = maximum
        self._resolution = resolution
        self._whole = whole

    @abstractmethod
    def next(self) -> Trial | None:
        """What to try next; None: the search is over."""

    @abstractmethod
    def tell(self, trial: Trial, found: Found) -> None:
        """Take what `trial` found."""

    @property
    @abstractmethod
    def finding(self) -> str:
        """The result so far, in words."""

    def label(self, load: float) -> str:
        """`c=8` or `4.5/s`."""
        return f"c={load:g}" if self._whole else f"{load:g}/s"

    def _above(self, load: float) -> float | None:
        """Twice the load; the maximum where that is near, so that the last step is never a small one."""
        if load >= self._maximum:
            return None
        doubled = 2 * load
        return self._maximum if doubled * _LAST_STEP >= self._maximum else doubled

    def _below(self, load: float) -> float | None:
        """Half the load, while that makes sense."""
        if self._whole:
            return load // 2 or None
        return load / 2 if load / 2 * 2**MOST_HALVINGS >= self._start else None

    def _between(self, low: float, high: float) -> float | None:
        """The middle; None where the two are as near as they need be."""
        if high / low - 1 <= self._resolution:
            return None
        middle = (low + high) // 2 if self._whole else _rounded((low + high) / 2)
        return middle if low < middle < high else None


class Saturate(Search):
    """Doubles the load until throughput gains less than 10 %, then bisects for the knee.

    The knee is the smallest load tried whose throughput is within 10 % of the highest. A level that gave up ends the
    growth whatever it delivered.
    """

    def __init__(self, start: float, maximum: float, resolution: float, *, whole: bool) -> None:
        super().__init__(start, maximum, resolution, whole=whole)
        self._rps: dict[float, float] = {}
        self._grows = True
        self._bisections = 0

    def next(self) -> Trial | None:
        """What to try next; None: the search is over."""
        return None if (load := self._next_load()) is None else Trial(load)

    def _next_load(self) -> float | None:
        if not self._rps:
            return self._start
        if self._grows:
            return self._above(max(self._rps))
        knee = self.knee
        if knee is None:
            return self._below(min(self._rps))
        below = max((load for load in self._rps if load < knee), default=None)
        if below is None:
            return self._below(knee)
        return None if self._bisections >= MOST_BISECTIONS else self._between(below, knee)

    def tell(self, trial: Trial, found: Found) -> None:
        """Take what `trial` found."""
        rps, before = found.request_rps or 0.0, self._rps.get(max(self._rps, default=0.0), 0.0)
        if self._grows:
            self._grows = not found.gave_up and rps > 0 and rps >= PLATEAU_GAIN * before
        else:
            self._bisections += 1
        self._rps[trial.load] = rps

    @property
    def knee(self) -> float | None:
        """Smallest load within 10 % of the highest throughput; null while it still grows, or where there is none."""
        highest = max(self._rps.values(), default=0.0)
        if self._grows or not highest:
            return None
        return min(load for load, rps in self._rps.items() if rps * PLATEAU_GAIN > highest)

    @property
    def finding(self) -> str:
        """The result so far, in words."""
        best = max(self._rps, key=lambda load: (self._rps[load], -load), default=None)
        if best is None or not self._rps[best]:
            return "saturate: no level delivered a request"
        if self.knee is None:
            return (
                f"saturate: throughput still grows at {self.label(best)} ({self._rps[best]:.4g} requests/s): "
                f"raise the search's max ({self.label(self._maximum)}) to find its knee"
            )
        highest = f"the highest is {self._rps[best]:.4g} at {self.label(best)}"
        return f"saturate: the knee is at {self.label(self.knee)} ({self._rps[self.knee]:.4g} requests/s; {highest})"


class Goodput(Search):
    """Doubles the load while `what` holds, then bisects between the highest that holds and the lowest that does not.

    An undecided level is measured again, twice as long and then four times, and so is one that does not hold where the
    client was the limit; what is undecided even then does not hold, and neither does a level that gave up. Where `start`
    does not hold, the load is halved until it does.
    """

    def __init__(self, start: float, maximum: float, resolution: float, *, whole: bool, what: str) -> None:
        super().__init__(start, maximum, resolution, whole=whole)
        self._what = what
        self._held: dict[float, str] = {}
        self._failed: dict[float, str] = {}
        self._again: Trial | None = None

    def next(self) -> Trial | None:
        """What to try next; None: the search is over."""
        if self._again is not None:
            return self._again
        return None if (load := self._next_load()) is None else Trial(load)

    def _next_load(self) -> float | None:
        low, high = self.highest, min(self._failed, default=None)
        if low is None:
            return self._start if high is None else self._below(high)
        return self._above(low) if high is None else self._between(low, high)

    def tell(self, trial: Trial, found: Found) -> None:
        """Take what `trial` found."""
        self._again = None
        if found.holds is None and not found.gave_up and trial.lengthen < MOST_LENGTHENED:
            self._again = Trial(trial.load, 2 * trial.lengthen)
        elif found.holds and not found.gave_up:
            self._held[trial.load] = found.note
        else:
            self._failed[trial.load] = found.note

    @property
    def highest(self) -> float | None:
        """The highest load tried that holds; null where none does."""
        return max(self._held, default=None)

    @property
    def finding(self) -> str:
        """The result so far, in words."""
        high = min(self._failed, default=None)
        fails = "" if high is None else f"{self.label(high)} does not{_in_brackets(self._failed[high])}"
        if self.highest is None:
            lowest = f"; even {fails}" if fails else ""
            return f"goodput: no load holds {self._what}{lowest}"
        holds = f"{self.label(self.highest)} holds {self._what}{_in_brackets(self._held[self.highest])}"
        rest = fails or "the search's max: raise it to find the limit"
        return f"goodput: {holds}, {rest}"


def search_of(config: Mapping[str, Any]) -> Search:
    """The search of a load in the catalog (`schemas.catalog.loads.Search` as JSON). Raises SpecError."""
    bounds = (config["start"], config["max"], config["resolution"])
    whole = config["over"] == "concurrency"
    if config["kind"] == "saturate":
        return Saturate(*bounds, whole=whole)
    if config["kind"] == "goodput":
        return Goodput(*bounds, whole=whole, what=config["slo"])
    raise SpecError(f"search.kind is {config['kind']!r}, expected saturate or goodput")


def verdict(judged: Mapping[str, Any] | None) -> bool | None:
    """Whether an SLO holds, by its row of `slo_attainment`; None while that is undecided.

    By attainment it holds where the interval lies above the share, and does not where it lies below.
    """
    if judged is None:
        return None
    share, lowest, highest = (judged[name] for name in ("attainment_share", "attainment_lo", "attainment_hi"))
    if share is not None and lowest is not None and lowest < share <= highest:
        return None
    meets: bool | None = judged["meets_slo"]
    return meets


def _in_brackets(note: str) -> str:
    return f" ({note})" if note else ""


def _rounded(load: float) -> float:
    """To 4 significant digits: a rate that one can read."""
    return float(f"{load:.{_SIGNIFICANT_DIGITS}g}")
