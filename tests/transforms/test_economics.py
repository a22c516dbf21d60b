"""Operating point to servers to dollars: the worked numbers of docs/economics.md, through macros and tables."""

import math
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given as random
from hypothesis import settings
from hypothesis import strategies as st

from tests.transforms import factory
from tests.transforms.factory import NIGHT, Given

WANTED = ("curated.best_operating_points", "curated.cost_per_million_tokens", "curated.server_counts")

NVIDIA_PRICES = {
    "fleet_year_usd": 262_500, "usd_per_1k_prompts": 0.0693652, "usd_per_mtok": 0.0346826,
    "usd_per_mtok_input": 0.0173413, "usd_per_mtok_output": 0.0520239,
}  # fmt: skip


def nvidia(given: Given, **run: Any) -> Given:
    """Ten requests a second on an instance of 2 GPUs, ISL = OSL = 1000.

    Ten slots of 1 s, starts 0.1 s apart: the tenth completion comes at 1.9 s, the last of 12 rounds is sent at 11.9 s,
    with 100 completions in those 10 s.
    """
    given.run(**{"gpus_per_instance": 2, **run})
    tokens = {"input_tokens": 1000, "output_tokens": 1000, "target_output_tokens": 1000}
    return given.closed_loop(10, 12, run=run.get("run_id", "run"), **tokens)


def fleet(given: Given) -> dict[str, Any]:
    """The only fleet."""
    return given.one("from curated.server_counts")


def cost(given: Given, basis: str = "capacity", method: str = "price_ratio") -> dict[str, Any]:
    """The only cost row of a basis and an allocation method."""
    rows = f"cost_basis = '{basis}' and allocation_method = '{method}'"
    return given.one(f"from curated.cost_per_million_tokens where {rows}")


def test_the_nvidia_server_year_by_server_and_by_gpu_licence(given: Given) -> None:
    # 320,000 / 4 + 3,000 + 4,500 = 87,500; the licence for each of 8 GPUs: 80,000 + 3,000 + 36,000 = 119,000
    given.macros()
    by_server = "select own_server_year(320000, 4, 3000, 4500) as usd"
    by_gpu = "select own_server_year(320000, 4, 3000, 4500, licence_basis := 'per_gpu') as usd"
    assert (given.one(by_server)["usd"], given.one(by_gpu)["usd"]) == (87_500, 119_000)


def test_a_server_year_has_power_staff_and_salvage(given: Given) -> None:
    # (100 - 20) / 4 + 1 + 2 + 10 kW x 1.2 x 8760 h x 0.1 + 5 + 7 = 20 + 3 + 10,512 + 12 = 10,547
    given.macros()
    sql = """select own_server_year(100, 4, 1, 2, power_kw := 10, pue := 1.2, usd_per_kwh := 0.1, staff_year := 5,
        other_year := 7, salvage := 20) as usd"""
    assert given.one(sql)["usd"] == pytest.approx(10_547)
    assert given.one("select own_server_year(100, 0, 1, 2) as usd")["usd"] is None


def test_the_nvidia_chain_through_the_macros(given: Given) -> None:
    given.macros()
    sized = given.one("from size_fleet(95, 10, 2, 8)")
    assert {name: sized[name] for name in ("instances", "gpus", "servers", "stranded_gpus", "utilisation")} == {
        "instances": 10, "gpus": 20, "servers": 3, "stranded_gpus": 4, "utilisation": 0.95,
    }  # fmt: skip
    sql = "from price_fleet(3, 87500, 40, 1000, 1000, mean_rps := 40, price_in := 1, price_out := 3)"
    capacity, slo, demand = given.all(sql)
    assert [row["cost_basis"] for row in (capacity, slo, demand)] == ["capacity", "slo", "demand"]
    assert capacity["usd_per_1k_prompts"] == pytest.approx(0.0693652, abs=5e-8)
    assert capacity["usd_per_mtok_output"] == pytest.approx(0.0520239, abs=5e-8)
    assert (slo["served_rps"], slo["usd_per_1k_prompts"]) == (None, None)  # unknown is not the capacity price
    assert demand["usd_per_1k_prompts"] == pytest.approx(0.208096, abs=5e-7)


def test_a_request_without_tokens_or_a_fleet_without_a_rate_has_no_price(given: Given) -> None:
    given.macros()
    for arguments in ("3, 87500, 40, 0, 0", "3, 87500, 0, 1000, 1000", "3, null, 40, 1000, 1000"):
        rows = given.all(f"from price_fleet({arguments}, price_in := 1, price_out := 3)")
        assert [row["usd_per_mtok"] for row in rows] == [None] * 3, arguments
        assert all(row["usd_per_mtok_output"] is None for row in rows), arguments


def test_macros_take_parameters_and_rows_of_a_table(given: Given) -> None:
    given.macros()
    assert given.con.execute("select servers from size_fleet(?, ?, 2, 8)", [95, 10]).fetchall() == [(3,)]
    sql = """select peak, fleet.servers from (values (95, 10), (400, 10), (95, 0)) as t (peak, rate),
        lateral (from size_fleet(peak, rate, 2, 8)) as fleet order by all"""
    assert given.con.execute(sql).fetchall() == [(95, 3), (95, None), (400, 10)]


def test_ceilings_are_not_fooled_by_doubles(given: Given) -> None:
    # 100 x (1 + 0.1) / 10 is 11.000000000000002 in doubles
    given.macros()
    assert given.one("select instances from size_fleet(100, 10, 1, 8, headroom := 0.1)") == {"instances": 11}


def test_a_cached_token_has_its_own_price_and_the_split_conserves(given: Given) -> None:
    # ISL 1000 of which 400 cached, OSL 500, prices 1 / 0.1 / 3: ref = (600 + 40 + 1500) / 1000 = 2.14 a 1k prompts
    given.macros()
    row = given.all("""from price_fleet(1, 1000000, 1, 1000, 500, cached_tokens := 400, price_in := 1,
        price_cached := 0.1, price_out := 3)""")[0]
    per_1k = 1_000_000 * 1000 / 31_536_000
    assert row["usd_per_mtok_cached_input"] == pytest.approx(0.1 * per_1k / 2.14)
    total = row["usd_per_mtok_input"] * 600 + row["usd_per_mtok_cached_input"] * 400 + row["usd_per_mtok_output"] * 500
    assert total == pytest.approx(per_1k * 1000)


def test_the_nvidia_chain_through_the_tables(given: Given) -> None:
    nvidia(given).slo().demand().plan().build()
    assert given.point("request_rps, validity") == {"request_rps": pytest.approx(10.0), "validity": "valid"}
    row = fleet(given)
    expected = {"instances": 10, "servers": 3, "stranded_gpus": 4, "gpus": 20, "instances_for_peak": 10, "spares": 0}
    assert {name: row[name] for name in expected} == expected
    assert (row["utilisation"], row["rps_per_server"]) == (pytest.approx(0.95), pytest.approx(40.0))
    assert row["survives_one_server"] is False  # 6 instances x 10 < 95
    priced = cost(given)
    assert {name: priced[name] for name in NVIDIA_PRICES} == {
        name: pytest.approx(value, rel=2e-6) for name, value in NVIDIA_PRICES.items()
    }
    assert priced["usd_per_request"] == pytest.approx(0.0000693652, rel=2e-6)
    assert (priced["server_year_usd"], priced["price_valid_from"]) == (87_500, date(2025, 1, 1))


def test_a_fleet_whose_server_counts_no_tokens_has_a_price_by_the_request_alone(given: Given) -> None:
    # the fleet and the dollars of a 1k prompts are those above; nobody knows how many tokens they were
    nvidia(given)
    for request in given.rows["request_traces"]:
        request.update(input_tokens=None, output_tokens=None, cached_input_tokens=None)
    given.slo().demand().plan().build()
    priced = cost(given)
    assert priced["usd_per_1k_prompts"] == pytest.approx(0.0693652, rel=2e-6)
    assert [priced[name] for name in ("usd_per_mtok", "usd_per_mtok_input", "usd_per_mtok_output")] == [None] * 3


def test_the_interval_sizes_the_fleet_anew_at_both_ends_of_the_rate(given: Given) -> None:
    # Fewer requests a second need more servers, and each of their requests costs more: price x rate / rate_lo
    nvidia(given).slo().demand().plan().build()
    point, row, priced = given.point(), fleet(given), cost(given)
    assert row["instances_hi"] == math.ceil(round(95 / point["request_rps_lo"], 9))
    assert row["instances_lo"] == math.ceil(round(95 / point["request_rps_hi"], 9))
    assert priced["usd_per_1k_prompts_hi"] == pytest.approx(priced["usd_per_1k_prompts"] * 10 / point["request_rps_lo"])
    assert priced["usd_per_mtok_lo"] == pytest.approx(priced["usd_per_mtok"] * 10 / point["request_rps_hi"])


def test_headroom_spares_and_growth_add_instances(given: Given) -> None:
    # A year of 10 % growth: 95 x 1.1 = 104.5 rps, n0 = 11; with 20 % headroom 125.4 rps, n1 = 13; and 2 spares = 15.
    # Servers hold 4 instances: 4 servers, 2 GPUs stranded. One server down: 11 x 10 = 110 >= 104.5.
    as_of = NIGHT.date() - timedelta(days=365)
    nvidia(given).slo().demand(headroom=0.2, spares=2, growth=0.1, as_of=as_of, mean_rps=40.0).build()
    row = fleet(given)
    assert row["peak_rps"] == pytest.approx(104.5)
    assert row["mean_rps"] == pytest.approx(44.0)
    counts = ("instances_for_peak", "instances_with_headroom", "spares", "instances", "servers", "stranded_gpus")
    assert [row[name] for name in counts] == [11, 13, 2, 15, 4, 2]
    assert row["utilisation_at_mean"] == pytest.approx(44 / 150)
    assert (row["survives_one_server"], row["share_of_load_served"]) == (True, 1.0)


def test_a_budget_cuts_headroom_first_and_says_what_is_served(given: Given) -> None:
    # n0 = 10, n1 = 12, 1 spare. N = 9: n1' = min(12, 8) = 8, n0' = 8, spare 1: 9 instances carry 90 of 95.
    nvidia(given).slo().demand(headroom=0.2, spares=1, max_instances=9, max_gpus=100).build()
    row = fleet(given)
    counts = ("max_instances", "instances_for_peak", "instances_with_headroom", "spares", "instances", "servers")
    assert [row[name] for name in counts] == [9, 8, 8, 1, 9, 3]
    assert row["share_of_load_served"] == pytest.approx(90 / 95)
    assert row["utilisation"] == pytest.approx(95 / 90)


def test_a_budget_of_gpus_is_a_budget_of_instances(given: Given) -> None:
    nvidia(given).slo().demand(max_gpus=9).build()  # 9 GPUs hold 4 instances of 2
    assert fleet(given)["instances"] == 4


def test_an_instance_larger_than_a_server_takes_whole_servers(given: Given) -> None:
    # 12 GPUs on servers of 8: 2 servers an instance, 10 instances, 20 servers, 160 - 120 = 40 GPUs stranded
    nvidia(given, gpus_per_instance=12).slo().demand().plan().build()
    row = fleet(given)
    assert (row["servers"], row["stranded_gpus"], row["rps_per_server"]) == (20, 40, pytest.approx(5.0))
    assert cost(given)["usd_per_1k_prompts"] == pytest.approx(87_500 * 1000 / (5 * 31_536_000))


def test_a_balanced_endpoint_counts_for_each_of_its_instances(given: Given) -> None:
    nvidia(given, instances_measured=2).slo().demand().build()  # 10 rps over 2 instances
    assert (fleet(given)["rps_per_instance"], fleet(given)["instances"]) == (pytest.approx(5.0), 19)


def test_rent_by_the_gpu_strands_nothing(given: Given) -> None:
    # 10 instances x 2 GPUs x $2.50 x 8760 h = 438,000 a year for 10 x 10 rps = 100 rps
    rent = {"kind": "rent", "rent_unit": "gpu", "usd_per_hour": 2.5, "server_price": None}
    nvidia(given).slo().demand(uptime=0.5).plan(price_plan="rent", **rent).build()
    row = cost(given)
    assert (row["fleet_year_usd"], row["served_rps"]) == (pytest.approx(438_000), pytest.approx(50.0))
    assert (row["priced_unit"], row["priced_units"], row["server_year_usd"]) == ("instance", 10, None)
    assert row["usd_per_1k_prompts"] == pytest.approx(438_000 * 1000 / (50 * 31_536_000))


def test_rent_by_the_server_pays_whole_servers(given: Given) -> None:
    nvidia(given).slo().demand().plan(kind="rent", rent_unit="server", usd_per_hour=50.0).build()
    assert cost(given)["fleet_year_usd"] == pytest.approx(3 * 50 * 8760)


def test_a_night_is_priced_with_the_prices_of_that_night(given: Given) -> None:
    day = NIGHT.date()
    nvidia(given).slo().demand()
    given.plan(valid_from=date(2025, 1, 1), valid_to=day - timedelta(days=1), hosting_year=1.0)
    given.plan(valid_from=day, valid_to=None)
    given.plan(valid_from=day, catalog_hash="later", hosting_year=2.0)
    given.build()
    assert cost(given)["price_valid_from"] == day


def test_a_plan_prices_the_hardware_that_it_is_for(given: Given) -> None:
    cases: list[tuple[str, dict[str, Any], bool]] = [
        ("H100", {"accelerator": "H100"}, True),
        ("H100", {"accelerator": "B200"}, False),
        ("H100", {"accelerator": None}, True),
        ("cpu", {"accelerator": None}, False),
        ("cpu", {"accelerator": "cpu"}, True),
        ("H100-SXM5", {"accelerator": "h100"}, True),
        ("h100_80gb", {"accelerator": "H100"}, True),
        ("H1000", {"accelerator": "h100"}, False),
        ("H100", {"accelerator": "h100-sxm5"}, False),
        ("H100", {"gpus_per_server": 8}, True),
        ("H100", {"gpus_per_server": 4}, False),
    ]
    # each with an endpoint and a catalog of its own
    for number, (accelerator, plan, _) in enumerate(cases):
        name = {"catalog_hash": f"c{number}"}
        nvidia(given, run_id=f"r{number}", endpoint=f"e{number}", accelerator=accelerator, **name)
        given.slo(**name).demand(**name).plan(**name, **plan)
    given.build()
    found = given.all("select distinct endpoint, price_plan from curated.cost_per_million_tokens")
    priced = {row["endpoint"] for row in found}
    assert [f"e{number}" in priced for number in range(len(cases))] == [expected for _, _, expected in cases]
    assert len(found) == len(priced), "one plan each"


def test_a_plan_for_the_very_accelerator_leaves_those_of_its_kind_out(given: Given) -> None:
    nvidia(given, accelerator="H100-PCIe").slo().demand()
    given.plan(price_plan="any", accelerator="h100").plan(price_plan="card", accelerator="h100-pcie").build()
    assert given.all("select distinct price_plan from curated.cost_per_million_tokens") == [{"price_plan": "card"}]


def test_a_demand_that_names_its_plans_gets_exactly_those(given: Given) -> None:
    # The named plan prices servers of 4 GPUs: 2 instances each, 5 servers
    nvidia(given).slo().demand(price_plans=["four"]).plan().plan(price_plan="four", gpus_per_server=4).build()
    row = cost(given)
    assert (row["price_plan"], row["priced_units"]) == ("four", 5)


def test_an_slo_that_no_point_meets_is_infeasible_with_the_nearest_miss(given: Given) -> None:
    # TTFT 100 ms against a limit of 80: 25 % too slow
    nvidia(given).slo(("ttft", "p50", 80)).demand().plan().build()
    best = given.one("from curated.best_operating_points")
    assert (best["status"], best["operating_point_id"]) == ("infeasible", None)
    nearest = [best[f"nearest_{name}"] for name in ("operating_point_id", "metric", "statistic", "value", "limit")]
    assert nearest == ["run-a1-l1", "ttft", "p50", pytest.approx(100.0), 80.0]
    assert best["nearest_excess"] == pytest.approx(0.25)
    row = fleet(given)
    assert (row["status"], row["instances"], row["share_of_load_served"], row["servers"]) == (
        "infeasible",
        None,
        None,
        None,
    )
    assert (cost(given)["status"], cost(given)["usd_per_1k_prompts"]) == ("infeasible", None)


def test_an_slo_that_cannot_be_judged_is_undecided_and_says_why(given: Given) -> None:
    nvidia(given).slo(("ttft", "p99_9", 500)).build()
    best = given.one("from curated.best_operating_points")
    assert (best["status"], best["reasons"]) == ("undecided", "ttft p99_9 unknown")


def test_without_a_valid_point_the_reasons_are_given(given: Given) -> None:
    given.run().closed_loop(2, 8, clock_suspect=True).slo().build()
    best = given.one("from curated.best_operating_points")
    assert (best["status"], best["reasons"], best["points"]) == ("no_valid_point", "clock_suspect", 1)


def test_a_run_without_levels_is_a_row_too(given: Given) -> None:
    given.run(status="failed", levels_measured=0).slo().build()
    best = given.one("from curated.best_operating_points")
    assert (best["status"], best["reasons"]) == ("no_valid_point", "no level was measured")


def test_the_fastest_point_within_the_slo_is_chosen(given: Given) -> None:
    # Levels of 1, 2 and 4 slots: 1, 2 and 4 rps; the last has a TTFT of 400 ms. Without bounds: the fastest of all.
    given.run().closed_loop(1, 24, level_index=1).closed_loop(2, 24, level_index=2)
    given.closed_loop(4, 24, level_index=3, gaps_ms=(600 / 9,) * 9)
    given.slo(("ttft", "p50", 200), slo="fast").slo(slo="any").build()
    rows = given.all("select slo, concurrency, feasible_points from curated.best_operating_points order by slo")
    assert [tuple(row.values()) for row in rows] == [("any", 4, 3), ("fast", 2, 2)]


def test_unknown_token_counts_leave_prices_per_token_null_and_the_price_of_a_request(given: Given) -> None:
    given.run(gpus_per_instance=2).closed_loop(10, 12, input_tokens=None, cached_input_tokens=None)
    given.slo().demand().plan().build()
    row = cost(given)
    assert row["usd_per_1k_prompts"] == pytest.approx(0.0693652, rel=2e-6)
    unknown = ("usd_per_mtok", "usd_per_mtok_lo", "usd_per_mtok_input", "usd_per_mtok_output", "input_tokens_mean")
    assert [row[name] for name in unknown] == [None] * len(unknown)


def test_unknown_cached_tokens_matter_only_where_they_have_a_price_of_their_own(given: Given) -> None:
    nvidia(given).slo().demand().plan().plan(price_plan="cached", price_cached=0.1)
    for row in given.rows["request_traces"]:
        row["cached_input_tokens"] = None
    given.build()
    rows = given.all("""select price_plan, usd_per_mtok_input from curated.cost_per_million_tokens
        where cost_basis = 'capacity' and allocation_method = 'price_ratio' order by 1""")
    assert [tuple(row.values()) for row in rows] == [("cached", None), ("own", pytest.approx(0.0173413, rel=2e-6))]


def test_a_power_without_a_price_leaves_the_year_unknown(given: Given) -> None:
    nvidia(given).slo().demand().plan(power_kw=10.0).build()
    assert (cost(given)["server_year_usd"], cost(given)["usd_per_request"]) == (None, None)


@pytest.fixture(scope="module")
def macros() -> Iterator[Given]:
    with factory.given() as given:
        given.macros()
        yield given


@settings(max_examples=40)
@random(
    peak=st.floats(0.1, 1e4), rate=st.floats(0.1, 1e3), g=st.integers(1, 20), k=st.integers(1, 16),
    headroom=st.floats(0, 1), spares=st.integers(0, 3),
)  # fmt: skip
def test_a_fleet_never_serves_too_little_and_counts_every_gpu(
    macros: Given, peak: float, rate: float, g: int, k: int, headroom: float, spares: int
) -> None:
    row = macros.one(f"from size_fleet({peak}, {rate}, {g}, {k}, headroom := {headroom}, spares := {spares})")
    assert (row["instances"] - spares) * rate >= peak * (1 + headroom) * (1 - 1e-6)
    assert (row["instances"] - spares - 1) * rate < peak * (1 + headroom) * (1 + 1e-6)
    assert row["servers"] * k == row["gpus"] + row["stranded_gpus"]
    assert row["stranded_gpus"] >= 0
