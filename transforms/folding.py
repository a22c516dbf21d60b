"""Gaps between token chunks by the million: how often each came, and how many came before an instant.

Arrays of whole numbers. A gap belongs to a kind, such as a load level, and its later chunk has tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[Any]

_PLACES = 2**17
"""Places for each way in which gaps of a length differ: what the cache of a core holds."""
_BLOCK = 2**18
"""Gaps counted in one go: fresh memory for more costs more than the counting."""
_FAR = 2**20
"""So many gaps without a place may wait for being sorted."""


@dataclass(frozen=True)
class Lists:
    """Lists of whole numbers, end to end in one array; list i is `values[offsets[i]:offsets[i + 1]]`."""

    values: Integers
    offsets: Integers

    @classmethod
    def of_lengths(cls, values: Integers, lengths: Integers) -> "Lists":
        """Lists of so many values each."""
        return cls(values, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))

    @classmethod
    def counting(cls, firsts: Integers, lengths: Integers) -> "Lists":
        """Lists that count up from `firsts`, so many values each."""
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return cls(np.arange(offsets[-1]) + np.repeat(firsts - offsets[:-1], lengths), offsets)

    @classmethod
    def joined(cls, parts: Sequence["Lists"]) -> "Lists":
        """The lists of `parts`, one after the other."""
        if len(parts) == 1:
            return parts[0]
        values, lengths = [part.values for part in parts], [part.lengths for part in parts]
        return cls.of_lengths(np.concatenate(values), np.concatenate(lengths))

    @cached_property
    def lengths(self) -> Integers:
        """How many values each list has."""
        return self.offsets[1:] - self.offsets[:-1]

    def __getitem__(self, rows: Integers) -> "Lists":
        """The lists `rows`, whose numbers rise."""
        if len(rows) == len(self.offsets) - 1:
            return self
        if not len(rows):
            return Lists(self.values[:0], self.offsets[:1])
        # neighbours are copied as one; where all wanted are neighbours nothing is
        breaks = np.flatnonzero(rows[1:] != rows[:-1] + 1)
        starts = self.offsets[rows[np.append(0, breaks + 1)]]
        ends = self.offsets[rows[np.append(breaks, -1)] + 1]
        runs = [self.values[start:end] for start, end in zip(starts, ends, strict=True)]
        return Lists.of_lengths(runs[0] if len(runs) == 1 else np.concatenate(runs), self.lengths[rows])

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


class Counter:
    """How often each gap came in each of so many ways, which the caller numbers from 0; counted up from add to add.

    Most gaps of a stream are short and alike: those have a place in an array, and only the others are sorted.
    """

    def __init__(self, ways: int, shortest: int, gaps_at_once: int) -> None:
        """Gaps from `shortest` on have a place, as many of them as are worth it where `gaps_at_once` come."""
        self.ways, self._shortest = ways, shortest
        self._places = min(_PLACES * ways, max(_PLACES, gaps_at_once))
        self._near = np.zeros(self._places + 1, np.int64)  # the last one is for all that are far
        self._far: list[Integers] = []
        self._far_counted: tuple[Integers, Integers] = (self._near[:0], self._near[:0])

    def add(self, gaps: Integers, ways: Any) -> None:
        """Count these gaps, each in a way of its own or all in one."""
        space = np.empty(min(len(gaps), _BLOCK), np.int64)
        for start in range(0, len(gaps), _BLOCK):
            some = slice(start, start + _BLOCK)
            codes = np.subtract(gaps[some], self._shortest, out=space[: len(gaps[some])])
            if self.ways > 1:
                codes *= self.ways
                codes += ways[some] if np.ndim(ways) else ways
            # as an unsigned number a gap below the shortest is far, too
            unsigned = codes.view(np.uint64)
            is_far = unsigned >= self._places
            if is_far.any():
                self._far.append(codes[is_far])
                np.minimum(unsigned, self._places, out=unsigned)
            self._near += np.bincount(codes, minlength=len(self._near))
        if sum(map(len, self._far)) > _FAR:
            self._count_far()

    def counted(self) -> tuple[Integers, Integers, Integers]:
        """Gap and way of each that came, and how often."""
        self._count_far()
        near = np.flatnonzero(self._near[: self._places])
        codes, counts = self._far_counted
        gaps, ways = np.divmod(np.concatenate([near, codes]), self.ways)
        return gaps + self._shortest, ways, np.concatenate([self._near[near], counts])

    def _count_far(self) -> None:
        before, counts = self._far_counted
        codes, more = np.unique(np.concatenate([before[:0], *self._far]), return_counts=True)
        found, at = np.unique(np.concatenate([before, codes]), return_inverse=True)
        sums = np.zeros(len(found), np.int64)
        np.add.at(sums, at, np.concatenate([counts, more]))
        self._far_counted, self._far = (found, sums), []
