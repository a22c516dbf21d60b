"""Gaps are counted by combination, whatever their size, and fitted below an instant."""

import numpy as np
import pytest

from transforms import folding
from transforms.folding import Counter, Lists


def counted(counter: Counter) -> dict[tuple[int, int], int]:
    """What was counted: (gap, way) -> occurrences; each combination once."""
    gaps, ways, times = counter.counted()
    found = list(zip(gaps.tolist(), ways.tolist(), strict=True))
    assert len(set(found)) == len(found)
    return dict(zip(found, times.tolist(), strict=True))


@pytest.mark.parametrize("late", [9, 2_000_000_000], ids=["near", "far"])
def test_each_gap_is_counted_once_in_each_way_near_or_far(late: int) -> None:
    counter = Counter(ways=2, shortest=7, gaps_at_once=6)
    counter.add(np.array([7, 7, late, 7, late, 8], np.int32), np.array([0, 1, 0, 0, 0, 1]))
    assert counted(counter) == {(7, 0): 2, (7, 1): 1, (late, 0): 2, (8, 1): 1}


def test_counting_goes_on_with_shorter_gaps_and_whatever_was_far(monkeypatch: pytest.MonkeyPatch) -> None:
    # blocks of two gaps, and far ones are sorted as soon as two wait: 5 is shorter than the counter was made for
    for name in ("_BLOCK", "_FAR"):
        monkeypatch.setattr(folding, name, 2)
    counter = Counter(ways=1, shortest=8, gaps_at_once=1)
    for gaps in ([8, 1_000_000, 8, 9, 1_000_000], [5, 1_000_000, 9], [5, 3_000_000, 0]):
        counter.add(np.array(gaps, np.int32), 0)
    assert counted(counter) == {(0, 0): 1, (5, 0): 2, (8, 0): 2, (9, 0): 2, (1_000_000, 0): 3, (3_000_000, 0): 1}


def test_more_ways_than_have_a_place_are_told_apart() -> None:
    # 2 ** 30 ways: but for the shortest gap every one is far
    counter = Counter(ways=2**30, shortest=10, gaps_at_once=4)
    counter.add(np.array([10, 10, 11, 2_000_000_000], np.int32), np.array([0, 2**30 - 1, 5, 5]))
    assert counted(counter) == {(10, 0): 1, (10, 2**30 - 1): 1, (11, 5): 1, (2_000_000_000, 5): 1}


def test_the_gaps_that_fit_before_an_instant_are_counted_by_list() -> None:
    # 3 and 2 fit into 5 and so does the gap of 0 after them, into 4 only the first; the second list is empty and the
    # third has less than it could take
    lists = Lists.of_lengths(np.array([3, 2, 0, 9, 1, 1]), np.array([4, 0, 2]))
    assert lists.fitting(np.array([0, 0, 1, 2]), np.array([5, 4, 100, 100])).tolist() == [3, 1, 0, 2]


def test_the_first_values_of_a_list_are_summed_and_no_others() -> None:
    lists = Lists.of_lengths(np.array([3, 2, 4, 8]), np.array([2, 2]))
    assert lists.sums(np.array([0, 1, 1]), np.array([1, 1, 9])).tolist() == [3, 4, 12]
    assert lists[np.array([1])].values.tolist() == [4, 8]


def test_lists_count_up_from_their_first_value() -> None:
    lists = Lists.counting(np.array([3, 9, 0]), np.array([2, 0, 3]))
    assert (lists.values.tolist(), lists.offsets.tolist()) == ([3, 4, 0, 1, 2], [0, 2, 2, 5])


@pytest.mark.parametrize("rows", [[], [0], [1, 2], [0, 2], [0, 1, 3], [0, 1, 2, 3]])
def test_lists_are_taken_by_their_number(rows: list[int]) -> None:
    lists = [[3, 2], [], [4], [8, 9, 1]]
    taken = Lists.of_lengths(np.array([3, 2, 4, 8, 9, 1]), np.array([2, 0, 1, 3]))[np.array(rows, np.int64)]
    assert taken.values.tolist() == [value for row in rows for value in lists[row]]
    assert taken.lengths.tolist() == [len(lists[row]) for row in rows]
