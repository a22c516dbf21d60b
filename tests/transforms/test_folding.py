"""Gaps are counted by combination, whatever their size, and fitted below an instant."""

from collections import Counter

import numpy as np
import pytest

from transforms.folding import Lists, fold


def counted(gaps: list[int], kinds: list[int], tokens: list[int] | None = None) -> Counter[tuple[int, ...]]:
    """What `fold` found: combination -> occurrences; each combination once."""
    given = None if tokens is None else np.array(tokens, np.int32)
    found, of_kind, with_tokens, times = fold(np.array(gaps, np.int32), np.array(kinds), given)
    columns = [found, of_kind] if with_tokens is None else [found, of_kind, with_tokens]
    combinations = [tuple(map(int, row)) for row in zip(*columns, strict=True)]
    assert len(set(combinations)) == len(combinations)
    return Counter(dict(zip(combinations, map(int, times), strict=True)))


@pytest.mark.parametrize("late", [9, 2_000_000_000], ids=["near", "far"])
def test_each_gap_of_a_kind_is_counted_once_near_or_far(late: int) -> None:
    found = counted([7, 7, late, 7, late, 8], [0, 1, 0, 0, 0, 1])
    assert found == {(7, 0): 2, (7, 1): 1, (late, 0): 2, (8, 1): 1}


def test_one_kind_may_hold_of_all_gaps() -> None:
    assert counted([5, 5, 0], [0]) == {(5, 0): 2, (0, 0): 1}


@pytest.mark.parametrize("many", [4, 2_147_483_647], ids=["a few tokens", "more than have a place"])
def test_tokens_of_the_later_chunk_tell_gaps_apart(many: int) -> None:
    found = counted([10, 10, 10, 2_000_000_000], [0, 0, 1, 1], [many, 0, many, many])
    assert found == {(10, 0, many): 1, (10, 0, 0): 1, (10, 1, many): 1, (2_000_000_000, 1, many): 1}


def test_the_gaps_that_fit_before_an_instant_are_counted_by_list() -> None:
    # 3 and 2 fit into 5 and so does the gap of 0 after them, into 4 only the first; the second list is empty and the
    # third has less than it could take
    lists = Lists.of_lengths(np.array([3, 2, 0, 9, 1, 1]), np.array([4, 0, 2]))
    assert lists.fitting(np.array([0, 0, 1, 2]), np.array([5, 4, 100, 100])).tolist() == [3, 1, 0, 2]


def test_the_first_values_of_a_list_are_summed_and_no_others() -> None:
    lists = Lists.of_lengths(np.array([3, 2, 4, 8]), np.array([2, 2]))
    assert lists.sums(np.array([0, 1, 1]), np.array([1, 1, 9])).tolist() == [3, 4, 12]
    assert lists[np.array([1])].values.tolist() == [4, 8]


@pytest.mark.parametrize("rows", [[], [0], [1, 2], [0, 2], [0, 1, 3], [0, 1, 2, 3]])
def test_lists_are_taken_by_their_number(rows: list[int]) -> None:
    lists = [[3, 2], [], [4], [8, 9, 1]]
    taken = Lists.of_lengths(np.array([3, 2, 4, 8, 9, 1]), np.array([2, 0, 1, 3]))[np.array(rows, np.int64)]
    assert taken.values.tolist() == [value for row in rows for value in lists[row]]
    assert taken.lengths.tolist() == [len(lists[row]) for row in rows]
