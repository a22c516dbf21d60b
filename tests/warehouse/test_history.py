"""Thirty nights with planted changes, landed as nights land: what the trends, the regressions and the gate say of them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flows.cli import cli
from reports.moved import standing
from tests.history import History, Planted, land
from warehouse.ask import ask
from warehouse.build import build
from warehouse.home import Home

PLANTED = Planted(
    steps={24: 1.10}, engine_version={24: "1.1"}, gaps=frozenset({5}), failed=frozenset({7}), infeasible=frozenset({9}),
    rent={14: 2.4}, peak_rps={18: 120.0},
)  # fmt: skip
HISTORY = History(nights=29, planted=PLANTED, seed=3)
HISTORY_TABLES = ("change_points", "cost_trends", "regressions", "demands", "price_plans")
RENT = "series_id = 'e0/w/slo/demand/rent/capacity/price_ratio'"


def day(night: int) -> str:
    return f"{HISTORY.at(night):%Y-%m-%d}"


def rows(home: Home, query: str) -> list[dict[str, Any]]:
    return ask(home, query).objects()


def content(home: Home) -> dict[str, list[tuple[Any, ...]]]:
    return {name: ask(home, f"select * from {name} order by all").rows for name in HISTORY_TABLES}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """All nights but the last built at once, the last one added to them."""
    made = Home(tmp_path_factory.mktemp("history"))
    land(made, HISTORY, range(28))
    build(made)
    land(made, HISTORY, range(28, 29))
    assert build(made).nights == 1
    yield made


def test_a_night_added_to_the_history_says_what_a_full_build_says(home: Home) -> None:
    added = content(home)
    assert all(added.values())
    build(home, recompute=True)
    assert content(home) == added


def test_missing_failed_and_infeasible_nights_are_gaps_and_nothing_is_carried_forward(home: Home) -> None:
    found = rows(home, f"select * from cost_trends where {RENT} order by night")
    by_day = {row["run_date"].isoformat(): row for row in found}
    assert day(5) not in by_day
    assert by_day[day(7)]["no_value"] == "no_valid_point: no level was measured"
    assert by_day[day(9)]["no_value"] == "infeasible"
    for night, before, days in ((6, 4, 2), (8, 6, 2), (10, 8, 2), (11, 10, 1)):
        row = by_day[day(night)]
        assert (f"{row['previous_night']:%Y-%m-%d}", row["days_since_previous"]) == (day(before), days)
    # of the nights 0 to 10 those that are neither a gap, failed nor infeasible
    assert by_day[day(11)]["baseline_nights"] == 11 - 3


def test_a_price_change_is_known_exactly_and_is_no_noise(home: Home) -> None:
    [row] = rows(home, f"select * from cost_trends where {RENT} and run_date = '{day(14)}'")
    # $2.00 -> $2.40: f(1,1) - f(0,1) and f(1,0) - f(0,0) differ by the performance, Shapley takes the mean of both
    before, after = row["previous_value_usd"], row["value_usd"]
    assert row["price_effect_usd"] == pytest.approx((before * 0.2 + after * (1 - 1 / 1.2)) / 2)
    assert row["performance_effect_usd"] == pytest.approx(after - before - row["price_effect_usd"])
    [told] = rows(home, f"select * from regressions where {RENT} and is_new and cause = 'price'")
    assert (told["run_date"].isoformat(), told["direction"], told["confidence"]) == (day(14), "worse", 1)
    assert told["regression_id"] == f"price/rent@{HISTORY.at(14):%Y-%m-%dT%H:%M:%S}"


def test_more_demand_is_scope_through_the_ceilings(home: Home) -> None:
    series = RENT.replace("capacity", "demand")
    [row] = rows(home, f"select * from cost_trends where {series} and run_date = '{day(18)}'")
    fleets = {r["run_date"].isoformat(): r for r in rows(home, "from server_counts where endpoint = 'e0'")}
    old, new = fleets[day(17)], fleets[day(18)]
    tokens, year = 64 + 4, 31_536_000

    def cost(fleet: dict[str, Any], peak: float) -> float:
        """A GPU an instance at $2.40 an hour; 1M tokens at the mean of half the peak."""
        instances = -(-peak // fleet["rps_per_instance"])
        return instances * 2.40 * 8760 / (peak / 2 * year * tokens) * 1e6

    scope = ((cost(old, 120) - cost(old, 95)) + (cost(new, 120) - cost(new, 95))) / 2
    performance = ((cost(new, 95) - cost(old, 95)) + (cost(new, 120) - cost(old, 120))) / 2
    assert row["value_usd"] == pytest.approx(cost(new, 120))
    assert (row["scope_effect_usd"], row["performance_effect_usd"]) == (
        pytest.approx(scope),
        pytest.approx(performance),
    )
    assert row["price_effect_usd"] == pytest.approx(0)


def test_the_planted_step_is_found_within_three_nights_with_its_suspect(home: Home) -> None:
    told = rows(home, f"select * from regressions where {RENT} and cause = 'performance' order by night")
    first = told[0]
    assert first["is_new"] and day(24) <= first["run_date"].isoformat() <= day(26)
    assert {row["regression_id"] for row in told} == {first["regression_id"]}
    last = told[-1]
    assert not last["is_new"] and last["run_date"].isoformat() == day(28)
    assert abs((last["step_night"] - HISTORY.at(24)).days) <= 1
    # the mean of five nights at 2 % noise against twenty: 10 % +/- 1 %, three of those
    assert last["change_share"] == pytest.approx(0.10, abs=0.03)
    assert "engine_version: 1.0 -> 1.1" in first["suspects"]
    print(
        f"found on {first['run_date']}, planted on {day(24)}: {last['change_share']:+.1%}, {first['confidence']:.2%} sure"
    )


def test_nothing_else_was_found(home: Home) -> None:
    found = rows(home, "select distinct cause, step_night::date::varchar as since from regressions where is_new")
    performance = {row["since"] for row in found if row["cause"] == "performance"}
    exact = {(row["cause"], row["since"]) for row in found if row["cause"] != "performance"}
    assert performance <= {day(23), day(24), day(25)}
    # at another number of servers a token at the mean rate costs otherwise
    assert exact <= {("price", day(14)), ("scope", day(18))}
    print(f"false alarms in {HISTORY.nights} nights: 0; found: {sorted(performance)}, {sorted(exact)}")


def test_what_moved_is_said_in_a_line_for_all_series_of_the_change(home: Home) -> None:
    changes = {change.main["cause"]: change for change in standing(home)}
    line = changes["performance"].sentence()
    assert line.startswith("e0 x w, SLO slo: worse since ") and "engine_version: 1.0 -> 1.1" in line
    assert {row["price_plan"] for row in changes["performance"].rows} == {"rent"}


def gate(home: Home, *options: str) -> Result:
    return CliRunner().invoke(cli, ["gate", "--home", str(home.root), *options])


def test_the_gate_trips_with_what_by_how_much_how_sure_since_when_and_suspects(home: Home) -> None:
    done = gate(home, "--max-cost-increase", "5%", "--cost-basis", "capacity")
    assert done.exit_code == 3
    assert "e0 x w, SLO slo, demand, rent, capacity" in done.stderr
    assert "% sure, since 2026-01-2" in done.stderr and "engine_version: 1.0 -> 1.1" in done.stderr
    asked = gate(home, "--max-cost-increase", "5%", "--json", "--price-plan", "rent")
    assert asked.exit_code == 3
    verdicts = {row["cost_basis"]: row for row in json.loads(asked.stdout)}
    assert verdicts["capacity"]["verdict"] == "tripped" and verdicts["capacity"]["cause"] == "performance"
    assert verdicts["capacity"]["change_share"] > 0.05


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--max-cost-increase", "90%"), 0),
        (("--max-cost-increase", "0.05", "--price-plan", "api"), 0),
        (("--max-cost-increase", "5"), 2),
        (("--max-cost-increase", "5%", "--endpoint", "nobody"), 2),
        ((), 2),
    ],
)
def test_the_gate_answers_with_its_exit_code(home: Home, options: tuple[str, ...], code: int) -> None:
    assert gate(home, *options).exit_code == code


def test_the_gate_says_what_it_cannot_judge(tmp_path: Path) -> None:
    young = Home(tmp_path / "young")
    assert gate(young, "--max-cost-increase", "5%").exit_code == 1, "no warehouse"
    young.prepare()
    build(young)
    done = gate(young, "--max-cost-increase", "5%")
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "no series has a cost yet: nothing was judged")
    done = gate(young, "--max-cost-increase", "5%", "--require-baseline")
    assert done.exit_code == 3 and "has a night been measured, and built?" in done.stderr
    land(young, replace(HISTORY, nights=2, planted=Planted(steps={1: 1.3})))
    build(young)
    done = gate(young, "--max-cost-increase", "5%")
    assert done.exit_code == 0 and "not judged: 1 valid nights before it, a baseline takes 5" in done.stdout
    assert gate(young, "--max-cost-increase", "5%", "--require-baseline").exit_code == 3
    assert gate(young, "--max-cost-increase", "5%", "--against", "previous").exit_code == 3
    land(young, replace(HISTORY, planted=Planted(infeasible=frozenset({2}))), range(2, 3))
    build(young)
    done = gate(young, "--max-cost-increase", "5%", "--price-plan", "rent")
    assert done.exit_code == 3 and "no operating point meets the SLO any more" in done.stderr
