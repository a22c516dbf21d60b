"""Levels end early when their queue only grows, or when their mean is known well enough: and not by mistake."""

import bisect
import heapq
import math
import random
from itertools import accumulate

import pytest

from loadgen.stopping import Confidence, OverSaturation, relative_half_width
from loadgen.tally import Tally
from schemas.errors import SpecError

SECONDS = 60
SEEDS = range(8)


def stopped_at(utilisation: float, seed: int, *, servers: int, service_s: float, spread: float = 0.0) -> int | None:
    """When a level is stopped whose endpoint is a queue with Poisson arrivals (M/D/k, M/LogN/k with a spread)."""
    rng = random.Random(seed)
    arrivals, now = [], 0.0
    while now < SECONDS:
        now += rng.expovariate(utilisation * servers / service_s)
        arrivals.append(now)
    free = [0.0] * servers
    ended: list[tuple[float, float]] = []
    for at in arrivals:
        begin = max(at, heapq.heappop(free))
        end = begin + service_s * rng.lognormvariate(-(spread**2) / 2, spread)
        heapq.heappush(free, end)
        ended.append((end, begin - at + 0.1))  # the first token comes 0.1 s after the service began
    ended.sort()
    ends, waited = [end for end, _ in ended], [0.0, *accumulate(wait for _, wait in ended)]
    detector = OverSaturation()
    for second in range(1, SECONDS + 1):
        served = bisect.bisect_right(ends, second)
        if detector.check(second, bisect.bisect_right(arrivals, second), served, waited[served]):
            return second
    return None


@pytest.mark.parametrize(("servers", "service_s"), [(1, 0.1), (4, 0.3), (20, 1.0), (64, 2.0)])
@pytest.mark.parametrize("utilisation", [0.5, 0.8, 0.9])
def test_an_endpoint_that_keeps_up_is_left_alone(utilisation: float, servers: int, service_s: float) -> None:
    assert {stopped_at(utilisation, seed, servers=servers, service_s=service_s) for seed in SEEDS} == {None}


@pytest.mark.parametrize(("servers", "service_s"), [(20, 1.0), (64, 2.0)])
@pytest.mark.parametrize(("utilisation", "within_s"), [(1.3, 45), (2, 25), (5, 25), (10, 25)])
def test_a_queue_that_only_grows_is_found(utilisation: float, within_s: int, servers: int, service_s: float) -> None:
    times = [stopped_at(utilisation, seed, servers=servers, service_s=service_s) for seed in SEEDS]
    assert None not in times
    found = sorted(time for time in times if time is not None)
    assert found[len(found) // 2] <= 30
    assert found[-1] <= within_s


@pytest.mark.parametrize("spread", [0.0, 1.0])
@pytest.mark.parametrize("service_s", [20.0, 60.0])
def test_a_level_that_only_fills_up_is_left_alone(service_s: float, spread: float) -> None:
    """Answers that take longer than the level has run: requests pile up, and yet nothing waits."""
    times = {stopped_at(0.05, seed, servers=4000, service_s=service_s, spread=spread) for seed in SEEDS}
    assert times == {None}


def test_an_endpoint_that_hangs_after_a_while_is_found() -> None:
    detector = OverSaturation()
    # 10/s served as they come for 20 s, then nothing: by 40 s all of the last half's arrivals are outstanding
    alarms = [detector.check(t, 10 * t, min(10 * t, 200), 20.0) for t in range(1, 60)]
    assert alarms.index(True) + 1 in range(30, 45)


def ok_row(**fields: object) -> dict[str, object]:
    row = {"phase": "measure", "outcome": "ok", "sent_ns": 0, "first_token_ns": 10, "last_token_ns": 100,
           "closed_ns": 110, "output_tokens": 4, "token_chunks": 4, "chunk_tokens": None}  # fmt: skip
    return row | fields


def test_the_half_width_is_that_of_batch_means() -> None:
    # deviations of 1 from a mean of 10: variance 10/9, half-width 2.262 * sqrt(1/9) = 0.754
    assert relative_half_width([9.0, 11.0] * 5) == pytest.approx(0.0754)
    assert relative_half_width([0.0] * 10) == math.inf


@pytest.mark.parametrize("metric", ["ttft", "tpot", "e2e"])
def test_equal_latencies_are_known_once_enough_are_there(metric: str) -> None:
    confidence = Confidence(metric, 0.05, slots=2)
    for count in range(1, 21):
        assert not confidence.reached(10**9)
        confidence.add(ok_row())
        assert confidence.reached(10**9) == (count == 20)  # 10 completions a slot


def test_what_is_no_measured_success_does_not_count() -> None:
    confidence = Confidence("ttft", 0.05, slots=1)
    for _ in range(50):
        confidence.add(ok_row(phase="warmup"))
        confidence.add(ok_row(outcome="timeout"))
        confidence.add(ok_row(outcome="cancelled"))
    assert not confidence.reached(10**9)


def test_scattered_latencies_need_more_requests() -> None:
    rng = random.Random(1)
    confidence = Confidence("ttft", 0.05, slots=None)
    needed = 0
    while not confidence.reached(10**9):
        needed += 1
        confidence.add(ok_row(first_token_ns=rng.expovariate(1e-6)))
    # exponential values have a relative deviation of 1: 2.262 / sqrt(n) is 0.05 at n of about 2,000
    assert 300 < needed < 8000


def test_a_token_that_came_with_the_first_chunk_is_not_in_the_mean_time_per_token() -> None:
    confidence = Confidence("tpot", 0.05, slots=1)
    for _ in range(10):
        confidence.add(ok_row(output_tokens=1, token_chunks=1))  # nothing to divide by
    assert not confidence.reached(10**9)


def test_a_steady_rate_is_known_and_a_falling_one_is_not() -> None:
    steady, falling = (Confidence("request_rps", 0.05, slots=1) for _ in range(2))
    for number in range(1, 201):
        steady.add(ok_row(closed_ns=number * 10))
        falling.add(ok_row(closed_ns=number**2 // 20))
    assert steady.reached(2000)
    assert not falling.reached(2000)


def test_a_metric_that_does_not_exist_is_told() -> None:
    with pytest.raises(SpecError, match="'loudness', expected one of request_rps, ttft"):
        Confidence("loudness", 0.05, slots=1)


def test_answers_that_wait_to_be_read_count_for_the_error_share() -> None:
    tally = Tally(round_size=2)
    row = {"outcome": "http_error", "clock_source": "kernel", "output_tokens": None, "reads": 1, "merged_reads": 0,
           "sent_ns": None, "phase": "measure", "http_status": 500, "error": "HTTP 500"}  # fmt: skip
    for _ in range(6):
        tally.add(row, 10)
    assert tally.errors_exceed(0.5), "all failed"
    assert not tally.errors_exceed(0.5, answered=6), "half of twelve are not more than half"
    assert tally.errors_exceed(0.5, answered=5)
