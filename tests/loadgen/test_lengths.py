"""Lengths follow the distribution that the catalog states, within its bounds, alike for the same seed."""

import random
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.lengths import draw, mean
from schemas.errors import SpecError


def drawn(config: Any, count: int = 20_000, seed: int = 1) -> list[int]:
    rng = random.Random(seed)
    return [draw(config, rng) for _ in range(count)]


def test_a_number_is_always_the_same() -> None:
    assert set(drawn(512, 10)) == {512} == set(drawn({"distribution": "fixed", "tokens": 512}, 10))
    assert mean(512) == mean({"distribution": "fixed", "tokens": 512}) == 512.0


def test_uniform_takes_both_ends() -> None:
    config = {"distribution": "uniform", "min": 3, "max": 6}
    assert set(drawn(config, 200)) == {3, 4, 5, 6}
    assert mean(config) == 4.5


def test_a_lognormal_has_the_mean_and_the_deviation_of_its_lengths() -> None:
    # mean 1000, stddev 500: standard error of the mean of 20,000 is 500 / sqrt(20,000) = 3.5
    values = drawn({"distribution": "lognormal", "mean": 1000, "stddev": 500, "min": 1, "max": None})
    assert fmean(values) == pytest.approx(1000, abs=15)
    assert stdev(values) == pytest.approx(500, rel=0.05)
    assert min(values) > 100  # e^(6.796 - 4 x 0.472) = 135: no tail to the left


def test_a_normal_is_symmetric_about_its_mean() -> None:
    values = drawn({"distribution": "normal", "mean": 500, "stddev": 50, "min": 1, "max": None})
    assert fmean(values) == pytest.approx(500, abs=1.5)
    assert stdev(values) == pytest.approx(50, rel=0.05)


def test_a_normal_cut_at_its_mean_is_a_half_normal() -> None:
    # mean of a half-normal: 1000 + 100 x sqrt(2 / pi) = 1079.8; half a token less for the rounding at the cut
    config = {"distribution": "normal", "mean": 1000, "stddev": 100, "min": 1000, "max": None}
    assert min(drawn(config)) == 1000
    assert mean(config) == pytest.approx(1079.8, abs=0.6)
    assert fmean(drawn(config)) == pytest.approx(mean(config), abs=2)


@given(
    st.sampled_from(["normal", "lognormal"]),
    st.floats(2, 5000),
    st.floats(0, 20_000),
    st.integers(0, 1000),
    st.integers(0, 100_000),
)
def test_every_length_is_within_its_bounds_and_so_is_the_mean(
    kind: str, middle: float, stddev: float, below: int, above: int
) -> None:
    least, most = max(1, int(middle) - below), int(middle) + 1 + above
    config = {"distribution": kind, "mean": middle, "stddev": stddev, "min": least, "max": most}
    assert all(least <= value <= most for value in drawn(config, 50))
    assert least - 0.5 <= mean(config) <= most + 0.5


def test_the_mean_that_is_told_is_the_mean_that_is_drawn() -> None:
    config = {"distribution": "lognormal", "mean": 300, "stddev": 600, "min": 20, "max": 800}
    assert fmean(drawn(config)) == pytest.approx(mean(config), rel=0.02)


def test_the_same_seed_draws_the_same() -> None:
    config = {"distribution": "lognormal", "mean": 300, "stddev": 600, "min": 1, "max": None}
    assert drawn(config, 50, seed=3) == drawn(config, 50, seed=3) != drawn(config, 50, seed=4)


@pytest.mark.parametrize(
    ("name", "content", "column"),
    [
        ("a.txt", "5\n\n7\n", None),
        ("a.csv", "id,Tokens\n1,5\n2,7\n", "tokens"),
        ("a.jsonl", '{"n": 5}\n{"n": 7}\n', "n"),
    ],
)
def test_lengths_of_a_file_are_drawn_alike(tmp_path: Path, name: str, content: str, column: str | None) -> None:
    (tmp_path / name).write_text(content)
    config = {"distribution": "empirical", "file": str(tmp_path / name), "column": column}
    assert set(drawn(config, 50)) == {5, 7}
    assert mean(config) == 6.0


@pytest.mark.parametrize(
    ("content", "column", "told"),
    [
        ("5\nx\n", None, "a.csv:2: found 'x', expected a whole number of tokens, at least 1"),
        ("n\n5\n0\n", "n", "a.csv:3: n: found '0', expected a whole number"),
        ("n,m\n5\n", "n", "a.csv:2: 1 fields, expected 2"),
        ("n\n5\n", "tokens", "a.csv:1: no column 'tokens', found n"),
        ("", None, "a.csv:1: holds no lengths"),
        ("n\n", "n", "a.csv:1: holds no lengths"),
        ("5.5\n", None, "a.csv:1: found '5.5'"),
        ("nan\n", None, "a.csv:1: found 'nan'"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(tmp_path: Path, content: str, column: str | None, told: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(SpecError, match=told.replace(".", r"\.")):
        draw({"distribution": "empirical", "file": str(tmp_path / "a.csv"), "column": column}, random.Random(1))


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"gone\.txt: cannot be read"):
        mean({"distribution": "empirical", "file": str(tmp_path / "gone.txt"), "column": None})
