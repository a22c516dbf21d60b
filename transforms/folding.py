"""Gaps between token chunks by the million: how often each came, and how many came before an instant.

Arrays of whole numbers. A gap belongs to a kind, such as a load level, and its later chunk has tokens.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[Any]

_WIDE = 2**31


@dataclass(frozen=True)
class Lists:
    """Lists of whole numbers, end to end in one array; list i is `values[offsets[i]:offsets[i + 1]]`."""

    values: Integers
    offsets: Integers

    @classmethod
    def of_lengths(cls, values: Integers, lengths: Integers) -> "Lists":
        """Lists of so many values each."""
        return cls(values, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))

    @cached_property
    def lengths(self) -> Integers:
        """How many values each list has."""
        return self.offsets[1:] - self.offsets[:-1]

    def __getitem__(self, rows: Integers) -> "Lists":
        """The lists `rows`, whose numbers rise."""
        if len(rows) == len(self.lengths):
            return self
        taken = np.zeros(len(self.lengths), bool)
        taken[rows] = True
        return Lists.of_lengths(self.values[np.repeat(taken, self.lengths)], self.lengths[rows])

    def sums(self, rows: Integers, many: Integers) -> Integers:
        """What the first `many[i]` values of list `rows[i]` add up to; of all where it has fewer."""
        reached = np.concatenate([[0], np.cumsum(self.values, dtype=np.int64)])
        starts, ends = self.offsets[rows], self.offsets[rows + 1]
        sums: Integers = reached[np.minimum(starts + many, ends)] - reached[starts]
        return sums

    def fitting(self, rows: Integers, limits: Integers) -> Integers:
        """How many values of list `rows[i]`, from its first on, add up to no more than `limits[i]`; none is negative."""
        reached = np.concatenate([[0], np.cumsum(self.values, dtype=np.int64)])
        starts, ends = self.offsets[rows], self.offsets[rows + 1]
        # sums never fall, so that one search serves all lists
        found = np.searchsorted(reached, reached[starts] + limits, side="right") - 1
        fitting: Integers = np.minimum(found, ends) - starts
        return fitting


def fold(
    gaps: Integers, kinds: Integers, tokens: Integers | None = None
) -> tuple[Integers, Integers, Integers | None, Integers]:
    """Each combination of gap, kind and tokens once, and how often it came. None of the numbers is negative.

    `gaps` are not empty; `kinds` may be one for all. Most gaps of a stream are short and alike: those find a place in an
    array that is not much larger than they are many, and only the others are sorted.
    """
    known: Integers | None = None
    kind_count = int(kinds.max()) + 1
    if tokens is not None and kind_count * (int(tokens.max()) + 1) >= _WIDE:
        known, tokens = np.unique(tokens, return_inverse=True)
    ways = kind_count * (1 if tokens is None else int(tokens.max()) + 1)
    shortest = int(gaps.min())
    codes = np.subtract(gaps, shortest, dtype=np.int64)
    codes *= ways
    if tokens is not None:
        codes += np.multiply(tokens, kind_count, dtype=np.int64)
    codes += kinds
    found, occurrences = _counted(codes, len(gaps))
    found_gaps, rest = np.divmod(found, ways)
    found_tokens, found_kinds = np.divmod(rest, kind_count)
    if known is not None:
        found_tokens = known[found_tokens]
    return found_gaps + shortest, found_kinds, None if tokens is None else found_tokens, occurrences


def _counted(codes: Integers, places: int) -> tuple[Integers, Integers]:
    """Each code, and how often it came: by its place below `places`, by sorting from there on."""
    if int(codes.max()) < places:
        counts = np.bincount(codes)
        found = np.flatnonzero(counts)
        return found, counts[found]
    near = codes < places
    found, occurrences = _counted(codes[near], places) if near.any() else (codes[:0], codes[:0])
    far, times = np.unique(codes[~near], return_counts=True)
    return np.concatenate([found, far]), np.concatenate([occurrences, times])
