"""What a change between two nights is split over, worked by hand: performance, price, scope, and all three at once."""

from datetime import date, timedelta
from itertools import permutations
from typing import Any

import pytest

from tests.transforms.factory import NIGHT, Given
from tests.transforms.test_price_worlds import API
from tests.transforms.test_price_worlds import RENT as RENT_AT_2_50

WANTED = ("curated.cost_trends", "curated.regressions")
YEAR_S = 31_536_000
RENT = RENT_AT_2_50 | {"usd_per_hour": 2.0}
NEXT = NIGHT + timedelta(days=1)
NEW = {"run_id": "new", "night": NEXT, "run_date": NEXT.date(), "started_at": NEXT, "catalog_hash": "new"}


def two_nights(given: Given, new_ms: float, new_run: dict[str, Any] | None = None, **both: Any) -> Given:
    """A slot with requests of 1 s (1 request/s) on the first night, and of `new_ms` on the second."""
    given.run(**both).closed_loop(1, 30)
    given.run(**{**NEW, **both, **(new_run or {})}).closed_loop(
        1, 30, each_ms=new_ms, run="new", gaps_ms=(new_ms / 10,) * 9
    )
    given.slo(("e2e", "mean", 5000.0)).slo(("e2e", "mean", 5000.0), catalog_hash="new")
    return given


def trend(given: Given, plan: str = "rent", basis: str = "capacity") -> dict[str, Any]:
    return given.one(f"""from curated.cost_trends where night = '{NEXT}' and price_plan = '{plan}' and cost_basis = '{basis}'
        and allocation_method <> 'processor_sharing'""")


def effects(row: dict[str, Any]) -> tuple[float, float, float]:
    return row["performance_effect_usd"], row["price_effect_usd"], row["scope_effect_usd"]


def shapley(cost: Any) -> list[float]:
    """Mean, over the orders in which performance, price and scope can change, of what each one's change does."""
    sums = [0.0, 0.0, 0.0]
    for order in permutations(range(3)):
        at = [0, 0, 0]
        for factor in order:
            before = cost(*at)
            at[factor] = 1
            sums[factor] += (cost(*at) - before) / 6
    return sums


def test_a_faster_night_alone_is_performance(given: Given) -> None:
    # a GPU at $2 an hour serves 1 request/s of 110 tokens, then 1.25: 2 / 3600 / 110e-6 = $5.05, then $4.04 for 1M
    two_nights(given, 800.0).demand().demand(catalog_hash="new").plan(**RENT).plan(**RENT, catalog_hash="new").build()
    row = trend(given)
    assert row["previous_value_usd"] == pytest.approx(2 / 3600 / 110e-6)
    assert row["change_usd"] == pytest.approx(2 / 3600 / 110e-6 * -0.2)
    assert effects(row) == (pytest.approx(row["change_usd"]), 0, 0)
    assert row["change_share"] == pytest.approx(-0.2)
    first = given.one(f"""select * from curated.cost_trends where night = '{NIGHT}' and cost_basis = 'capacity'
        and allocation_method = 'price_ratio'""")
    assert first["previous_night"] is None and first["change_usd"] is None and first["baseline_usd"] is None


def test_all_three_at_once_add_up_ceilings_and_all(given: Given) -> None:
    """Two servers' worth of rate against three, own servers dearer, a peak that grows by itself and by the catalog."""
    both = {"gpus_per_instance": 4}
    two_nights(given, 1300.0, **both)
    old = {"peak_rps": 9.5, "mean_rps": 4.0, "mean_source": "rates", "headroom": 0.1, "spares": 1, "uptime": 0.99}
    new = {**old, "peak_rps": 12.0, "mean_rps": 6.0, "growth": 1.0, "as_of": date(2025, 6, 2), "catalog_hash": "new"}
    given.demand(**old).demand(**new).plan().plan(server_price=400_000.0, catalog_hash="new").build()
    row = trend(given, "own", "demand")

    def cost(performance: int, price: int, scope: int) -> float:
        rate = (1.0, 1 / 1.3)[performance]
        server = ((320_000, 400_000)[price]) / 4 + 3_000 + 4_500
        # NEXT is a year after the new demand's as_of: twice its rates
        peak, mean = ((9.5, 4.0), (24.0, 12.0))[scope]
        instances = -(-round(peak * 1.1 / rate, 9) // 1) + 1
        servers = -(-instances // 2)
        served = min(mean, servers * 2 * rate * 0.99)
        return servers * server / (served * YEAR_S * 110) * 1e6

    assert row["previous_value_usd"] == pytest.approx(cost(0, 0, 0))
    assert row["value_usd"] == pytest.approx(cost(1, 1, 1))
    assert effects(row) == tuple(pytest.approx(effect) for effect in shapley(cost))
    assert sum(effects(row)) == pytest.approx(row["change_usd"], rel=1e-12)


def test_another_slo_chooses_another_point_and_that_is_scope(given: Given) -> None:
    # one slot at 1 request/s and two at 0.9 each: the old SLO lets both through, the new one the first alone
    given.run().closed_loop(1, 30).closed_loop(2, 30, each_ms=1111.0, level_index=2)
    given.run(**NEW).closed_loop(1, 30, run="new").closed_loop(2, 30, each_ms=1111.0, level_index=2, run="new")
    given.slo(("e2e", "mean", 5000.0)).slo(("e2e", "mean", 1050.0), catalog_hash="new")
    given.demand().demand(catalog_hash="new").plan(**RENT).plan(
        **{**RENT, "usd_per_hour": 3.0}, catalog_hash="new"
    ).build()
    row = trend(given)
    assert row["value_usd"] == pytest.approx(3 / 3600 / 110e-6, rel=1e-3)
    assert row["previous_value_usd"] == pytest.approx(2 / 3600 / (110e-6 * 2 / 1.111), rel=2e-2)
    assert row["performance_effect_usd"] == 0 and row["scope_effect_usd"] > 0 and row["price_effect_usd"] > 0
    assert "slo " in row["baseline_break"]


def test_an_api_is_moved_by_its_prices_and_by_the_tokens_alone(given: Given) -> None:
    # 100 in and 10 out at $1 and $3: $130 a million requests; at $2 and $3: $230; a slower server changes nothing
    two_nights(given, 1300.0).demand().demand(catalog_hash="new")
    given.plan(**API).plan(**{**API, "price_in": 2.0}, catalog_hash="new").build()
    row = trend(given, "api")
    assert (row["previous_value_usd"], row["value_usd"]) == (pytest.approx(130 / 110), pytest.approx(230 / 110))
    assert effects(row) == (pytest.approx(0), pytest.approx(100 / 110), 0)
    told = given.one("""from curated.regressions where price_plan = 'api' and cost_basis = 'capacity'""")
    assert (told["cause"], told["direction"], told["is_new"], told["confidence"]) == ("price", "worse", True, 1.0)
    assert told["suspects"] == ["catalog_hash: catalog -> new"]


def test_a_demand_trace_and_a_budget_are_priced_anew_too(given: Given) -> None:
    # half the time 1, half the time 9 requests/s; no more than 4 instances: served are 1, and 4 x the rate
    old = {"peak_rps": 9.0, "mean_rps": 5.0, "mean_source": "trace", "max_instances": 4}
    two_nights(given, 500.0).demand(**old).demand(**{**old, "max_instances": 5}, catalog_hash="new")
    given.rows["demand_rates"] += [
        {"catalog_hash": catalog, "demand": "demand", "rps": rps, "share": 0.5}
        for catalog in ("catalog", "new")
        for rps in (1.0, 9.0)
    ]
    given.plan(**RENT).plan(**RENT, catalog_hash="new").build()
    row = trend(given, basis="demand")

    def cost(performance: int, _price: int, scope: int) -> float:
        rate = (1.0, 2.0)[performance]
        instances = min(-(-9 // rate), (4, 5)[scope])
        served = 0.5 * min(1, instances * rate) + 0.5 * min(9, instances * rate)
        return instances * 2 * 8760 / (served * YEAR_S * 110) * 1e6

    assert effects(row) == tuple(pytest.approx(effect) for effect in shapley(cost))


def test_pools_are_compared_by_the_price_of_their_own_tokens(given: Given) -> None:
    two_nights(given, 800.0, role="prefill").demand().demand(catalog_hash="new")
    given.plan(**RENT).plan(**RENT, catalog_hash="new").build()
    row = trend(given)
    assert row["measure"] == "usd_per_mtok_input"
    assert row["value_usd"] == pytest.approx(2 / 3600 / 1.25 / 100e-6)
    assert effects(row) == (pytest.approx(row["change_usd"]), 0, 0)


def test_only_nights_of_the_same_loads_are_compared(given: Given) -> None:
    two_nights(given, 800.0, {"load": "finer"}).demand().demand(catalog_hash="new")
    given.plan(**RENT).plan(**RENT, catalog_hash="new").build()
    row = trend(given)
    assert (row["previous_night"], row["change_usd"], row["baseline_break"]) == (None, None, "load finer")
