"""Searches against simulated endpoints: they end, they find what is there, noise or not."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.search import Found, Goodput, Saturate, Search, Trial, search_of
from schemas.errors import SpecError

MOST_LEVELS = 60


def play(search: Search, measure: Callable[[Trial], Found]) -> list[Trial]:
    """Run a search to its end; returns what it tried."""
    tried = []
    while (trial := search.next()) is not None:
        tried.append(trial)
        assert len(tried) <= MOST_LEVELS, tried
        search.tell(trial, measure(trial))
    return tried


def serves(capacity: float) -> Callable[[Trial], Found]:
    """A closed-loop endpoint with `capacity` slots of one request a second."""
    return lambda trial: Found(request_rps=min(trial.load, capacity))


def takes(capacity: float) -> Callable[[Trial], Found]:
    """An open-loop endpoint: above `capacity` its queue only grows."""
    return lambda trial: Found(request_rps=min(trial.load, capacity), gave_up=trial.load > capacity)


def holds_to(limit: float) -> Callable[[Trial], Found]:
    return lambda trial: Found(None, holds=trial.load <= limit, note=f"at {trial.load:g}")


def loads(tried: list[Trial]) -> list[float]:
    return [trial.load for trial in tried]


def test_saturate_doubles_to_the_plateau_and_bisects_the_knee() -> None:
    search = Saturate(1, 1024, 0.1, whole=True)
    # 10 a second at most: 16 gains 25 % on 8, 32 nothing on 16. The knee is the least load above 10 / 1.1 = 9.09:
    # between 8 (too little) and 16 come 12, 10 (both enough) and 9 (too little); 10 / 9 is still more than 1.1
    assert loads(play(search, serves(10))) == [1, 2, 4, 8, 16, 32, 12, 10, 9]
    assert search.knee == 10
    assert search.finding == "saturate: the knee is at c=10 (10 requests/s; the highest is 10 at c=10)"


def test_saturate_over_rates_ends_where_the_queue_only_grows() -> None:
    search = Saturate(2, 1000, 0.1, whole=False)
    # 16 is over-saturated though it delivers 25 % more than 8
    assert loads(play(search, takes(10))) == [2, 4, 8, 16, 12, 10, 9, 9.5]
    assert search.knee == 9.5
    assert "knee is at 9.5/s" in search.finding


def test_saturate_whose_start_is_too_much_looks_below() -> None:
    search = Saturate(64, 1000, 0.2, whole=False)
    tried = loads(play(search, takes(10)))
    assert tried[:4] == [64, 32, 16, 8]
    assert search.knee is not None
    assert 10 / 1.1 < search.knee <= 10 * 1.2


def test_saturate_says_when_the_maximum_was_too_low() -> None:
    search = Saturate(1, 10, 0.1, whole=True)
    # from 8 to 10 throughput could hardly gain 10 %: the last step goes from 4 to the maximum itself
    assert loads(play(search, serves(500))) == [1, 2, 4, 10]
    assert search.knee is None
    assert "still grows at c=10 (10 requests/s): raise the search's max" in search.finding


def test_saturate_of_an_endpoint_that_delivers_nothing_ends() -> None:
    search = Saturate(8, 64, 0.1, whole=True)
    assert loads(play(search, lambda _: Found(None, gave_up=True))) == [8, 4, 2, 1]
    assert search.finding == "saturate: no level delivered a request"


def test_goodput_doubles_then_bisects_between_what_holds_and_what_does_not() -> None:
    search = Goodput(1, 1024, 0.1, whole=True, what="chat")
    # (32, 64): 48 no, 40 no, 36 yes, 38 no, and 38 / 36 - 1 is below 0.1
    assert loads(play(search, holds_to(37))) == [1, 2, 4, 8, 16, 32, 64, 48, 40, 36, 38]
    assert search.highest == 36
    assert search.finding == "goodput: c=36 holds chat (at 36), c=38 does not (at 38)"


def test_goodput_whose_start_does_not_hold_is_halved_until_it_does() -> None:
    search = Goodput(64, 1024, 0.3, whole=True, what="chat")
    assert loads(play(search, holds_to(10))) == [64, 32, 16, 8, 12, 10]
    assert search.highest == 10


def test_goodput_says_when_nothing_holds() -> None:
    search = Goodput(4, 64, 0.1, whole=True, what="chat")
    assert loads(play(search, holds_to(0))) == [4, 2, 1]
    assert search.finding == "goodput: no load holds chat; even c=1 does not (at 1)"
    rates = Goodput(4, 64, 0.1, whole=False, what="chat")
    assert len(play(rates, holds_to(0))) == 11
    assert rates.highest is None


def test_goodput_says_when_the_maximum_holds() -> None:
    search = Goodput(1, 5, 0.1, whole=True, what="chat")
    assert loads(play(search, holds_to(100))) == [1, 2, 5]
    assert search.finding == "goodput: c=5 holds chat (at 5), the search's max: raise it to find the limit"


def test_an_undecided_level_is_measured_again_twice_as_long_and_then_does_not_hold() -> None:
    search = Goodput(1, 4, 0.5, whole=True, what="chat")

    def measure(trial: Trial) -> Found:
        decided = trial.load < 2 or (trial.load == 4 and trial.lengthen == 2)
        return Found(None, holds=True if decided else None)

    # 2 stays undecided at 1, 2 and 4 times its length: between it and 1 there is nothing
    assert play(search, measure) == [Trial(1), Trial(2, 1), Trial(2, 2), Trial(2, 4)]
    assert search.highest == 1
    search = Goodput(4, 4, 0.5, whole=True, what="chat")
    assert play(search, measure) == [Trial(4, 1), Trial(4, 2)]
    assert search.highest == 4


def test_a_level_that_gave_up_does_not_hold_and_is_not_measured_again() -> None:
    search = Goodput(1, 64, 0.5, whole=True, what="chat")
    play(search, lambda trial: Found(None, gave_up=trial.load > 2, holds=None if trial.load > 2 else True))
    assert search.highest == 2


@given(
    st.floats(0.3, 3000), st.floats(0.01, 0.9), st.booleans(), st.sampled_from([1.0, 7.0, 64.0, 1024.0])
)  # fmt: skip
def test_goodput_brackets_the_limit_of_any_endpoint(limit: float, resolution: float, whole: bool, start: float) -> None:
    search = Goodput(start, 1024, resolution, whole=whole, what="chat")
    tried = loads(play(search, holds_to(limit)))
    assert len(set(tried)) == len(tried)
    lowest = 1 if whole else start / 1024
    if limit < lowest:
        assert search.highest is None
    elif limit >= 1024:
        assert search.highest == 1024
    else:
        assert search.highest is not None
        nearest = min(load for load in tried if load > limit)
        assert search.highest <= limit
        # rates are rounded to 4 digits
        assert nearest / search.highest - 1 <= resolution + 2e-3 or (whole and nearest - search.highest == 1)


@given(st.floats(1, 900), st.floats(0.05, 0.5), st.booleans())
def test_saturate_finds_the_knee_of_any_endpoint(capacity: float, resolution: float, whole: bool) -> None:
    search = Saturate(1, 4096, resolution, whole=whole)
    tried = loads(play(search, serves(capacity) if whole else takes(capacity)))
    least = capacity / 1.1
    highest = max(min(load, capacity) for load in tried)
    knee = search.knee
    assert knee is not None
    assert min(knee, capacity) * 1.1 > highest
    below = max((load for load in tried if load < knee), default=None)
    if below is not None:
        assert below <= least * 1.001
        assert knee / below - 1 <= resolution or (whole and knee - below == 1)
    assert len(tried) <= 2 + math.ceil(math.log2(capacity + 1)) + 6 + 2


@given(st.integers(0, 2**32), st.floats(2, 500), st.sampled_from(["saturate", "goodput"]), st.booleans())
def test_noise_makes_no_search_endless_and_the_same_results_give_the_same_loads(
    seed: int, capacity: float, kind: str, whole: bool
) -> None:
    def once() -> tuple[list[Trial], str]:
        noise = random.Random(seed)
        search = search_of(
            {"kind": kind, "over": "concurrency" if whole else "rate", "start": 1.0, "max": 1024.0, "resolution": 0.05}
            | {"slo": "chat"}
        )

        def measure(trial: Trial) -> Found:
            rps = min(trial.load, capacity) * noise.uniform(0.7, 1.3)
            return Found(rps, noise.random() < 0.1, noise.choice([True, None, False]))

        return play(search, measure), search.finding

    tried, finding = once()
    assert all(0 < trial.load <= 1024 for trial in tried)
    assert all(trial.load == int(trial.load) for trial in tried) or not whole
    assert finding.startswith(kind)
    assert once() == (tried, finding)


def test_an_unknown_search_is_named() -> None:
    with pytest.raises(SpecError, match="'anneal', expected saturate or goodput"):
        search_of({"kind": "anneal", "over": "rate", "start": 1.0, "max": 2.0, "resolution": 0.1})
