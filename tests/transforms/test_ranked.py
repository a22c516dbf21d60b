"""Of many samples those at a few ranks are found by bins, and the others stand by the mean of their bin."""

import numpy as np

from transforms.ranked import Binned, Tally, bins_of


def test_bins_rise_with_the_samples_and_few_lie_in_one() -> None:
    # a 512th of an octave: of 1024 to 2048 a bin is 2 wide
    samples = np.array([0.0, 1e-9, 1e-3, 1024.0, 1025.9, 1026.0, 2047.9, 2048.0, 1e9, 1e300])
    bins = bins_of(samples)
    first, second, third, fourth, fifth, sixth, seventh, eighth, *beyond = bins.tolist()
    assert (first, fourth, sixth) == (second, fifth, fifth + 1)
    assert (seventh, eighth) == (fourth + 511, fourth + 512)
    assert beyond[0] == beyond[1] > eighth > third > second


def test_what_lies_at_a_rank_is_kept_apart_and_the_rest_is_its_mean() -> None:
    # two bins of two and one of one, counted in two goes; rank 3 is 2048.0
    binned = Binned()
    for samples in ([1024.0, 2048.0, 1025.5], [2049.0, 0.0]):
        binned.add(np.array(samples))
    apart = binned.holding(np.array([3]))
    assert apart[bins_of(np.array([1024.0, 2048.0, 2049.0, 0.0]))].tolist() == [False, True, True, False]
    means, counts = binned.means(apart)
    assert (means.tolist(), counts.tolist()) == ([0.0, 1024.75], [1, 2])


def test_a_mean_that_is_rounded_stays_in_its_bin() -> None:
    # the sum of so many is off by more than the last digit, and just below 1026 the next bin begins
    last = np.nextafter(1026.0, 0)
    binned = Binned()
    binned.add(np.full(999_983, last))
    [mean], [count] = binned.means(np.zeros(len(binned.counts), np.bool_))
    assert (bins_of(np.array([mean])) == bins_of(np.array([last]))).all()
    assert count == 999_983


def test_equal_samples_are_counted_up_however_they_come() -> None:
    tally = Tally(most_waiting=2)
    for samples in ([2.5, 1.5, 2.5], [], [1.5], [0.0]):
        tally.add(np.array(samples))
    samples, counts = tally.counted()
    assert (samples.tolist(), counts.tolist()) == ([0.0, 1.5, 2.5], [1, 2, 2])
