"""A change of a series is told from its own noise, dated, and told as one."""

import numpy as np
import pytest

from transforms.changes import Known, Seen, follow
from transforms.one_step import step_of

NOISE = 0.02


def noise(nights: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, NOISE, nights)


def watch(values: np.ndarray, own: np.ndarray | None = None) -> list[Seen]:
    return follow(values, np.zeros(len(values)) if own is None else own)


def found(seen: list[Seen]) -> list[tuple[int, bool]]:
    """(night, whether worse) of each change, on the night it was found."""
    return [(n, s.episode.worse) for n, s in enumerate(seen) if s.episode is not None and s.episode.found == n]


def test_a_step_is_found_once_dated_and_becomes_the_new_normal() -> None:
    values = noise(160, seed=2)
    values[120:] += np.log(1.08)  # four spreads: two nights of them cannot be missed
    seen = watch(values)
    [(night, worse)] = found(seen)
    assert worse and 120 <= night <= 122
    states = [s.state for s in seen]
    # told on 14 valid nights, the last of them says that it is settled; then it is the baseline
    assert states[night : night + 14] == ["open"] * 13 + ["settled"]
    assert set(states[night + 14 :]) == {"quiet"} and seen[-1].since == seen[night + 13].since
    last = seen[night + 13].episode
    assert last is not None and abs(last.step - 120) <= 1
    # the mean of 15 nights is off by 2 % / sqrt(15) = 0.5 %, three of those either way
    assert last.change == pytest.approx(np.log(1.08), abs=0.016)


def test_nights_that_come_one_by_one_are_judged_as_all_at_once() -> None:
    values = noise(200, seed=3)
    values[90:] += 0.08
    values[150:] -= 0.05
    at_once, known = watch(values), Known()
    for night in range(len(values)):
        [seen] = follow(values[: night + 1], np.zeros(night + 1), known)
        assert seen == at_once[night]
        known = Known(night + 1, seen, known.starts | {seen.since})


def test_one_bad_night_alerts_nobody_unless_it_is_far_out() -> None:
    values = noise(120, seed=4)
    values[100] = 4 * NOISE
    assert found(watch(values)) == []
    values[100] = 8 * NOISE
    seen = watch(values)
    assert found(seen) == [(100, True)]
    assert next(s.state for s in seen[101:] if s.state != "open") == "passed"


def test_what_is_taken_back_has_passed_and_is_no_improvement() -> None:
    values = noise(160, seed=7)
    values[100:106] += 0.1
    seen = watch(values)
    assert [worse for _, worse in found(seen)] == [True]
    assert [s.state for s in seen].count("passed") == 1
    assert seen[-1].since == 0, "the baseline goes on from where it was"


@pytest.mark.parametrize("nights_later", [2, 3, 4, 6, 8])
def test_a_second_step_is_a_change_of_its_own_while_the_first_is_open(nights_later: int) -> None:
    told_apart = 0
    for seed in range(20):
        values = noise(120 + nights_later + 12, seed)
        values[120:] += np.log(1.06)
        values[120 + nights_later :] += np.log(1.12)
        nights = [night for night, worse in found(watch(values)) if worse and night >= 120]
        told_apart += any(120 + nights_later <= night <= 123 + nights_later for night in nights)
    # 94 to 99 % in 120 histories of other steps each; 6 to 97 % where five nights had to lie between
    assert told_apart >= 17


def test_a_slow_drift_is_found() -> None:
    values = noise(260, seed=9)
    values[120:] += 0.001 * np.arange(140)
    changes = found(watch(values))
    assert changes and all(worse for _, worse in changes)
    # after 60 nights it is 6 %, three spreads, which nobody should have to wait for
    assert changes[0][0] <= 180


def test_an_improvement_is_a_change_for_the_better() -> None:
    values = noise(120, seed=11)
    values[90:] -= 0.12
    assert [worse for _, worse in found(watch(values))] == [False]


def test_a_night_measured_worse_than_usual_has_to_move_more() -> None:
    values, own = noise(102, seed=13), np.zeros(102)
    values[100:] = 0.09
    assert found(watch(values, own))
    own[100:] = 0.06  # three times the spread: 1.5 of such a night's own errors
    assert found(watch(values, own)) == []


def test_there_is_no_baseline_before_the_fifth_night_and_a_still_series_needs_no_more() -> None:
    values = np.zeros(12)
    values[9:] = np.log(1.05)
    seen = watch(values)
    assert [s.state for s in seen[:7]] == ["no_baseline"] * 7  # the three newest nights are no baseline: 5 + 2
    # a still series counts as 0.25 % noisy: 5 % are 19 of those
    assert found(seen) == [(9, True)]


@pytest.mark.parametrize("alike", [0.0, 0.4])
def test_false_alarms_are_rare_also_where_nights_resemble_each_other(alike: float) -> None:
    alarms = 0
    for seed in range(12):
        values = noise(485, seed)
        for night in range(1, 485):
            values[night] = alike * values[night - 1] + np.sqrt(1 - alike**2) * values[night]
        alarms += sum(night >= 120 for night, _ in found(watch(values)))
    # a year each; make bench counts over hundreds
    assert alarms <= 24


def test_a_step_is_where_ruptures_puts_it() -> None:
    import ruptures

    chance = np.random.default_rng(5)
    for length in range(2, 60):
        # rounded, so that several places are equally good
        for values in (chance.normal(0, NOISE, length), chance.normal(0, NOISE, length).round(2), np.zeros(length)):
            values[length // 3 :] += 0.03
            [step, _] = ruptures.KernelCPD(kernel="linear", min_size=1).fit(values.reshape(-1, 1)).predict(n_bkps=1)
            assert step_of(values) == step
    assert step_of(np.array([1.0, 1.0, 2.0, 2.0, 2.0])) == 2
