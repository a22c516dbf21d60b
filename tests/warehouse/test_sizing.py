"""`ratecard size` against numbers worked out by hand: the NVIDIA chain, its ledger, and what moves it."""

from pathlib import Path
from typing import Any

import pytest

from schemas.catalog import Catalog
from schemas.errors import UsageError
from tests.reports.houses import NVIDIA, measured_home, nvidia_home
from warehouse.ask import ask
from warehouse.home import Home
from warehouse.levers import LEVERS, Inputs, moved
from warehouse.size import size
from warehouse.sizing import Question, Sizing


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return nvidia_home(tmp_path_factory.mktemp("nvidia"))


@pytest.fixture(scope="module")
def sizing(home: Home) -> Sizing:
    return sized(home, mean_rps=40)


def sized(home: Home, *, slo: str = "offline", catalog: Catalog | None = None, **demand: Any) -> Sizing:
    return size(home, Question("endpoint", slo, {"peak_rps": 95.0, **demand}), catalog)


def cost(sizing: Sizing, basis: str, plan: str = "own") -> dict[str, Any]:
    """The row of a plan on a basis, split by price ratio."""
    [row] = [
        r
        for r in sizing.rows("cost_per_million_tokens")
        if (r["price_plan"], r["cost_basis"], r["allocation_method"]) == (plan, basis, "price_ratio")
    ]
    return row


def test_the_nvidia_chain(sizing: Sizing) -> None:
    # 95 / 10 = 9.5: 10 instances of 2 GPUs, 4 to a server of 8: 3 servers, 24 - 20 GPUs stranded
    fleet = sizing.fleet
    assert fleet is not None
    assert (fleet["instances"], fleet["servers"], fleet["gpus"], fleet["stranded_gpus"]) == (10, 3, 20, 4)
    # 3 x 87,500; 3 x 40 x 31,536,000 requests: 262,500,000 / 3,784,320,000; a third of that at 40 of 120
    capacity, demand = cost(sizing, "capacity"), cost(sizing, "demand")
    assert capacity["fleet_year_usd"] == pytest.approx(262_500)
    assert capacity["usd_per_1k_prompts"] == pytest.approx(0.0693652, abs=5e-8)
    assert demand["usd_per_1k_prompts"] == pytest.approx(0.208096, abs=5e-7)
    assert cost(sizing, "slo")["usd_per_1k_prompts"] == pytest.approx(0.0693652, abs=5e-8)  # every request is good


def test_its_ledger(sizing: Sizing) -> None:
    # an instance: 262,500 x 2 / 24 = 21,875; 10 of them 218,750; 40 of 95 rps keep 40 / 100 of their time: 87,500
    # at $1 and $3 for as many tokens: a quarter is input
    ledger = {
        row["bucket"]: row["usd"]
        for row in sizing.rows("cost_ledger")
        if row["price_plan"] == "own" and row["allocation_method"] == "price_ratio"
    }
    known = {"stranded": 43_750, "idle": 131_250, "input": 21_875, "output": 65_625}
    assert {name: usd for name, usd in ledger.items() if usd} == pytest.approx(known)
    assert sum(usd or 0 for usd in ledger.values()) == pytest.approx(262_500)


def test_its_break_even(sizing: Sizing) -> None:
    # a request costs $0.004 at the API: 262,500 / 0.004; a server 87,500 a year against 20 an hour: 4,375 h
    even = {row["other_plan"]: row for row in sizing.rows("break_even") if row["price_plan"] == "own"}
    assert even["api"]["requests_per_year"] == pytest.approx(65_625_000)
    assert even["rent"]["hours_per_year"] == pytest.approx(4_375)


def test_the_answer_is_that_of_the_nightly_build_for_the_same_demand(tmp_path: Path) -> None:
    home = measured_home(tmp_path)  # its catalog's demand "assistant": 95 rps, 10 % headroom, 1 spare
    asked = {"peak_rps": 95.0, "headroom": 0.1, "spares": 1}
    sizing = size(home, Question("llama-8b-h200", "interactive", asked))
    named = "demand = 'assistant' and night = (select max(night) from runs)"
    own_names = {"demand", "fleet_id", "series_id", "application", "catalog_hash"}
    keys = {"server_counts": "all", "cost_ledger": "all", "break_even": "all", "cost_per_million_tokens": "all"}
    for table in keys:
        nightly = ask(home, f"select * from {table} where {named}").objects()

        def bare(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return sorted(({k: v for k, v in row.items() if k not in own_names} for row in rows), key=repr)

        assert nightly, table
        assert bare(sizing.rows(table)) == bare(nightly), table


def test_what_moves_the_cost_most_comes_first(sizing: Sizing) -> None:
    # per 1M tokens at the mean: 262,500 x 1e6 / (40 x 31,536,000 x 2000) = 0.104048
    assert (sizing.plan, sizing.cost_basis, sizing.compared) == ("own", "demand", "usd_per_mtok")
    rows = {row["input"]: row for row in sizing.sensitivity()}
    effects = [max(abs(row["effect_low"] or 0), abs(row["effect_high"] or 0)) for row in sizing.sensitivity()]
    assert effects == sorted(effects, reverse=True)
    # 85.5 / 10: 9 instances, 3 servers still; 104.5 / 10: 11 instances, 3 servers still
    assert (rows["peak_rps"]["effect_low"], rows["peak_rps"]["effect_high"]) == pytest.approx((0, 0))
    # 9 rps: 11 instances; 11 rps: 9 instances: 3 servers either way
    assert (rows["rps_per_instance"]["value"], rows["rps_per_instance"]["effect_low"]) == pytest.approx((10, 0))
    # at 36 rps: 1 / 0.9; at 44: 1 / 1.1
    assert (rows["mean_rps"]["effect_low"], rows["mean_rps"]["effect_high"]) == pytest.approx((1 / 9, -1 / 11))
    # of 87,500 a year 80,000 are the price over 4 years: a tenth is 8,000
    assert rows["server_price"]["effect_high"] == pytest.approx(8_000 / 87_500)
    # over 4.4 years 320,000 are 72,727 a year, over 3.6 they are 88,889
    assert rows["depreciation_years"]["effect_high"] == pytest.approx((320_000 / 4.4 - 80_000) / 87_500)
    # 1,900 tokens instead of 2,000
    assert rows["input_tokens_mean"]["effect_low"] == pytest.approx(2_000 / 1_900 - 1)
    # nine instances carry no spare now; with one more 11 fit the same 3 servers
    assert (rows["spares"]["value"], rows["spares"]["low"], rows["spares"]["high"]) == (0, None, 1)
    # a rent is no input of an owned server; nothing has no tenth
    assert {"usd_per_hour", "power_kw", "headroom"}.isdisjoint(rows)


def test_an_input_stops_at_what_it_cannot_pass(home: Home) -> None:
    sizing = sized(home, mean_rps=90, uptime=0.95)
    rows = {row["input"]: row for row in sizing.sensitivity()}
    assert (rows["peak_rps"]["low"], rows["mean_rps"]["high"]) == (90, 95)  # the mean is never above the peak
    assert (rows["uptime"]["low"], rows["uptime"]["high"]) == (pytest.approx(0.855), 1)
    assert "pue" not in {row["input"] for row in sizing.sensitivity() if row["low"] is not None}  # of 1, and never less


def test_every_lever_is_a_column_that_it_moves(sizing: Sizing) -> None:
    inputs = sizing.inputs
    assert isinstance(inputs, Inputs)
    names = [lever.name for lever, _, _ in moved(inputs)]
    assert len(names) == len(set(zip(names, range(len(names)), strict=True)))
    plans = {name for row in inputs.plans for name in row}
    parts = {"demand": set(inputs.demand), "point": set(inputs.point), "plans": plans}
    optional = {"tokens_per_s", "price_reasoning"}
    assert [x for x in LEVERS for c in x.columns if c not in parts[x.part] | optional] == []


def test_without_a_mean_plans_are_compared_on_full_servers(home: Home) -> None:
    sizing = sized(home)
    assert (sizing.cost_basis, cost(sizing, "demand")["usd_per_1k_prompts"]) == ("capacity", None)
    assert "mean_rps" not in {row["input"] for row in sizing.sensitivity()}


def test_a_budget_and_spares_are_kept(home: Home) -> None:
    # 95 rps with 20 % headroom: 12 instances and 1 spare; 18 GPUs are 9 instances: 8 and the spare
    fleet = sized(home, headroom=0.2, spares=1, max_gpus=18).fleet
    assert fleet is not None
    assert (fleet["instances"], fleet["spares"], fleet["share_of_load_served"]) == (9, 1, pytest.approx(90 / 95))


def test_named_plans_are_the_only_ones_and_the_first_is_in_the_foreground(home: Home) -> None:
    sizing = sized(home, price_plans=["rent", "own"])
    assert {row["price_plan"] for row in sizing.rows("cost_per_million_tokens")} == {"rent", "own"}
    assert sizing.plan == "rent"


def test_another_catalog_brings_other_prices(home: Home) -> None:
    raw = NVIDIA.model_dump()
    raw["prices"]["own"]["periods"][0]["server_price"] = 640_000.0
    sizing = sized(home, catalog=Catalog.model_validate(raw))
    assert cost(sizing, "capacity")["unit_year_usd"] == pytest.approx(167_500)


def test_an_slo_that_nothing_meets_has_no_fleet(home: Home) -> None:
    sizing = sized(home, slo="quick")
    assert (sizing.best["status"], sizing.fleet, sizing.plan, sizing.sensitivity()) == ("infeasible", None, None, [])


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ({"endpoint": "nope"}, "--endpoint nope: nothing measured for it, expected one of endpoint"),
        ({"slo": "nope"}, "--slo nope: nothing measured for it, expected one of offline, quick"),
        ({"workload": "nope"}, "--workload nope: nothing measured for it, expected one of workload"),
        ({"night": "2020"}, "--night 2020: expected latest or one of 2026-06-01T02:00:00"),
        ({"demand": {"peak_rps": 1.0, "price_plans": ["x"]}}, "--price-plan x: expected one of api, own, rent"),
        ({"demand": {"peak_rps": 1.0, "mean_rps": 2.0}}, "mean_rps (2) is above peak_rps (1)"),
    ],
)
def test_a_question_about_nothing_says_what_there_is(home: Home, question: dict[str, Any], says: str) -> None:
    asked = {"endpoint": "endpoint", "slo": "offline", "demand": {"peak_rps": 95.0}, **question}
    with pytest.raises(UsageError) as error:
        size(home, Question(**asked))
    assert says in str(error.value)


def test_a_night_is_known_by_its_first_digits(tmp_path: Path) -> None:
    home = measured_home(tmp_path)
    asked = {"peak_rps": 95.0}
    monday = size(home, Question("llama-8b-h200", "interactive", asked, night="2026-05-31"))
    tuesday = size(home, Question("llama-8b-h200", "interactive", asked))
    assert (monday.best["run_id"], tuesday.best["run_id"]) == ("monday", "tuesday")
