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

_WIDE = 2**31
_PLACES = 2**17
"""Places for each way in which gaps of a length differ: what the cache of a core holds."""


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


def fold(
    gaps: Integers, kinds: Integers, tokens: Integers | None = None
) -> tuple[Integers, Integers, Integers | None, Integers]:
    """Each combination of gap, kind and tokens once, and how often it came. None of the numbers is negative.

    `gaps` are not empty; `kinds` may be one for all. Most gaps of a stream are short and alike: those find a place in an
    array, and only the others are sorted. Block by block, since fresh memory costs more than the counting.
    """
    known: Integers | None = None
    kind_count = int(kinds.max()) + 1
    if tokens is not None and kind_count * (int(tokens.max()) + 1) >= _WIDE:
        known, tokens = np.unique(tokens, return_inverse=True)
    ways = kind_count * (1 if tokens is None else int(tokens.max()) + 1)
    shortest = int(gaps.min())
    code_count = (int(gaps.max()) - shortest + 1) * ways
    width = np.int64 if code_count >= _WIDE else np.int32
    counts = np.zeros(min(code_count, len(gaps), _PLACES * ways), np.int64)
    far: list[Integers] = []
    block = max(_PLACES, len(counts))
    for start in range(0, len(gaps), block):
        some = slice(start, start + block)
        codes = np.subtract(gaps[some], shortest, dtype=width)
        if ways > 1:
            codes *= ways
            if tokens is not None:
                codes += np.multiply(tokens[some], kind_count, dtype=width)
            codes += (kinds if len(kinds) == 1 else kinds[some]).astype(width)
        if code_count > len(counts):
            is_near = codes < len(counts)
            far.append(codes[~is_near])
            codes = codes[is_near]
        counts += np.bincount(codes, minlength=len(counts))
    found = np.flatnonzero(counts)
    sorted_far, far_counts = np.unique(np.concatenate([codes[:0], *far]), return_counts=True)
    found_gaps, rest = np.divmod(np.concatenate([found, sorted_far]), ways)
    found_tokens, found_kinds = np.divmod(rest, kind_count)
    if known is not None:
        found_tokens = known[found_tokens]
    occurrences = np.concatenate([counts[found], far_counts])
    return found_gaps + shortest, found_kinds, None if tokens is None else found_tokens, occurrences
