"""Nights that are taken back, and changes known exactly: what the trends and the regressions say of them, to the figure."""

from pathlib import Path
from typing import Any

import pytest

from reports.moved import standing
from tests.history import History, Planted, land
from warehouse.ask import ask
from warehouse.build import build
from warehouse.corrections import restore, retract
from warehouse.home import Home

TABLES = ("change_points", "cost_trends", "regressions")
SLOW_NIGHT, NIGHTS = 8, 11
TAKEN_BACK = History(nights=NIGHTS, noise=0.0, planted=Planted(outliers={SLOW_NIGHT: 1.5}))
CAPACITY = "series_id = 'e0/w/slo/demand/rent/capacity/price_ratio'"


def content(home: Home) -> dict[str, list[tuple[Any, ...]]]:
    return {name: ask(home, f"from {name} order by all").rows for name in TABLES}


def by_night(home: Home, table: str, where: str) -> dict[int, dict[str, Any]]:
    """The only row of each night."""
    rows = ask(home, f"from {table} where {where} order by night").objects()
    found = {(row["night"] - TAKEN_BACK.at(0)).days: row for row in rows}
    assert len(found) == len(rows)
    return found


def test_a_retracted_night_is_no_change_and_in_no_baseline_until_it_is_taken_back(tmp_path: Path) -> None:
    home = Home(tmp_path)
    land(home, TAKEN_BACK)
    build(home)
    measured = content(home)
    trend, told = by_night(home, "cost_trends", CAPACITY), by_night(home, "regressions", CAPACITY)
    # half as long again for each request: half as dear again, and back
    assert trend[SLOW_NIGHT]["change_share"] == pytest.approx(0.5, rel=1e-3)
    assert trend[SLOW_NIGHT + 1]["change_share"] == pytest.approx(1 / 1.5 - 1, rel=1e-3)
    assert (told[SLOW_NIGHT]["is_new"], told[SLOW_NIGHT]["direction"]) == (True, "worse")

    retract(home, f"e0-{TAKEN_BACK.at(SLOW_NIGHT):%Y%m%dT%H%M}", "another job ran on the machine")
    build(home)
    trend = by_night(home, "cost_trends", CAPACITY)
    assert (trend[SLOW_NIGHT]["value_usd"], trend[SLOW_NIGHT]["no_value"]) == (None, "no_valid_point: retracted")
    after, last = trend[SLOW_NIGHT + 1], trend[NIGHTS - 1]
    assert (after["previous_night"], after["days_since_previous"]) == (TAKEN_BACK.at(SLOW_NIGHT - 1), 2)
    assert after["change_share"] == pytest.approx(0, abs=1e-9)
    # ten nights before the last one, less the one that was taken back, all alike
    assert (last["baseline_nights"], last["baseline_usd"]) == (NIGHTS - 2, pytest.approx(last["value_usd"]))
    assert by_night(home, "regressions", CAPACITY) == {}

    restore(home, f"e0-{TAKEN_BACK.at(SLOW_NIGHT):%Y%m%dT%H%M}", "it was its own job after all")
    build(home)
    assert content(home) == measured


PRICE_NIGHT, SCOPE_NIGHT = 5, 6
EXACT = History(
    nights=7, endpoints=2, noise=0.0, planted=Planted(rent={PRICE_NIGHT: 2.4}, peak_rps={0: 9.5, SCOPE_NIGHT: 10.1})
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two endpoints of one request a second; rent went up a fifth, and a night later more was asked."""
    made = Home(tmp_path_factory.mktemp("exact"))
    land(made, EXACT)
    build(made)
    return made


def new(home: Home, cause: str) -> list[dict[str, Any]]:
    return ask(home, f"from regressions where is_new and cause = '{cause}' order by series_id").objects()


def test_one_change_of_a_price_is_one_episode_of_every_series_that_it_hits(home: Home) -> None:
    told = new(home, "price")
    hit = {f"{e}/w/slo/demand/rent/{basis}/{how}" for e in ("e0", "e1") for basis in ("capacity", "slo", "demand")
           for how in ("price_ratio", "processor_sharing")}  # fmt: skip
    assert {row["series_id"] for row in told} == hit and len(told) == len(hit)
    assert {row["regression_id"] for row in told} == {f"price/rent@{EXACT.at(PRICE_NIGHT):%Y-%m-%dT%H:%M:%S}"}
    assert {(row["night"], row["direction"], row["confidence"]) for row in told} == {
        (EXACT.at(PRICE_NIGHT), "worse", 1.0)
    }
    # 2.4 / 2.0, whole servers or not
    assert [row["change_share"] for row in told] == pytest.approx([0.2] * len(told))


def test_one_change_of_what_is_asked_is_one_episode_of_every_series_that_it_hits(home: Home) -> None:
    told = new(home, "scope")
    # a full server costs the same whatever is asked of it
    hit = {f"{e}/w/slo/demand/rent/demand/{how}" for e in ("e0", "e1") for how in ("price_ratio", "processor_sharing")}
    assert {row["series_id"] for row in told} == hit and len(told) == len(hit)
    assert {row["regression_id"] for row in told} == {f"scope/demand@{EXACT.at(SCOPE_NIGHT):%Y-%m-%dT%H:%M:%S}"}
    # 10 instances for a mean of 4.75, then 11 for 5.05
    assert [row["change_share"] for row in told] == pytest.approx([11 / 5.05 / (10 / 4.75) - 1] * len(told))
    assert not new(home, "performance")


def test_the_changes_that_stand_are_one_line_an_endpoint_and_cause(home: Home) -> None:
    lines = [(change.main["endpoint"], change.main["cause"], len(change.rows)) for change in standing(home)]
    # on the newest night six series of each endpoint stand under the price, two of them under what is asked as well
    assert sorted(lines) == [("e0", "price", 6), ("e0", "scope", 2), ("e1", "price", 6), ("e1", "scope", 2)]
    assert all("known exactly" in change.sentence() for change in standing(home))


def test_of_a_slower_endpoint_and_a_lower_price_on_one_night_both_are_told(tmp_path: Path) -> None:
    home, night = Home(tmp_path), 9
    planted = Planted(steps={night: 1.1}, rent={night: 1.5}, peak_rps={0: 9.5})
    both = History(nights=night + 2, noise=0.0, planted=planted)
    land(home, both)
    build(home)
    for row in by_night(home, "regressions", CAPACITY).values():
        [price] = row["also"]
        assert (row["cause"], row["direction"]) in {("performance", "worse"), ("price", "better")}
        assert {row["cause"], price["cause"]} == {"performance", "price"}
        slower, cheaper = (row, price) if row["cause"] == "performance" else (price, row)
        assert (slower["performance_change_share"], slower["first_night"]) == (pytest.approx(0.1), both.at(night))
        # what took 10 % longer costs 1.5 / 2.0 of what it did
        assert cheaper["change_share"] == pytest.approx(-0.25 * 1.05, rel=0.01)
        assert cheaper["price_effect_usd"] == pytest.approx(row["price_effect_usd"])
    told = by_night(home, "regressions", CAPACITY)[night]
    assert (told["cause"], told["is_new"], told["also"][0]["is_new"]) == ("performance", True, True)
    assert {(change.main["cause"], change.main["direction"]) for change in standing(home)} == {
        ("performance", "worse"),
        ("price", "better"),
    }
