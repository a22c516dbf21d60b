"""A mix of accelerators, from measured points to what is bought: figures worked out by hand."""

from datetime import date, timedelta
from typing import Any

import pytest

from schemas.columns import FLEET_MIXES, METRIC_VERSION, MIX_ROUTES
from tests.transforms.factory import NIGHT, Given
from transforms.runner import build

WANTED = ("curated.cost_per_million_tokens", "curated.fleet_mixes", "curated.mix_routes", "curated.server_counts")

HOUR_YEAR = 8760
RENT = {"kind": "rent", "rent_unit": "gpu", "server_price": None}
API = {"kind": "api", "server_price": None, "usd_per_hour": None, "price_in": 10.0, "price_out": 100.0}


def measured(given: Given, endpoint: str, workload: str, rps: float, **run: Any) -> None:
    """A run of two slots whose point has so many requests a second, on one GPU of the endpoint's own kind."""
    name = f"{endpoint}-{workload}"
    given.run(**{"run_id": name, "endpoint": endpoint, "workload": workload, "accelerator": endpoint, **run})
    given.closed_loop(2, 12, each_ms=2000 / rps, run=name)


def small_and_big(given: Given, **demand: Any) -> Given:
    """70 short and 30 long requests a second; a small GPU at $1 an hour serves 10 or 1 of them, a big one at $3 12.5 or 10."""
    for endpoint, workload, rps in (
        ("small", "short", 10),
        ("small", "long", 1),
        ("big", "short", 12.5),
        ("big", "long", 10),
    ):
        measured(given, endpoint, workload, rps)
    for name, usd in (("small", 1.0), ("big", 3.0)):
        given.plan(price_plan=f"rent-{name}", accelerator=name, usd_per_hour=usd, **RENT)
    return given.slo().mix({"short": 0.7, "long": 0.3}, **{"peak_rps": 100.0, **demand})


def fleets(given: Given) -> list[dict[str, Any]]:
    """The rows of the mixes."""
    return given.all("from curated.fleet_mixes order by currency, endpoint, price_plan")


def routes(given: Given) -> list[tuple[Any, ...]]:
    """Workload, endpoint, share of the class."""
    return [tuple(row.values()) for row in given.all(
        "select workload, endpoint, price_plan, round(share_of_class, 9) from curated.mix_routes order by all"
    )]  # fmt: skip


def test_splitting_by_length_beats_each_endpoint_alone(given: Given) -> None:
    # short on small: 70 / 10 = 7 instances x $8,760 = 61,320. long on big: 30 / 10 = 3 x $26,280 = 78,840. In all 140,160.
    # Alone: big 70 / 12.5 + 30 / 10 = 8.6, 9 x 26,280 = 236,520; small 7 + 30 = 37 x 8,760 = 324,120.
    # At a mean of 50 requests/s: 140,160 / (50 x 31,536,000 s) = $0.0000888889.
    small_and_big(given, mean_rps=50.0).build()
    big, small = fleets(given)
    assert routes(given) == [("long", "big", "rent-big", 1.0), ("short", "small", "rent-small", 1.0)]
    assert [(row["endpoint"], row["instances"], row["gpus"], row["servers"]) for row in (big, small)] == [
        ("big", 3, 3, None), ("small", 7, 7, None),
    ]  # fmt: skip
    assert [row["fleet_year_usd"] for row in (big, small)] == [pytest.approx(78_840), pytest.approx(61_320)]
    assert [row["load_share"] for row in (big, small)] == [pytest.approx(0.3), pytest.approx(0.7)]
    assert (small["utilisation"], small["run_ids"], small["priced_unit"]) == (
        pytest.approx(1),
        "small-short",
        "instance",
    )
    for row in (big, small):
        assert (row["mix_id"], row["status"], row["reasons"]) == ("demand/2026-06-01T02:00:00", "solved", None)
        assert (row["mix_offers"], row["mix_instances"], row["mix_gpus"], row["optimality_gap"]) == (2, 10, 10, 0.0)
        assert row["mix_year_usd"] == pytest.approx(140_160)
        assert row["usd_per_request"] == pytest.approx(140_160 / (50 * 31_536_000))
        assert (row["single_endpoint"], row["single_price_plan"]) == ("big", "rent-big")
        assert (row["single_year_usd"], row["saved_year_usd"]) == (pytest.approx(236_520), pytest.approx(96_360))
        assert row["solver"].startswith("HiGHS 1.")


def test_a_route_cites_the_point_that_it_stands_on(given: Given) -> None:
    small_and_big(given, headroom=0.1).build()
    row = given.one("from curated.mix_routes where workload = 'long'")
    assert (row["run_id"], row["operating_point_id"], row["metric_version"]) == (
        "big-long",
        "big-long-a1-l1",
        METRIC_VERSION,
    )
    assert (row["price_valid_from"], row["catalog_hash"]) == (date(2025, 1, 1), "catalog")
    assert (row["peak_rps"], row["rps_per_instance"]) == (pytest.approx(30), pytest.approx(10))
    assert row["instances_busy"] == pytest.approx(3.3)  # 30 x 1.1 / 10
    assert row["mean_rps"] is None


def test_headroom_spares_and_growth_count_for_every_endpoint_that_is_used(given: Given) -> None:
    # A year of 10 %: 77 and 33; with 20 % headroom 92.4 / 10 = 9.24 and 39.6 / 10 = 3.96: 10 and 4, and a spare each
    as_of = NIGHT.date() - timedelta(days=365)
    small_and_big(given, headroom=0.2, spares=1, growth=0.1, as_of=as_of).build()
    big, small = fleets(given)
    assert [(row["instances"], row["spares"]) for row in (big, small)] == [(5, 1), (11, 1)]
    assert small["peak_rps"] == pytest.approx(110)
    assert small["utilisation"] == pytest.approx(7.7 / 11)
    assert small["usd_per_request"] is None  # no mean: not the price at peak


def test_a_fleet_that_fits_exactly_is_not_rounded_up(given: Given) -> None:
    # 100 x (1 + 0.1) x 1.0 / 10 is 11.000000000000002 in doubles
    measured(given, "one", "short", 10)
    given.slo().mix({"short": 1.0}, peak_rps=100.0, headroom=0.1).plan().build()
    assert fleets(given)[0]["instances"] == 11


def test_a_mix_of_one_workload_is_the_demand_of_that_workload(given: Given) -> None:
    # the fleet of tests/transforms/test_economics.py: 10 instances of 2 GPUs in 3 servers of 8, 4 GPUs stranded
    given.run(gpus_per_instance=2).closed_loop(10, 12, input_tokens=1000, output_tokens=1000, target_output_tokens=1000)
    given.slo().plan().demand().mix({"workload": 1.0}, demand="mix").build()
    mix, fleet = fleets(given)[0], given.one("from curated.server_counts")
    same = ("instances", "servers", "gpus", "stranded_gpus", "spares", "peak_rps")
    assert {name: mix[name] for name in same} == {name: fleet[name] for name in same}
    assert (mix["servers"], mix["stranded_gpus"], mix["mix_servers"]) == (3, 4, 3)
    assert (mix["mix_year_usd"], mix["saved_year_usd"]) == (pytest.approx(262_500), pytest.approx(0))
    assert mix["utilisation"] == pytest.approx(fleet["utilisation"])


def test_what_single_workload_tables_hold_is_not_touched_by_a_mix(given: Given) -> None:
    small_and_big(given).build()
    assert given.all("from curated.server_counts") == given.all("from curated.cost_per_million_tokens") == []


def test_a_budget_bends_the_mix(given: Given) -> None:
    # Of 9 instances 2 small ones carry 20 of the short; 50 / 12.5 + 3 = 7 big ones do the rest. 8 do not suffice.
    small_and_big(given, max_instances=9).build()
    assert [(row["endpoint"], row["instances"]) for row in fleets(given)] == [("big", 7), ("small", 2)]
    assert ("short", "small", "rent-small", pytest.approx(2 / 7)) in routes(given)


def test_a_budget_that_is_too_small_is_a_row_that_says_so(given: Given) -> None:
    small_and_big(given, max_instances=8, max_gpus=100).build()
    [row] = fleets(given)
    assert (row["status"], row["currency"]) == ("infeasible", "USD")
    assert row["reasons"] == "no mix serves the peak within max_instances 8 and max_gpus 100"
    assert (row["endpoint"], row["mix_year_usd"], row["single_year_usd"], row["usd_per_request"]) == (None,) * 4
    assert routes(given) == []


def test_a_budget_of_power_needs_to_know_it(given: Given) -> None:
    # 9 big GPUs of 2 kW are 18 kW. The power of small is not known: it is left out, and said so.
    small_and_big(given, max_power_kw=18.0)
    for run in given.rows["runs"]:
        run["power_kw_per_gpu"] = 2.0 if run["endpoint"] == "big" else None
    given.build()
    [row] = fleets(given)
    assert (row["endpoint"], row["instances"], row["mix_power_kw"]) == ("big", 9, pytest.approx(18))
    assert row["reasons"] == "left out, the power is unknown and max_power_kw is given: rent-small"


def test_currencies_are_never_mixed(given: Given) -> None:
    # big can be rented in euros too, at 2.5 an hour: a solution of its own, of 9 instances
    small_and_big(given).plan(price_plan="euro", accelerator="big", usd_per_hour=2.5, currency="EUR", **RENT).build()
    rows = [(row["currency"], row["endpoint"], row["mix_year_usd"]) for row in fleets(given)]
    assert rows == [
        ("EUR", "big", pytest.approx(9 * 2.5 * HOUR_YEAR)), ("USD", "big", pytest.approx(140_160)), ("USD", "small", pytest.approx(140_160)),
    ]  # fmt: skip


def test_a_currency_that_cannot_pay_for_every_class_says_so(given: Given) -> None:
    measured(given, "small", "short", 10)
    measured(given, "big", "long", 10)
    given.plan(price_plan="dollar", accelerator="small", usd_per_hour=1.0, **RENT)
    given.plan(price_plan="euro", accelerator="big", usd_per_hour=1.0, currency="EUR", **RENT)
    given.slo().mix({"short": 0.7, "long": 0.3}).build()
    assert [(row["currency"], row["status"], row["reasons"]) for row in fleets(given)] == [
        ("EUR", "no_price_plan", "no EUR plan prices an endpoint that serves short"),
        ("USD", "no_price_plan", "no USD plan prices an endpoint that serves long"),
    ]


def test_without_a_price_plan_the_row_says_so(given: Given) -> None:
    measured(given, "small", "short", 10)
    given.slo().mix({"short": 1.0}).plan(accelerator="big").build()
    [row] = fleets(given)
    assert (row["status"], row["currency"]) == ("no_price_plan", None)


def test_a_class_that_no_endpoint_serves_is_named_with_the_verdicts(given: Given) -> None:
    # TTFT 20 ms at 10 requests/s and 200 ms at 1; nobody measured the third
    measured(given, "small", "short", 10)
    measured(given, "small", "long", 1)
    given.slo(("ttft", "p50", 50)).mix({"short": 0.5, "long": 0.3, "other": 0.2}).plan(accelerator="small").build()
    [row] = fleets(given)
    assert (row["status"], row["endpoint"], row["solver"]) == ("infeasible", None, None)
    assert row["reasons"] == (
        "no endpoint serves long within the SLO (small infeasible); other within the SLO (not measured that night)"
    )


def test_a_class_without_requests_needs_nobody(given: Given) -> None:
    measured(given, "small", "short", 10)
    given.slo().mix({"short": 1.0, "other": 0.0}, peak_rps=20.0).plan().build()
    assert [(row["status"], row["instances"]) for row in fleets(given)] == [("solved", 2)]
    assert routes(given) == [("short", "small", "own", 1.0)]


def test_servers_are_bought_whole_and_single_gpus_rented_beside_them(given: Given) -> None:
    # 9 instances of one GPU: a server of 8 at 87,500 and one GPU at 2 x 8760 = 17,520, not two servers
    measured(given, "one", "short", 10)
    given.slo().mix({"short": 1.0}, peak_rps=90.0).plan().plan(price_plan="rent", usd_per_hour=2.0, **RENT).build()
    own, rent = fleets(given)
    assert (own["price_plan"], own["servers"], own["instances"], own["stranded_gpus"]) == ("own", 1, 8, 0)
    assert (rent["price_plan"], rent["instances"], rent["servers"]) == ("rent", 1, None)
    assert own["mix_year_usd"] == pytest.approx(105_020)
    # alone: 9 rented GPUs are 157,680, two servers 175,000
    assert (own["single_price_plan"], own["single_year_usd"]) == ("rent", pytest.approx(157_680))


def test_an_api_serves_what_would_need_an_instance_for_little(given: Given) -> None:
    # A request has 100 tokens in at $10 and 10 out at $100 a million: $0.002. small carries 20 of 21 requests/s on two
    # instances; the rest of a mean of 10.5 is 0.5 requests/s by the token: 0.5 x 0.002 x 31,536,000 = 31,536. A third
    # instance at $10 an hour would be 87,600; all by the token 662,256.
    measured(given, "small", "short", 10)
    given.plan(price_plan="rent", usd_per_hour=10.0, **RENT).plan(price_plan="api", **API)
    given.slo().mix({"short": 1.0}, peak_rps=21.0, mean_rps=10.5).build()
    api, rent = fleets(given)
    assert (api["price_plan"], api["instances"], api["priced_unit"]) == ("api", None, "request")
    assert (api["fleet_year_usd"], api["load_share"]) == (pytest.approx(31_536), pytest.approx(1 / 21))
    assert (rent["instances"], rent["mix_year_usd"]) == (2, pytest.approx(2 * 87_600 + 31_536))
    assert (api["mix_instances"], api["mix_offers"]) == (2, 2)
    route = given.one("from curated.mix_routes where price_plan = 'api'")
    assert (route["api_usd_per_request"], route["rps_per_instance"]) == (pytest.approx(0.002), None)
    assert route["api_year_usd"] == pytest.approx(31_536)


def test_an_api_is_left_out_where_the_mean_is_unknown(given: Given) -> None:
    measured(given, "small", "short", 10)
    given.plan(price_plan="rent", usd_per_hour=10.0, **RENT).plan(price_plan="api", **API)
    given.slo().mix({"short": 1.0}, peak_rps=21.0).build()
    [row] = fleets(given)
    assert (row["price_plan"], row["instances"]) == ("rent", 3)
    assert row["reasons"] == "left out, an API's bill needs a mean rate: api"


def test_a_demand_that_names_its_plans_gets_no_other(given: Given) -> None:
    small_and_big(given, price_plans=["rent-big"]).build()
    assert [(row["endpoint"], row["instances"]) for row in fleets(given)] == [("big", 9)]


def test_a_pool_of_a_disaggregated_fleet_serves_nothing_by_itself(given: Given) -> None:
    measured(given, "small", "short", 10, role="decode")
    given.slo().mix({"short": 1.0}).plan().build()
    [row] = fleets(given)
    assert row["reasons"] == "no endpoint serves short within the SLO (small decode pool)"


def test_a_night_measured_again_after_an_edit_keeps_the_points_whose_slo_says_the_same(given: Given) -> None:
    # big was measured again with another catalog, in which only a price differs: the split as before. Where the SLO
    # differs too, what was judged by the old one does not count.
    for words, rows in ((("ttft", "p50", 9000), 2), (("ttft", "p50", 8999), 1)):
        given.rows = {name: [] for name in given.rows}
        small_and_big(given)
        given.rows["slos"], given.rows["slo_bounds"] = [], []
        given.slo(("ttft", "p50", 9000)).slo(words, catalog_hash="edited")
        given.rows["demands"] += [row | {"catalog_hash": "edited"} for row in given.rows["demands"]]
        given.rows["demand_classes"] += [row | {"catalog_hash": "edited"} for row in given.rows["demand_classes"]]
        given.rows["price_plans"] += [row | {"catalog_hash": "edited"} for row in given.rows["price_plans"]]
        for run in given.rows["runs"]:
            if run["endpoint"] == "big":
                run |= {"catalog_hash": "edited", "started_at": NIGHT + timedelta(hours=3)}
        given.con.execute("detach raw; attach ':memory:' as raw")
        given.build()
        assert [row["catalog_hash"] for row in fleets(given)] == ["edited"] * rows


def test_a_night_that_measured_none_of_its_workloads_has_no_mix(given: Given) -> None:
    measured(given, "small", "other", 10)
    given.slo().mix({"short": 1.0}).build()
    assert fleets(given) == []


def test_building_again_gives_the_same_mixes(given: Given) -> None:
    for at in range(4):
        for name, rps in (("short", 9 + at), ("medium", 4 + at / 2), ("long", 1 + at / 3)):
            measured(given, f"e{at}", name, rps)
        given.plan(price_plan=f"p{at}", accelerator=f"e{at}", usd_per_hour=1.0 + at / 5, **RENT)
    given.plan().slo().mix({"short": 0.5, "medium": 0.3, "long": 0.2}, peak_rps=50.0, spares=1).build()
    tables = (FLEET_MIXES, MIX_ROUTES)
    before = [given.all(f"from curated.{table.name} order by all") for table in tables]
    build(given.con)
    assert before == [given.all(f"from curated.{table.name} order by all") for table in tables]
    assert before[0]
