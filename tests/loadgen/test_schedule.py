"""Arrivals come when the shape says: at absolute times, alike in every shard, in the number that was asked for."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import islice, pairwise
from statistics import fmean, pstdev
from types import SimpleNamespace
from typing import Any

import pytest

from loadgen.schedule import Schedule, all_offsets
from loadgen.spec import ShardSpec
from schemas.errors import SpecError

MakeSpec = Callable[..., ShardSpec]


@pytest.fixture
def open_spec(make_spec: MakeSpec) -> MakeSpec:
    def make(**fields: Any) -> ShardSpec:
        return make_spec("http://127.0.0.1:1/v1", **{"kind": "open", "concurrency": None, "requests": None} | fields)

    return make


def first(spec: ShardSpec, number: int) -> list[float]:
    return list(islice(all_offsets(spec), number))


def gaps(offsets: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(offsets)]


def test_constant_arrivals_never_drift(open_spec: MakeSpec) -> None:
    spec = open_spec(arrivals="constant", rate=3.0)
    assert first(spec, 30_001)[30_000] == 10_000.0


def test_poisson_gaps_have_the_mean_and_the_spread_of_the_exponential_distribution(open_spec: MakeSpec) -> None:
    spread = gaps(first(open_spec(arrivals="poisson", rate=4.0), 20_000))
    # of 20,000 gaps the mean is known within 0.7 %, the deviation within 1 % (one standard error)
    assert fmean(spread) == pytest.approx(0.25, rel=0.03)
    assert pstdev(spread) == pytest.approx(0.25, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [{"arrivals": "poisson"}, {"arrivals": "gamma", "burstiness": 0.25}])
def test_a_short_level_offers_the_rate_that_it_is_named_for(
    open_spec: MakeSpec, shape: dict[str, Any], seed: int
) -> None:
    spec = replace(open_spec(rate=32.0, requests=60, warmup_requests=7, **shape), seed=seed)
    measured = first(spec, 67)[7:]
    assert 59 / (measured[-1] - measured[0]) == pytest.approx(32.0)
    assert len(set(gaps(measured))) == 59  # still random
    lasting = replace(open_spec(rate=32.0, duration_s=3.0, warmup_requests=7, **shape), seed=seed)
    measured = list(all_offsets(lasting))[7:]
    assert len(measured) / 3.0 == pytest.approx(32.0, rel=0.1)
    talks = list(islice(all_offsets(spec, mean_turns=4.0), 7, 7 + 15))
    assert 14 / (talks[-1] - talks[0]) == pytest.approx(8.0)


@pytest.mark.parametrize("burstiness", [0.25, 4.0])
def test_gamma_gaps_keep_the_mean_whatever_the_burstiness(open_spec: MakeSpec, burstiness: float) -> None:
    spread = gaps(first(open_spec(arrivals="gamma", rate=4.0, burstiness=burstiness), 40_000))
    assert fmean(spread) == pytest.approx(0.25, rel=0.05)
    # a gamma's standard deviation is its mean / sqrt(shape)
    assert pstdev(spread) == pytest.approx(0.25 / math.sqrt(burstiness), rel=0.08)


def test_a_ramp_climbs_linearly(open_spec: MakeSpec) -> None:
    # 0 to 10/s in 20 s: t^2 / 4 arrivals by t, so that number 25 comes at 10 s, and 100 in all
    offsets = list(all_offsets(open_spec(arrivals="ramp", rate=10.0, duration_s=20.0)))
    assert len(offsets) == 100
    assert offsets[0] == 0
    assert offsets[25] == pytest.approx(10.0)
    assert offsets[81] == pytest.approx(18.0)


def test_a_ramp_of_a_count_lasts_as_long_as_its_mean_rate_needs(open_spec: MakeSpec) -> None:
    # from 2/s to 6/s the mean is 4/s: 40 requests take 10 s; 2t + t^2 / 5 arrivals by t, so that number 15 is at 5 s
    offsets = list(all_offsets(open_spec(arrivals="ramp", rate=6.0, ramp_from=2.0, requests=40)))
    assert len(offsets) == 40
    assert offsets[15] == pytest.approx(5.0)
    assert offsets[-1] < 10


def test_a_ramp_begins_after_its_warm_up(open_spec: MakeSpec) -> None:
    spec = open_spec(arrivals="ramp", rate=10.0, duration_s=20.0, warmup_requests=10)
    offsets = list(all_offsets(spec))
    assert len(offsets) == 110
    # the warm-up comes at the ramp's mean rate, 5/s: it takes 2 s
    assert offsets[1] == pytest.approx(0.2)
    assert offsets[10 + 25] == pytest.approx(12.0)


def test_a_flat_ramp_is_constant(open_spec: MakeSpec) -> None:
    spec = open_spec(arrivals="ramp", rate=5.0, ramp_from=5.0, requests=10)
    assert list(all_offsets(spec)) == pytest.approx([number / 5 for number in range(10)])


def test_a_duration_counts_from_the_last_warm_up_arrival(open_spec: MakeSpec) -> None:
    # warm-up at 0.0, 0.5 and 1.0 s; measured from 1.5 s until before 1.0 + 4.0 s
    spec = open_spec(arrivals="constant", rate=2.0, warmup_requests=3, duration_s=4.0)
    assert list(all_offsets(spec)) == [number / 2 for number in range(10)]


@pytest.mark.parametrize("arrivals", ["constant", "poisson", "gamma", "ramp"])
def test_the_shards_together_play_one_schedule(open_spec: MakeSpec, arrivals: str) -> None:
    spec = open_spec(
        arrivals=arrivals, rate=8.0, duration_s=10.0, warmup_requests=5, burstiness=0.5 if arrivals == "gamma" else 1.0
    )
    parts = []
    for shard in range(3):
        schedule = Schedule(replace(spec, shard=shard, shards=3))
        parts.append(list(iter(lambda: schedule.next_s(SimpleNamespace()), None)))  # noqa: B023
    assert sorted(offset for part in parts for offset in part) == list(all_offsets(spec))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_another_seed_or_level_has_other_arrivals(open_spec: MakeSpec) -> None:
    spec = open_spec(arrivals="poisson", rate=8.0)
    other_level = replace(spec, identity=spec.identity | {"level_index": 2})
    assert first(spec, 5) == first(spec, 5)
    assert first(spec, 5) != first(replace(spec, seed=2), 5)
    assert first(spec, 5) != first(other_level, 5)


def test_conversations_open_so_that_requests_come_at_the_rate(open_spec: MakeSpec) -> None:
    spec = open_spec(arrivals="constant", rate=8.0)
    assert list(islice(all_offsets(spec, mean_turns=4.0), 3)) == [0.0, 0.5, 1.0]


def test_a_trace_keeps_its_own_times_at_its_speed(open_spec: MakeSpec) -> None:
    schedule = Schedule(open_spec(arrivals="trace", speed=2.0, duration_s=3.0))
    jobs = [SimpleNamespace(at_s=at_s, phase=phase) for at_s, phase in
            [(0.0, "warmup"), (2.0, "warmup"), (3.0, "measure"), (7.9, "measure"), (8.0, "measure")]]  # fmt: skip
    # the last warm-up arrival is at 1 s: measured ones end before 4 s
    assert [schedule.next_s(job) for job in jobs] == [0.0, 1.0, 1.5, 3.95, None]


def test_a_trace_without_times_says_so(open_spec: MakeSpec) -> None:
    with pytest.raises(SpecError, match="no trace with times"):
        Schedule(open_spec(arrivals="trace")).next_s(SimpleNamespace(at_s=None, phase="measure"))
