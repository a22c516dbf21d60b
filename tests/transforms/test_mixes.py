"""The solver of mixes by itself: as good as trying every fleet, and never a fleet that serves too little."""

import subprocess
import sys
from itertools import product
from math import ceil, inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.mixes import Budget, Offer, Solution, solve

CLASSES = ("short", "medium", "long")


def solved(offers: list[Offer], classes: tuple[str, ...] = CLASSES, spares: int = 0, **budget: float) -> Solution:
    """The cheapest mix."""
    return solve(offers, classes, limit_s=10.0, spares=spares, budget=Budget(**budget))  # type: ignore[arg-type]


def test_each_class_goes_where_it_is_cheapest() -> None:
    # small: 7 instances for the short and 30 for the long; big: 14 and 6 at half as much again.
    # Split: 7 x 1000 + 6 x 1500 = 16,000. Alone: 37 x 1000 = 37,000, or 20 x 1500 = 30,000.
    small = Offer("small", "plan", {"short": 7.0, "long": 30.0}, 1000.0)
    big = Offer("big", "plan", {"short": 14.0, "long": 6.0}, 1500.0)
    mix = solved([small, big], ("short", "long"))
    assert (mix.status, mix.cost_usd, mix.gap) == ("solved", pytest.approx(16_000), 0.0)
    assert mix.shares == {("short", 0): 1.0, ("long", 1): 1.0}
    assert mix.instances == {0: 7, 1: 6}


def test_a_class_is_split_where_an_instance_has_room() -> None:
    # big takes the long at 5.5 of 6 instances; half an instance is left, a quarter of the short's 2 there. What remains
    # is 0.75 x 4 = 3 small instances, not 4: 6 x 2500 + 3 x 1000 = 18,000. Seven big and one small are 18,500.
    small = Offer("small", "plan", {"short": 4.0, "long": 30.0}, 1000.0)
    big = Offer("big", "plan", {"short": 2.0, "long": 5.5}, 2500.0)
    mix = solved([small, big], ("short", "long"))
    assert mix.cost_usd == pytest.approx(18_000)
    assert mix.instances == {0: 3, 1: 6}
    assert mix.shares[("short", 0)] == pytest.approx(0.75)


@pytest.mark.parametrize("load", [12.0, 12.000000000001, 11.999999999999, 12.0000000004])
def test_a_hair_above_a_whole_number_needs_no_further_instance(load: float) -> None:
    assert solved([Offer("one", "plan", {"short": load}, 1000.0)], ("short",)).instances == {0: 12}


@pytest.mark.parametrize("above", [1e-3, 1e-5, 2e-7])
def test_what_is_above_a_whole_number_needs_one(above: float) -> None:
    mix = solved([Offer("one", "plan", {"short": 12 + above}, 1000.0)], ("short",))
    assert (mix.instances, mix.cost_usd) == ({0: 13}, pytest.approx(13_000))


def test_of_equally_cheap_routings_the_plainest_is_taken() -> None:
    # 9.24 and 3.96 instances; big has 0.04 left, and would serve a part of the short with fewer GPUs
    small = Offer("small", "plan", {"short": 9.24, "long": 30.0}, 1000.0)
    big = Offer("big", "plan", {"short": 7.0, "long": 3.96}, 3000.0)
    assert solved([small, big], ("short", "long")).shares == {("short", 0): 1.0, ("long", 1): 1.0}


def test_servers_are_whole() -> None:
    # 4 instances a server: 5 instances are 2 servers, 20,000; the rest of a class on single instances is 1 server and
    # one at 3,000
    by_server = Offer("one", "own", {"short": 5.0}, 10_000.0, instances_per_unit=4)
    by_gpu = Offer("one", "rent", {"short": 5.0}, 3_000.0)
    assert solved([by_server], ("short",)).cost_usd == pytest.approx(20_000)
    mix = solved([by_server, by_gpu], ("short",))
    assert (mix.cost_usd, mix.instances) == (pytest.approx(13_000), {0: 4, 1: 1})


def test_an_instance_larger_than_a_server_takes_several() -> None:
    assert solved([Offer("one", "own", {"short": 2.5}, 1000.0, units_per_instance=2)], ("short",)).cost_usd == 6000.0


def test_each_offer_that_is_used_has_its_spares() -> None:
    # The split of the first test with a spare each: 8 x 1000 + 7 x 1500 = 18,500; small with 3 spares is 10 x 1000 and
    # big 9 x 1500 = 23,500, still less than 23 x 1500 = 34,500 on big alone
    small = Offer("small", "plan", {"short": 7.0, "long": 30.0}, 1000.0)
    big = Offer("big", "plan", {"short": 14.0, "long": 6.0}, 1500.0)
    assert solved([small, big], ("short", "long"), spares=1).cost_usd == pytest.approx(18_500)
    assert solved([small, big], ("short", "long"), spares=3).instances == {0: 10, 1: 9}


def test_spares_may_make_one_endpoint_cheaper_than_a_mix() -> None:
    # apart: (1 + 5) x 1000 + (1 + 5) x 1000 = 12,000; together on big: 3 + 5 = 8 instances
    small = Offer("small", "plan", {"short": 1.0}, 1000.0)
    big = Offer("big", "plan", {"short": 2.0, "long": 1.0}, 1000.0)
    assert solved([small, big], ("short", "long"), spares=5).instances == {1: 8}


def test_budgets_of_instances_gpus_and_power_bend_the_mix_or_break_it() -> None:
    # 2 instances of 8 GPUs and 10 kW at 10,000, or 8 of 1 GPU and 2 kW at 1,000: 8,000 without a budget
    big = Offer("big", "plan", {"short": 2.0}, 10_000.0, gpus_per_instance=8, kw_per_instance=10.0)
    small = Offer("small", "plan", {"short": 8.0}, 1_000.0, gpus_per_instance=1, kw_per_instance=2.0)
    offers = [big, small]
    assert solved(offers, ("short",)).instances == {1: 8}
    assert solved(offers, ("short",), instances=5).instances == {0: 1, 1: 4}
    assert solved(offers, ("short",), instances=4).instances == {0: 2}
    assert solved(offers, ("short",), instances=1).status == "infeasible"
    assert solved(offers, ("short",), gpus=8).instances == {1: 8}
    assert solved(offers, ("short",), gpus=7).status == "infeasible"
    assert solved(offers, ("short",), kw=16.0).instances == {1: 8}
    assert solved(offers, ("short",), kw=15.0).status == "infeasible"


def test_an_api_takes_what_would_need_an_instance_for_little() -> None:
    # 2.1 instances at 1,000 are 3,000. All of it by the token at 2,000 is cheaper. At 4,200 the tokens are for what is
    # above 2 instances: 2 x 1000 + 4,200 x 0.1 / 2.1 = 2,200.
    one = Offer("one", "own", {"short": 2.1}, 1000.0)
    mix = solved([one, Offer("one", "api", class_year_usd={"short": 2_000.0})], ("short",))
    assert (mix.cost_usd, mix.instances) == (pytest.approx(2_000), {})
    mix = solved([one, Offer("one", "api", class_year_usd={"short": 4_200.0})], ("short",))
    assert (mix.cost_usd, mix.instances) == (pytest.approx(2_200), {0: 2})
    assert mix.shares[("short", 1)] == pytest.approx(0.1 / 2.1)


def test_out_of_time_the_best_that_is_known_says_how_much_is_not_proven() -> None:
    alone = [Offer(f"e{i}", "plan", dict.fromkeys(CLASSES, 3.3 + i * 0.7), 1000.0 + i) for i in range(9)]
    mix = solve(alone, CLASSES, limit_s=0.0)
    assert (mix.status, mix.cost_usd) == ("solved", pytest.approx(10_000))  # ceil(3 x 3.3) of the first
    assert 0 < mix.gap <= 1
    apart = [Offer(name, "plan", {name: 3.3}, 1000.0) for name in CLASSES]
    assert solve(apart, CLASSES, limit_s=0.0).status == "undecided"


def test_the_solver_is_silent() -> None:
    # its banner would come once a process, into what a script reads as JSON
    code = "from transforms.mixes import Offer, solve; solve([Offer('e', 'p', {'c': 1.5}, 1.0)], ['c'], limit_s=1.0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


TENTHS = st.integers(1, 60).map(lambda n: n / 10)
LOADS = st.dictionaries(st.sampled_from(CLASSES), TENTHS, min_size=1)
HARDWARE = st.builds(
    Offer, st.sampled_from(["a", "b"]), st.just("plan"), LOADS, st.sampled_from([500.0, 1000.0, 1730.0, 2500.0]),
    st.sampled_from([1, 2, 4]), st.just(1), st.sampled_from([1, 2, 8]),
)  # fmt: skip


def by_hand(offers: list[Offer], spares: int, limit: int | None) -> float:
    """Cost of the cheapest of all fleets of two offers, each tried."""
    names = sorted({name for offer in offers for name in offer.loads})
    most = [ceil(sum(offer.loads.values())) for offer in offers]
    costs = [
        sum(offer.fleet_year_usd(n + spares) for offer, n in zip(offers, fleet, strict=True) if n)
        for fleet in product(*(range(n + 1) for n in most))
        if carries(offers, names, fleet) and (limit is None or sum(n + spares for n in fleet if n) <= limit)
    ]
    return min(costs, default=inf)


def carries(offers: list[Offer], names: list[str], fleet: tuple[int, ...]) -> bool:
    """Whether two fleets can share the classes: the first takes those that it is best at until it is full."""
    one, other = (offer.loads for offer in offers)
    room, load = float(fleet[0]), 0.0
    for name in sorted(names, key=lambda name: one[name] / other[name] if name in one and name in other else -1.0):
        share = 1.0 if name not in other else min(1.0, max(0.0, room) / one[name]) if name in one else 0.0
        room -= share * one.get(name, 0.0)
        load += (1 - share) * other.get(name, 0.0)
    return room >= -1e-9 and load <= fleet[1] + 1e-9


@settings(max_examples=60)
@given(st.tuples(HARDWARE, HARDWARE), st.integers(0, 2), st.none() | st.integers(1, 12))
def test_a_mix_of_two_is_as_cheap_as_the_best_of_all_fleets(
    pair: tuple[Offer, Offer], spares: int, limit: int | None
) -> None:
    offers = list(pair)
    names = sorted({name for offer in offers for name in offer.loads})
    mix = solve(offers, names, limit_s=10.0, spares=spares, budget=Budget(instances=limit))
    assert mix.cost_usd == pytest.approx(by_hand(offers, spares, limit))
    assert (mix.status, mix.gap) == ("infeasible" if mix.cost_usd == inf else "solved", 0.0)


@settings(max_examples=40)
@given(HARDWARE, st.lists(st.integers(1, 50), min_size=3, max_size=3), st.integers(0, 2))
def test_hardware_and_an_api_are_as_cheap_as_the_best_of_all_fleets(
    hardware: Offer, hundreds: list[int], spares: int
) -> None:
    bill = {name: 100.0 * n for name, n in zip(CLASSES, hundreds, strict=True)}
    best = inf
    for n in range(ceil(sum(hardware.loads.values())) + 1):
        # the instances take what the API charges most for the time of an instance
        room, cost = float(n), hardware.fleet_year_usd(n + spares) if n else 0.0
        for name in sorted(CLASSES, key=lambda name: -bill[name] / hardware.loads.get(name, inf)):
            share = min(1.0, room / hardware.loads[name]) if name in hardware.loads else 0.0
            room -= share * hardware.loads.get(name, 0.0)
            cost += (1 - share) * bill[name]
        best = min(best, cost)
    mix = solve([hardware, Offer("c", "api", class_year_usd=bill)], CLASSES, limit_s=10.0, spares=spares)
    assert mix.cost_usd == pytest.approx(best)


@settings(max_examples=60)
@given(
    st.lists(st.dictionaries(st.sampled_from(CLASSES), st.floats(1e-3, 1e3), min_size=1), min_size=1, max_size=6),
    st.floats(1.0, 1e6), st.integers(0, 2),
)  # fmt: skip
def test_no_mix_serves_too_little_or_costs_other_than_its_units(
    loads: list[dict[str, float]], usd: float, spares: int
) -> None:
    offers = [Offer(f"e{at}", "plan", load, usd * (1 + at / 3), 1 + at % 3) for at, load in enumerate(loads)]
    names = sorted({name for load in loads for name in load})
    mix = solve(offers, names, limit_s=10.0, spares=spares)
    assert mix.status == "solved"
    for name in names:
        assert sum(share for (routed, _), share in mix.shares.items() if routed == name) == pytest.approx(1, abs=1e-12)
    for at, n in mix.instances.items():
        busy = sum(offers[at].loads[name] * share for (name, to), share in mix.shares.items() if to == at)
        assert busy * (1 - 2e-8) <= n - spares < busy + 1
    assert mix.cost_usd == pytest.approx(sum(offers[at].fleet_year_usd(n) for at, n in mix.instances.items()))
    assert mix.bound_usd <= mix.cost_usd
    assert mix.gap <= 1e-6


def test_a_hair_on_one_coefficient_does_not_hide_the_cheapest_fleet() -> None:
    # 3.00000000025 + 4 on other are 7 instances, 4 servers of two. The solver's presolve once missed them.
    one = Offer("one", "plan", {"medium": 1.0, "long": 0.5714285714285714}, 1e6, gpus_per_instance=8)
    other = Offer("other", "plan", {"medium": 3.0000000002506733, "long": 4.0}, 1000.0, instances_per_unit=2)
    assert solved([one, other], ("medium", "long")).cost_usd == pytest.approx(4000)
