"""When a series of nights has moved by more than its own noise, and since when (docs/trends.md).

Values are logarithms, so that a change is a share. Each night is judged by what was known then: means of the newest
nights against the nights since the last step, in units of their robust spread. Where the step is, `ruptures` says (ADR
0022). One change is one episode, until it has passed or is the new normal.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from math import erf, sqrt

import numpy as np
import numpy.typing as npt

from transforms.one_step import step_of

Array = npt.NDArray[np.float64]

BASELINE_NIGHTS = 120
"""A baseline reaches so many valid nights back."""
LEAST_NIGHTS = 5
"""Fewer are no baseline."""
LEAST_SPREAD = 0.0025
"""A quieter series counts as this noisy: a quarter of a percent is nothing to wake anyone for."""
SETTLED_NIGHTS = 14
"""A change that was told for so many valid nights is the new normal."""

_STEP, _DRIFT = 3, 28
_WORSE = {1: 6.0, _STEP: 2.85, _DRIFT: 3.4}
"""Sigmas by how many of the newest nights are averaged; set by simulation (docs/trends.md)."""
_BETTER = {1: 6.0, _STEP: 3.6, _DRIFT: 4.0}
_SHOWN = {_STEP: (2, 1.0), _DRIFT: (_DRIFT // 2, 0.4)}
"""A change shows on so many nights of the window, by so many sigmas: two of a step's, half of a drift's."""
_MOST_OF_A_NIGHT = {1: float("inf"), _STEP: 4.0, _DRIFT: 2.0}
"""Sigmas that one night can bring into the mean of a window."""
_LEAST_OF_A_CHANGE = 1
"""So many nights of a change that is open are enough to tell the next one from."""
_PASSED = 1.0
"""Below so many sigmas a change has passed."""
KEPT_NIGHTS = BASELINE_NIGHTS + 2 * _DRIFT
"""Nights before a new one that can matter to it."""
_SEARCHED = 14
"""Nights before an alarm among which its step is looked for; after a drift's the window's own."""
_TRIM, _MAD, _TRIMMED = 3.0, 1.4826, 1.0134
"""Beyond 3 MADs of the median a night does not count; a normal spread looks 1.3 % smaller without them."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A change found on night `found`, a step on night `step`, against the nights from `reference` on before that."""

    found: int
    step: int
    reference: int
    worse: bool
    change: float = 0.0
    """Mean since the step less the reference's centre, in logarithms."""
    sigmas: float = 0.0
    """Of the test that found it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known after a night. `since` is the first night of the baseline, null figures: it is too short."""

    since: int
    nights: int
    centre: float | None = None
    spread: float | None = None
    sigmas: float | None = None
    """How far off the night alone is."""
    episode: Episode | None = None
    state: str = "no_baseline"
    """no_baseline, quiet, open (a change that goes on), passed, settled."""

    @property
    def is_open(self) -> bool:
        """Whether a change goes on after the night."""
        return self.state == "open"


@dataclass(frozen=True, slots=True)
class Known:
    """After so many nights: what was known after the last of them, and where baselines have begun."""

    nights: int = 0
    last: Seen = Seen(0, 0)
    starts: frozenset[int] = frozenset()


def follow(values: Array, own: Array, known: Known = Known()) -> list[Seen]:
    """Judge the nights that come after those known; the same whether they come one by one or all at once.

    `own` is each night's own standard error.
    """
    seen = []
    for night in range(known.nights, len(values)):
        now = _judged(values, own, night, known)
        seen.append(now)
        known = Known(night + 1, now, known.starts | {now.since})
    return seen


def confidence(sigmas: float) -> float:
    """Share of normal noise that stays below so many sigmas."""
    return (1 + erf(sigmas / sqrt(2))) / 2


def _judged(values: Array, own: Array, night: int, known: Known) -> Seen:
    last = known.last
    episode = last.episode if last.is_open else None
    noise = _Noise.of(values, own, night, known)
    if noise is None:
        return Seen(last.since, night - last.since)
    if episode is not None:
        episode = _relocated(values, episode, night, noise)
        reference = _Level(values, night, episode.reference, episode.step, noise)
        if _sign(episode) * reference.sigmas(_STEP) < _PASSED:
            return reference.seen(_grown(values, episode, night, reference), "passed")
    level = _Level(values, night, last.since if episode is None else episode.step, night, noise)
    alarm = level.alarm(LEAST_NIGHTS if episode is None else _LEAST_OF_A_CHANGE)
    if alarm is not None:
        window, sigmas = alarm
        step = _step(values, max(level.start + 1, night - max(_SEARCHED, 2 * window)), night, noise, level)
        if episode is not None and episode.worse != (sigmas > 0) and _is_back(values[step : night + 1], reference):
            return reference.seen(_grown(values, episode, night, reference), "passed")
        episode = Episode(night, step, level.start, sigmas > 0, sigmas=abs(sigmas))
    if episode is None:
        return level.seen()
    reference = _Level(values, night, episode.reference, episode.step, noise)
    episode = _grown(values, episode, night, reference)
    if night - episode.found + 1 < SETTLED_NIGHTS:
        return reference.seen(episode, "open")
    return replace(reference.seen(episode, "settled"), since=episode.step)


def _is_back(nights: Array, reference: "_Level") -> bool:
    """Whether these nights are where they were before the change."""
    off = abs(float(nights.mean()) - reference.centre) * sqrt(len(nights))
    return off < 2 * reference.noise.spread


def _grown(values: Array, episode: Episode, night: int, reference: "_Level") -> Episode:
    """The size of the change, as of `night`."""
    return replace(episode, change=float(values[episode.step : night + 1].mean()) - reference.centre)


@dataclass(frozen=True, slots=True)
class _Noise:
    """Night-to-night noise of a series: its robust spread over the segments between steps."""

    spread: float
    likeness: float
    """Correlation of a night with the one before, 0 where it could be chance."""
    typical_own: float
    own: Array
    freedom: int

    @classmethod
    def of(cls, values: Array, own: Array, night: int, known: "Known") -> "_Noise | None":
        """From the nights before the newest ones; null where they are too few."""
        end = night - _STEP + 1
        reach = max(0, end - BASELINE_NIGHTS)
        if end - reach < LEAST_NIGHTS:
            return None
        starts = set(known.starts)
        if known.last.is_open and known.last.episode is not None:
            starts.add(known.last.episode.step)
        cuts = [reach, *sorted(s for s in starts if reach < s < end), end]
        parts = [values[a:b] for a, b in pairwise(cuts) if b - a >= 3]
        if not parts:
            return None
        rest = np.concatenate([part - _median(part) for part in parts])
        far = np.abs(rest)
        kept = rest[far <= max(_TRIM * _MAD * _median(far), LEAST_SPREAD)]
        freedom = len(kept) - len(parts)
        if freedom < LEAST_NIGHTS - 1:
            return None
        squares = float(kept @ kept)
        alike = float(kept[1:] @ kept[:-1]) / squares if squares else 0.0
        return cls(
            spread=max(LEAST_SPREAD, sqrt(squares / freedom) * _TRIMMED),
            likeness=alike if alike > 2 / sqrt(len(kept)) else 0.0,
            typical_own=_median(own[reach:end]),
            own=own,
            freedom=freedom,
        )

    def of_nights(self, first: int, end: int) -> Array:
        """The spread of each night: more where it was measured worse than usual."""
        return np.sqrt(self.spread**2 + np.maximum(0.0, self.own[first:end] ** 2 - self.typical_own**2))

    def grown(self, nights: int) -> float:
        """Variance of a mean of so many nights, as a multiple of that of independent ones."""
        if not self.likeness:
            return 1.0
        return 1 + 2 * sum((1 - k / nights) * self.likeness**k for k in range(1, nights))

    def threshold(self, sigmas: float) -> float:
        """Sigmas that an estimated spread needs for what `sigmas` of a known one say (Student's t, Cornish-Fisher)."""
        if self.spread <= LEAST_SPREAD or self.freedom >= BASELINE_NIGHTS - 1:
            return sigmas
        return sigmas * min(_student(sigmas, self.freedom) / _student(sigmas, BASELINE_NIGHTS - 1), 1.8)


def _median(values: Array) -> float:
    ordered = np.sort(values)  # of so few values faster than numpy's own
    return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _student(sigmas: float, freedom: int) -> float:
    """Student's t over the normal, at the same tail (Cornish and Fisher's first terms)."""
    square = sigmas**2
    return 1 + (square + 1) / (4 * freedom) + (5 * square**2 + 16 * square + 3) / (96 * freedom**2)


class _Level:
    """Where the nights of a baseline lie, and how far off the newest nights are."""

    def __init__(self, values: Array, night: int, start: int, end: int, noise: _Noise) -> None:
        self.values, self.night, self.noise = values, night, noise
        self.start, self.end = start, end
        self.nights, self.centre = self._centre(min(end, night - _STEP + 1))

    def _centre(self, end: int) -> tuple[int, float]:
        """How many nights before `end` count, and their mean."""
        part = self.values[max(self.start, end - BASELINE_NIGHTS) : max(self.start, end)]
        if not len(part):
            return 0, 0.0
        middle = _median(part)
        kept = part[np.abs(part - middle) <= _TRIM * self.noise.spread]
        return (len(kept), float(kept.sum()) / len(kept)) if len(kept) else (1, middle)

    def sigmas(self, window: int) -> float:
        """How far the mean of the newest nights is off, in its own sigmas."""
        nights, centre = self._before(window)
        most = _MOST_OF_A_NIGHT[window]
        capped = np.minimum(np.maximum(self._offs(window, centre), -most), most)
        return float(capped.sum()) / sqrt(window * (self.noise.grown(window) + window / nights))

    def _offs(self, window: int, centre: float) -> Array:
        first, end = self.night - window + 1, self.night + 1
        return (self.values[first:end] - centre) / self.noise.of_nights(first, end)

    def alarm(self, least_nights: int) -> tuple[int, float] | None:
        """Window and sigmas of the first test that trips; sigmas below 0: better. Null with fewer nights than that."""
        if self.nights < least_nights:
            return None
        for window, worse in _WORSE.items():
            if window == _DRIFT and self.night - window + 1 - self.start < 2 * LEAST_NIGHTS:
                continue
            sigmas = self.sigmas(window)
            limit = worse if sigmas > 0 else _BETTER[window]
            if abs(sigmas) < self.noise.threshold(limit):
                continue
            if window in _SHOWN and not self._shows(window, sigmas):
                continue
            return window, sigmas
        return None

    def _shows(self, window: int, sigmas: float) -> bool:
        nights, least = _SHOWN[window]
        offs = self._offs(window, self._before(window)[1])
        return int((offs >= least).sum() if sigmas > 0 else (offs <= -least).sum()) >= nights

    def _before(self, window: int) -> tuple[int, float]:
        """The baseline that ends before a window: how many nights, and their mean."""
        if window != _DRIFT:
            return self.nights, self.centre
        return self._centre(min(self.end, self.night - window + 1))

    def seen(self, episode: Episode | None = None, state: str = "quiet") -> Seen:
        """As known after the night."""
        if not self.nights:
            return Seen(self.start, 0)
        return Seen(self.start, self.nights, self.centre, self.noise.spread, self.sigmas(1), episode, state)


def _relocated(values: Array, episode: Episode, night: int, noise: _Noise) -> Episode:
    """The step where the nights since then put it."""
    level = _Level(values, night, episode.reference, episode.step, noise)
    step = _step(values, max(episode.reference + 1, episode.step - _SEARCHED), night, noise, level)
    return replace(episode, step=min(step, episode.found))


def _step(values: Array, first: int, night: int, noise: _Noise, level: _Level) -> int:
    """The night from which on the nights from `first` to `night` are best told apart from those before."""
    most = 2 * _MOST_OF_A_NIGHT[_STEP] * noise.spread
    nights = np.clip(values[first : night + 1], level.centre - most, level.centre + most)
    if len(nights) < 2:
        return night
    return first + step_of(nights)


def _sign(episode: Episode) -> int:
    return 1 if episode.worse else -1
