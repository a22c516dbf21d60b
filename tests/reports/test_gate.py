"""What the gate takes for known exactly, and what for noise, where prices and performance move together."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reports.gate import Verdict, judge
from reports.source import opened
from tests.curated import NIGHT, publish
from tests.history import History, land
from warehouse.build import build
from warehouse.corrections import retract
from warehouse.home import Home

SERIES = {"series_id": "s", "allocation_method": "price_ratio", "performance_id": "p", "noise_share": 0.02}


def verdict(
    folder: Path, limit: float, *nights: dict[str, Any], moved: dict[str, Any] | None = None, against: str = "baseline"
) -> Verdict:
    """What is said of the last of some nights; `moved` is its row of `regressions`."""
    trends = [
        SERIES | {"night": NIGHT + timedelta(days=number), "value_usd": 1.0, "baseline_nights": 9} | night
        for number, night in enumerate(nights)
    ]
    rows: dict[str, list[dict[str, Any]]] = {"cost_trends": trends, "regressions": []}
    if moved is not None:
        rows["regressions"] = [{"series_id": "s", "night": trends[-1]["night"], "direction": "worse"} | moved]
    [found] = judge(publish(folder, rows), limit, against)
    return found


def test_a_small_rise_of_a_price_makes_no_noise_known_exactly(tmp_path: Path) -> None:
    # 1 % dearer since two nights, and 5 % slower tonight: 2.4 sigmas of 2 % noise are not sure
    tonight = {"value_usd": 1.06, "baseline_usd": 1.0, "baseline_until": NIGHT, "sigmas": 2.4}
    price = {"cause": "price", "step_night": NIGHT + timedelta(days=1), "reference_usd": 1.0, "change_share": 0.01}
    found = verdict(tmp_path, 0.05, {}, {"value_usd": 1.01, "price_effect_usd": 0.01}, tonight, moved=price)
    assert (found.verdict, found.change_share) == ("noise", pytest.approx(0.06))
    assert "within its own noise so far: 2.4 sigmas of 2.0 % a night" in found.why


def test_rises_of_prices_since_the_baseline_count_together(tmp_path: Path) -> None:
    # 3 % and 3 % more, each within the limit of 5 %, the second tonight
    tonight = {"value_usd": 1.06, "price_effect_usd": 0.03, "baseline_usd": 1.0, "baseline_until": NIGHT, "sigmas": 0.0}
    price = {"cause": "price", "step_night": NIGHT + timedelta(days=2), "reference_usd": 1.03, "change_share": 0.029}
    found = verdict(tmp_path, 0.05, {}, {"value_usd": 1.03, "price_effect_usd": 0.03}, tonight, moved=price)
    assert (found.verdict, found.confidence) == ("tripped", 1.0)
    assert "+6.0% by prices or demand, known exactly" in found.why


def test_a_price_that_rose_in_the_first_nights_trips_though_the_baseline_has_nights_of_both(tmp_path: Path) -> None:
    # 20 % dearer since the second night; the baseline is the median of all nights, and tonight was a quick one
    tonight = {"value_usd": 1.15, "baseline_usd": 1.05, "baseline_until": NIGHT + timedelta(days=1), "sigmas": -0.3}
    price = {"cause": "price", "step_night": NIGHT + timedelta(days=1), "reference_usd": 1.0, "change_share": 0.2}
    found = verdict(tmp_path, 0.05, {}, {"value_usd": 1.2, "price_effect_usd": 0.2}, tonight, moved=price)
    assert (found.verdict, found.confidence) == ("tripped", 1.0)
    assert "+20.0% of it by price, known exactly" in found.why


def test_a_rise_whose_noise_nobody_knows_trips_and_says_so(tmp_path: Path) -> None:
    tonight = {"value_usd": 1.2, "baseline_usd": 1.0, "noise_share": None, "value_usd_lo": None, "value_usd_hi": None}
    found = verdict(tmp_path, 0.05, {}, tonight)
    assert (found.verdict, found.confidence) == ("tripped", None)
    assert "its noise is not known yet" in found.why


@pytest.mark.parametrize(("limit", "said"), [(0.05, "tripped"), (0.5, "no_baseline")])
def test_without_a_baseline_only_what_is_known_exactly_is_judged(tmp_path: Path, limit: float, said: str) -> None:
    # a price rose by 20 %, and the night after took twice the time: two nights are no baseline to tell noise by
    tonight = {"value_usd": 2.4, "performance_effect_usd": 1.2, "baseline_nights": 2, "noise_share": None}
    price = {"cause": "price", "step_night": NIGHT + timedelta(days=1), "reference_usd": 1.0, "change_share": 0.2}
    found = verdict(tmp_path, limit, {}, {"value_usd": 1.2, "price_effect_usd": 0.2}, tonight, moved=price)
    assert found.verdict == said


def test_a_slower_endpoint_counts_also_where_a_price_moved_more(tmp_path: Path) -> None:
    # 6 % dearer and 5 % slower since two nights: neither is more than 8 %, and tonight alone is no more than noise
    tonight = {"value_usd": 1.113, "baseline_usd": 1.0, "baseline_until": NIGHT, "sigmas": 2.4}
    price = {"cause": "price", "step_night": NIGHT + timedelta(days=1), "reference_usd": 1.0, "change_share": 0.06}
    slower = price | {"cause": "performance", "direction": "worse", "change_share": 0.05, "confidence": 0.998}
    nights = {}, {"value_usd": 1.113, "price_effect_usd": 0.06}, tonight
    assert verdict(tmp_path / "price", 0.08, *nights, moved=price).verdict == "noise"
    both = verdict(tmp_path / "both", 0.08, *nights, moved=price | {"also": [slower]})
    assert (both.verdict, both.confidence, both.change_share) == ("tripped", 0.998, pytest.approx(0.113))
    assert "by performance" in both.why


@pytest.mark.parametrize(
    ("interval", "said"),
    [((0.96, 1.30), "noise"), ((1.08, 1.16), "tripped"), ((None, None), "tripped")],
)
def test_on_a_second_night_its_own_interval_stands_for_the_noise(
    tmp_path: Path, interval: tuple[float | None, float | None], said: str
) -> None:
    # 12 % dearer than the night before: 1.0 and 4.4 sigmas of two nights with such intervals
    tonight = {
        "value_usd": 1.12, "value_usd_lo": interval[0], "value_usd_hi": interval[1], "previous_value_usd": 1.0,
        "performance_effect_usd": 0.12, "noise_share": None, "sigmas": None, "baseline_nights": 1,
    }  # fmt: skip
    found = verdict(tmp_path, 0.05, {}, tonight, against="previous")
    assert (found.verdict, found.change_share) == (said, pytest.approx(0.12))
    if said == "noise":
        assert "1.0 sigmas of 7.7 %, its own interval" in found.why
    else:
        assert ("4.4 sigmas" if interval[0] else "not known yet") in found.why


def test_a_night_to_come_is_the_newest_until_it_is_retracted(tmp_path: Path) -> None:
    tonight = {"value_usd": 1.01, "baseline_usd": 1.0}
    by_mistake = {"night": datetime.now() + timedelta(days=1500), "value_usd": 1.0, "baseline_nights": 0}
    found = verdict(tmp_path, 0.05, {}, tonight, by_mistake)
    assert (found.row["night"], found.verdict) == (by_mistake["night"], "no_baseline")
    retracted = by_mistake | {"value_usd": None, "status": "no_valid_point", "no_value": "no_valid_point: retracted"}
    found = verdict(tmp_path, 0.05, {}, tonight, retracted)
    assert (found.row["night"], found.verdict) == (NIGHT + timedelta(days=1), "ok")
    # one that was to be is not passed over
    found = verdict(tmp_path, 0.05, {}, tonight, retracted | {"night": NIGHT + timedelta(days=2)})
    assert found.verdict == "no_value"


def test_a_night_to_come_that_was_retracted_is_no_last_night(tmp_path: Path) -> None:
    home, history = Home(tmp_path / "home"), History(nights=3, start=date(2026, 1, 1))
    land(home, history)
    land(home, history, range(30_000, 30_001))
    retract(home, "e0-2108", "the clock was wrong")
    build(home)
    with opened(home) as source:
        assert [(row["night"], row["nights"]) for row in source.shown()] == [(history.at(2), 3)]
    assert {found.row["night"] for found in judge(home, 0.05)} == {history.at(2)}
