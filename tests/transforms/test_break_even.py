"""Where own, rent and API cross: worked numbers."""

from typing import Any

import pytest

from tests.transforms.factory import Given
from tests.transforms.test_economics import nvidia
from tests.transforms.test_price_worlds import API, RENT, YEAR_S

WANTED = ("curated.break_even",)


def crossing(given: Given, plan: str, other: str) -> dict[str, Any]:
    """The only row of two plans."""
    return given.one(f"from curated.break_even where price_plan = '{plan}' and other_plan = '{other}'")


def test_own_against_rent_by_the_gpu(given: Given) -> None:
    # 87,500 / (8 x 2.50) = 4,375 h, 49.94 % of a year; the fleet of 3 servers does 120 rps in those hours
    nvidia(given).slo().demand().plan().plan(**RENT).build()
    row = crossing(given, "own", "rent")
    assert (row["verdict"], row["hours_per_year"]) == ("crosses", pytest.approx(4_375))
    assert row["utilisation"] == pytest.approx(0.4994, abs=5e-5)
    assert row["requests_per_year"] == pytest.approx(4_375 * 3600 * 120)
    assert given.one("from break_even(87500, 8 * 2.5)") == {
        "hours_per_year": pytest.approx(4_375), "utilisation": pytest.approx(0.4994, abs=5e-5),
    }  # fmt: skip


def test_own_against_a_server_of_another_size_goes_by_its_gpus(given: Given) -> None:
    # a rented server of 4 GPUs at $10 is 8 GPUs at $20
    rent = RENT | {"rent_unit": "server", "gpus_per_server": 4, "usd_per_hour": 10.0}
    nvidia(given).slo().demand(price_plans=["own", "rent"]).plan().plan(**rent).build()
    assert crossing(given, "own", "rent")["hours_per_year"] == pytest.approx(4_375)


def test_a_rent_that_is_cheaper_all_year_is_never_crossed(given: Given) -> None:
    nvidia(given).slo().demand().plan().plan(**(RENT | {"usd_per_hour": 1.0})).build()
    row = crossing(given, "own", "rent")
    assert (row["verdict"], row["requests_per_year"]) == ("never", None)
    assert row["utilisation"] == pytest.approx(87_500 / 8 / 8760)


def test_the_nvidia_fleet_against_an_api(given: Given) -> None:
    # 262,500 / 0.004 = 65,625,000 requests a year = 2.081 rps, 2,000 tokens each: 10.94e9 tokens a month
    nvidia(given).slo().demand(mean_rps=40.0, mean_source="rates").plan().plan(**API).build()
    row = crossing(given, "own", "api")
    assert (row["verdict"], row["units"]) == ("crosses", 3)
    assert row["requests_per_year"] == pytest.approx(65_625_000)
    assert row["rps"] == pytest.approx(2.081, abs=5e-4)
    assert row["tokens_per_month"] == pytest.approx(65_625_000 / 12 * 2000)


def test_servers_step_until_the_break_even_rate_fits(given: Given) -> None:
    # $87,500 a server against $0.0000730 a request: 38 rps a server, under its 40. 3 servers: 114 rps need
    # ceil(11.4) = 12 instances on 3 servers, and the one spare a fourth: 152 rps need 16 + 1 instances, 5 servers;
    # 190: 19 + 1 = 20 instances on 5 servers. So 5 servers at 190 rps.
    price = 87_500 / 38 / YEAR_S * 1e6 / 2000
    nvidia(given).slo().demand(spares=1).plan().plan(**(API | {"price_in": price, "price_out": price})).build()
    row = crossing(given, "own", "api")
    assert (row["units"], row["rps"]) == (5, pytest.approx(190))


def test_an_api_cheaper_than_full_servers_is_never_crossed(given: Given) -> None:
    # a server does 40 rps: at less than 87,500 / (40 x YEAR_S) a request it never pays
    price = 87_500 / 41 / YEAR_S * 1e6 / 2000
    nvidia(given).slo().demand().plan().plan(**(API | {"price_in": price, "price_out": price})).build()
    row = crossing(given, "own", "api")
    assert (row["verdict"], row["requests_per_year"], row["units"]) == ("never", None, None)
    assert row["utilisation"] == pytest.approx(41 / 40)


def test_two_currencies_have_no_break_even(given: Given) -> None:
    nvidia(given).slo().demand().plan().plan(**API, currency="EUR").build()
    row = crossing(given, "own", "api")
    assert (row["verdict"], row["utilisation"], row["requests_per_year"]) == ("currency_mix", None, None)


def test_without_a_fleet_the_crossing_is_unknown(given: Given) -> None:
    nvidia(given).slo(("ttft", "p50", 80)).demand().plan().plan(**API).build()
    assert crossing(given, "own", "api")["verdict"] == "unknown"


def test_the_phases_of_chip_huyens_example(given: Given) -> None:
    # $2/h, 100 output tok/s: 2 / 360,000 = $5.5556 per 1M; OSL 200: $1.1111 a 1k; 100 prompts a minute: $0.3333 a 1k
    given.macros()
    row = given.one("from price_phases(2, 100, 100 / 60, 200)")
    assert row == {
        "usd_per_mtok_output": pytest.approx(5.5556, abs=5e-5), "usd_decode_per_1k": pytest.approx(1.1111, abs=5e-5),
        "usd_prefill_per_1k": pytest.approx(0.3333, abs=5e-5), "usd_total_per_1k": pytest.approx(1.4444, abs=5e-5),
    }  # fmt: skip
    assert given.one("from price_phases(2, 0, null, 200)")["usd_total_per_1k"] is None
    assert given.con.execute("select utilisation from break_even(?, ?)", [87500, 20]).fetchall()[0][0] < 0.5
