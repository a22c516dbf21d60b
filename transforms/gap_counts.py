"""Counts the gaps of streams by level, tokens of the later chunk, or mean tokens of a chunk (`staging.gap_folds`)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from transforms.folding import Counter, Integers, Lists

_MOST_WAYS = 2**31

Columns = dict[str, Any]
"""Arrays of one length, by name."""


def taken(columns: Columns, rows: Any) -> Columns:
    """Some rows, by number, mask or slice."""
    return {name: values[rows] for name, values in columns.items()}


@dataclass(frozen=True)
class Ways:
    """The ways in which gaps come: number `t * len(level_nos) + k` is kind k with the t-th of `tokens`."""

    level_nos: Integers
    mean_tokens: Any
    tokens: Integers

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.level_nos) * len(self.tokens)

    def holds(self, other: "Ways") -> bool:
        """Whether the ways of `other` have the same numbers here."""
        return (
            np.array_equal(self.level_nos, other.level_nos)
            and np.array_equal(self.mean_tokens, other.mean_tokens, equal_nan=True)
            and np.array_equal(self.tokens[: len(other.tokens)], other.tokens)
        )


class Counts:
    """Counts gaps: those of requests with tokens by the chunk, and those of the others.

    `came_again`: some levels were counted in parts, so that a combination may have several rows.
    """

    def __init__(self, tell: Callable[[Columns], None]) -> None:
        """`tell` is given what was counted, as columns of `staging.gap_folds`; a negative number stands for null."""
        self._tell, self.came_again = tell, False
        self._open: dict[bool, tuple[Ways, Counter]] = {}
        self._counted: set[tuple[bool, int]] = set()

    def add(self, streams: Columns, gaps: Lists, tokens: Lists) -> None:
        """Count the gaps of the streams that are pooled."""
        pooled = streams["is_pooled"] & (gaps.lengths > 0)
        weighted = streams["has_tokens"] & (tokens.lengths > 0)
        if len(rows := np.flatnonzero(pooled & ~weighted)):
            self._add(taken(streams, rows), gaps[rows], None)
        if len(rows := np.flatnonzero(pooled & weighted)):
            of_rows = tokens[rows]
            # the first chunk ends no gap
            self._add(taken(streams, rows), gaps[rows], np.delete(of_rows.values, of_rows.offsets[:-1]))

    def close(self) -> None:
        """Tell what has been counted and not been told."""
        for is_weighted in list(self._open):
            self._end(is_weighted)

    def _add(self, streams: Columns, gaps: Lists, tokens: Integers | None) -> None:
        _, firsts, of_rows = np.unique(streams["kind_no"], return_index=True, return_inverse=True)
        known = np.full(1, -1) if tokens is None else np.arange(int(tokens.max()) + 1)
        if tokens is not None and len(firsts) * len(known) >= _MOST_WAYS:
            known, tokens = np.unique(tokens, return_inverse=True)
        ways = Ways(streams["level_no"][firsts], streams["mean_tokens"][firsts], known)
        numbers: Any = 0 if tokens is None else tokens
        if len(firsts) > 1:
            numbers = numbers * np.int64(len(firsts)) + np.repeat(of_rows, gaps.lengths)
        self._counter(tokens is not None, ways, gaps.values).add(gaps.values, numbers)

    def _counter(self, is_weighted: bool, ways: Ways, gaps: Integers) -> Counter:
        """A counter with these ways: the open one where it has them."""
        if is_weighted not in self._open or not self._open[is_weighted][0].holds(ways):
            self._end(is_weighted)
            self._open[is_weighted] = ways, Counter(ways.count, int(gaps.min()), len(gaps))
        return self._open[is_weighted][1]

    def _end(self, is_weighted: bool) -> None:
        if is_weighted not in self._open:
            return
        ways, counter = self._open.pop(is_weighted)
        levels = {(is_weighted, level_no) for level_no in np.unique(ways.level_nos).tolist()}
        self.came_again |= not levels.isdisjoint(self._counted)
        self._counted |= levels
        gaps, numbers, occurrences = counter.counted()
        of_tokens, kinds = np.divmod(numbers, len(ways.level_nos))
        self._tell(
            {
                "level_no": ways.level_nos[kinds],
                "gap_us": gaps,
                "chunk_tokens": ways.tokens[of_tokens],
                "mean_tokens": ways.mean_tokens[kinds],
                "occurrences": occurrences,
            }
        )
