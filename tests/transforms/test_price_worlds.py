"""Own, rent and API beside each other, three cost bases, input and output: numbers worked by hand."""

from datetime import date
from typing import Any

import pytest

from tests.transforms.factory import Given
from tests.transforms.test_economics import cost, nvidia

WANTED = ("curated.break_even", "curated.cost_ledger", "curated.cost_per_million_tokens", "curated.server_counts")

YEAR_S = 31_536_000
API: dict[str, Any] = {
    "price_plan": "api", "kind": "api", "licence_basis": None, "price_in": 1.0, "price_out": 3.0,
    **dict.fromkeys(("server_price", "depreciation_years", "hosting_year", "software_year")),
}  # fmt: skip
RENT: dict[str, Any] = {**API, "price_plan": "rent", "kind": "rent", "rent_unit": "gpu", "usd_per_hour": 2.5}


def test_three_bases_stand_side_by_side(given: Given) -> None:
    # Every second slot takes 500 ms to its first token, an SLO of 300 ms: 5 of the 10 rps of an instance are good. A
    # mean of 40 rps: capacity 120 x 0.5 uptime = 60 rps, slo 30, demand 40.
    given.run(gpus_per_instance=2)
    for slot in range(10):
        for turn in range(12):
            ttft = 500.0 if slot % 2 else 100.0
            given.request(1000 * turn + 100 * slot, ttft_ms=ttft, gaps_ms=((1000 - ttft) / 9,) * 9, concurrency=10)
    given.slo(("ttft", None, 300), attainment_share=0.4).demand(mean_rps=40.0, mean_source="rates", uptime=0.5).plan()
    given.build()
    for basis, served in (("capacity", 60), ("slo", 30), ("demand", 40)):
        row = cost(given, basis)
        assert row["served_rps"] == pytest.approx(served, rel=0.02)
        assert row["usd_per_1k_prompts"] == pytest.approx(262_500 * 1000 / (row["served_rps"] * YEAR_S))
        assert row["usd_per_request"] == pytest.approx(row["usd_per_1k_prompts"] / 1000)


def test_an_unknown_mean_is_not_the_capacity_price(given: Given) -> None:
    nvidia(given).slo().demand().plan().plan(**API).build()
    rows = given.all("from curated.cost_per_million_tokens where cost_basis = 'demand'")
    assert {(row["price_plan"], row["served_rps"], row["usd_per_1k_prompts"]) for row in rows} == {
        ("own", None, None),
        ("api", None, None),
    }


def test_an_api_costs_its_price_list_whatever_the_fleet(given: Given) -> None:
    # ISL 1000 of which 400 cached at a tenth, OSL 1000 of which 250 reasoning at $2:
    # (600 x 1 + 400 x 0.1 + 750 x 3 + 250 x 2) / 1e6 = $0.00339 a request
    nvidia(given)
    for row in given.rows["request_traces"]:
        row |= {"cached_input_tokens": 400, "reasoning_tokens": 250}
    given.rows["runs"][0]["shares_prefix"] = True
    given.slo().demand(mean_rps=40.0, mean_source="rates").plan(**API, price_cached=0.1, price_reasoning=2.0).build()
    for basis in ("capacity", "slo", "demand"):
        row = cost(given, basis)
        assert (row["priced_unit"], row["priced_units"], row["unit_year_usd"]) == ("request", None, None)
        assert row["usd_per_request"] == pytest.approx(0.00339)
        assert row["usd_per_request_lo"] == row["usd_per_request_hi"] == row["usd_per_request"]
        assert row["fleet_year_usd"] == pytest.approx(40 * YEAR_S * 0.00339)
        assert (row["usd_per_mtok_input"], row["usd_per_mtok_cached_input"]) == (pytest.approx(1), pytest.approx(0.1))
        assert row["usd_per_mtok_output"] == pytest.approx((750 * 3 + 250 * 2) / 1000)


def test_an_unknown_reasoning_count_matters_only_where_it_has_a_price(given: Given) -> None:
    nvidia(given).slo().demand().plan(**API).plan(**(API | {"price_plan": "thinks"}), price_reasoning=2.0).build()
    rows = given.all("""select price_plan, usd_per_request from curated.cost_per_million_tokens
        where cost_basis = 'capacity' order by 1""")
    assert [tuple(row.values()) for row in rows] == [("api", pytest.approx(0.004)), ("thinks", None)]


def test_provisioned_units_serve_the_tokens_that_they_promise(given: Given) -> None:
    # 5,000 tokens/s a unit at 2,000 tokens a request: 2.5 rps. 95 x 1.1 / 2.5 = 41.8: 42 units and a spare, $8,760 each
    # a year. Full: 43 x 2.5 = 107.5 rps. The measured rate has no part in it.
    unit = {**RENT, "price_plan": "unit", "rent_unit": "provisioned", "usd_per_hour": 1.0, "tokens_per_s": 5000.0}
    nvidia(given).slo().demand(headroom=0.1, spares=1).plan(**unit).build()
    row = cost(given)
    assert (row["priced_unit"], row["priced_units"], row["fleet_year_usd"]) == ("unit", 43, pytest.approx(43 * 8760))
    assert row["served_rps"] == pytest.approx(107.5)
    assert row["usd_per_request_lo"] == row["usd_per_request"] == row["usd_per_request_hi"]


def test_a_plan_may_price_some_models_only(given: Given) -> None:
    nvidia(given).slo().demand().plan(**API, models=["model"]).plan(**(API | {"price_plan": "other"}), models=["x"])
    given.build()
    assert [row["price_plan"] for row in given.all("select distinct price_plan from curated.cost_ledger")] == ["api"]


def test_processor_sharing_splits_by_measured_time(given: Given) -> None:
    # Ten requests of 1 s at any time, each 100 ms before its first token: a tenth of the time is input.
    # $0.0693652 a 1k prompts: input 0.00693652 over 1M tokens, output 0.06242868.
    nvidia(given).slo().demand().plan().build()
    row = cost(given, method="processor_sharing")
    assert row["usd_per_mtok_input"] == pytest.approx(0.00693652, rel=1e-5)
    assert row["usd_per_mtok_output"] == pytest.approx(0.06242868, rel=1e-5)
    assert row["usd_per_mtok"] == pytest.approx(0.0346826, rel=1e-5)


def test_processor_sharing_needs_no_reference_prices(given: Given) -> None:
    nvidia(given).slo().demand().plan(price_in=None, price_out=None).build()
    assert cost(given)["usd_per_mtok_input"] is None
    assert cost(given, method="processor_sharing")["usd_per_mtok_input"] == pytest.approx(0.00693652, rel=1e-5)


def test_the_interval_of_the_rate_goes_into_the_dollars_with_its_ceilings(given: Given) -> None:
    # A mean of 40 rps does not fill the fleet: only the number of servers moves the price, 262,500 or 350,000 a year
    nvidia(given).slo().demand(mean_rps=40.0, mean_source="rates", peak_rps=119.0).plan().build()
    point = given.point("request_rps_lo, request_rps_hi")
    assert 0 < point["request_rps_lo"] <= 10 <= point["request_rps_hi"]
    row, counts = cost(given, "demand"), given.one("from curated.server_counts")
    for end, instances in (("lo", counts["instances_lo"]), ("hi", counts["instances_hi"])):
        servers = -(-instances // 4)
        assert row[f"usd_per_1k_prompts_{end}"] == pytest.approx(servers * 87_500 * 1000 / (40 * YEAR_S))


def test_a_trace_serves_the_mean_of_what_each_rate_can_have(given: Given) -> None:
    # Half the time 10 rps, half 90: a budget of 4 instances carries 40. Served (10 + 40) / 2 = 25 of a mean of 50;
    # by the one server of 8 GPUs alike. The peak of 90 is served to 40 / 90.
    demand = {"peak_rps": 90.0, "mean_rps": 50.0, "mean_source": "trace", "max_instances": 4}
    nvidia(given).slo().demand(**demand).plan()
    for rps in (10.0, 90.0):
        given.rows["demand_rates"].append({"catalog_hash": "catalog", "demand": "demand", "rps": rps, "share": 0.5})
    given.build()
    assert cost(given, "demand")["served_rps"] == pytest.approx(25)
    assert given.one("select peak_to_average, share_of_load_served as share from curated.server_counts") == {
        "peak_to_average": pytest.approx(1.8), "share": pytest.approx(40 / 90),
    }  # fmt: skip
    ledger = given.one("select any_value(served_rps) as rps, any_value(mean_basis) as basis from curated.cost_ledger")
    assert ledger == {"rps": pytest.approx(25), "basis": "trace"}


def test_a_power_budget_is_a_budget_of_instances(given: Given) -> None:
    # 2 GPUs of 1.73 kW an instance: 20 kW hold 5 of them (17.3 kW)
    nvidia(given, power_kw_per_gpu=1.73).slo().demand(max_power_kw=20.0).build()
    row = given.one("select instances, max_instances, power_kw from curated.server_counts")
    assert row == {"instances": 5, "max_instances": 5, "power_kw": pytest.approx(17.3)}


def test_a_budget_too_small_for_one_instance_buys_nothing(given: Given) -> None:
    # 2 GPUs of 1.73 kW an instance do not fit into 3 kW: nothing is served, nothing is paid, and nothing is made up
    demand = {"mean_rps": 40.0, "mean_source": "rates", "max_power_kw": 3.0}
    nvidia(given, power_kw_per_gpu=1.73).slo().demand(**demand).plan().plan(**API).build()
    row = given.one("select status, instances, servers, share_of_load_served from curated.server_counts")
    assert row == {"status": "chosen", "instances": 0, "servers": 0, "share_of_load_served": 0}
    rows = given.all("select * from curated.cost_per_million_tokens where price_plan = 'own'")
    assert {(r["fleet_year_usd"], r["usd_per_request"]) for r in rows} == {(0, None)}
    assert {r["usd"] for r in given.all("select usd from curated.cost_ledger where price_plan = 'own'")} == {0}
    assert given.one("select verdict from curated.break_even") == {"verdict": "unknown"}


def test_a_power_budget_without_a_known_power_is_said_so(given: Given) -> None:
    nvidia(given).slo().demand(max_power_kw=20.0).plan().build()
    row = given.one("select status, instances, servers from curated.server_counts")
    assert row == {"status": "unknown_power", "instances": None, "servers": None}
    assert (cost(given)["status"], cost(given)["fleet_year_usd"]) == ("unknown_power", None)


def test_what_survives_the_loss_of_a_server(given: Given) -> None:
    # 10 instances carry 95 rps; a lost server takes 4: 14 instances on 4 servers
    nvidia(given).slo().demand().build()
    row = given.one(
        "select instances_to_survive as instances, servers_to_survive as servers from curated.server_counts"
    )
    assert row == {"instances": 14, "servers": 4}


def test_a_night_is_paid_with_its_own_api_prices(given: Given) -> None:
    nvidia(given).slo().demand().plan(**API, valid_to=date(2026, 5, 31))
    given.plan(**(API | {"price_in": 2.0, "price_out": 6.0, "valid_from": date(2026, 6, 1)})).build()
    assert cost(given)["usd_per_request"] == pytest.approx(0.008)
