"""Samples by the million of which those at a few ranks are wanted: counted in bins first, then those of few bins looked at.

A sample is a float, zero or more. A bin is a 512th of an octave, so that few lie in one, whatever they measure.
"""

import numpy as np
import numpy.typing as npt

from transforms.folding import Integers

Floats = npt.NDArray[np.float64]

_PER_OCTAVE = 2**9
_SHIFT = 52 - 9
_LOWEST, _HIGHEST = 2.0**-20, 2.0**26
"""What lies beyond is in the first bin or the last."""


def _leading(values: Floats) -> Integers:
    """Exponent and first bits: as whole numbers they rise with the values."""
    return values.view(np.int64) >> _SHIFT


_FIRST, _END = _leading(np.array([_LOWEST, _HIGHEST])).tolist()
_MANY = _END - _FIRST


def bins_of(samples: Floats) -> Integers:
    """The bin of each."""
    found = _leading(samples)
    found -= _FIRST
    return np.clip(found, 0, _MANY - 1, out=found)


class Binned:
    """How many samples each bin has, and what they add up to."""

    def __init__(self) -> None:
        self.counts = np.zeros(_MANY, np.int64)
        self._sums = np.zeros(_MANY)

    def add(self, samples: Floats) -> None:
        """Count these."""
        bins = bins_of(samples)
        self.counts += np.bincount(bins, minlength=_MANY)
        self._sums += np.bincount(bins, samples, minlength=_MANY)

    def holding(self, ranks: Integers) -> npt.NDArray[np.bool_]:
        """Which bins hold the samples of these ranks, counted from 0."""
        holding = np.zeros(_MANY, np.bool_)
        holding[np.searchsorted(np.cumsum(self.counts), ranks, side="right")] = True
        return holding

    def means(self, apart: npt.NDArray[np.bool_]) -> tuple[Floats, Integers]:
        """Mean and number of the samples of each bin but those `apart`: in order with all others, and of the same sum."""
        bins = np.flatnonzero((self.counts > 0) & ~apart)
        # a sum is rounded, and a mean must not leave its bin
        from_, to = (((bins + _FIRST + k) << _SHIFT).view(np.float64) for k in (0, 1))
        from_[bins == 0], to[bins == _MANY - 1] = 0, np.inf
        return np.clip(self._sums[bins] / self.counts[bins], from_, np.nextafter(to, 0)), self.counts[bins]


class Tally:
    """How often each sample came."""

    def __init__(self, most_waiting: int = 2**20) -> None:
        self._found, self._counts = np.zeros(0), np.zeros(0, np.int64)
        self._waiting: list[Floats] = []
        self._most_waiting = most_waiting

    def add(self, samples: Floats) -> None:
        """Count these."""
        self._waiting.append(samples)
        if sum(map(len, self._waiting)) > self._most_waiting:
            self.counted()

    def counted(self) -> tuple[Floats, Integers]:
        """Each sample, rising, and how often it came."""
        more, counts = np.unique(np.concatenate([self._found[:0], *self._waiting]), return_counts=True)
        found, at = np.unique(np.concatenate([self._found, more]), return_inverse=True)
        sums = np.zeros(len(found), np.int64)
        np.add.at(sums, at, np.concatenate([self._counts, counts]))
        self._found, self._counts, self._waiting = found, sums, []
        return found, sums
