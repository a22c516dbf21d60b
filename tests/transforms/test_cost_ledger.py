"""Every dollar of a fleet's year lands in exactly one bucket: worked numbers, then random fleets."""

from typing import Any

import pytest
from hypothesis import given as random
from hypothesis import settings
from hypothesis import strategies as st

from tests.transforms import factory
from tests.transforms.factory import Given
from tests.transforms.test_economics import nvidia
from tests.transforms.test_price_worlds import API, RENT, YEAR_S

WANTED = ("curated.cost_ledger", "curated.cost_per_million_tokens", "curated.server_counts", "curated.time_shares")

MEAN_40 = {"mean_rps": 40.0, "mean_source": "rates"}


def ledger(given: Given, method: str = "price_ratio", plan: str = "own") -> dict[str, Any]:
    """Bucket -> dollars a year of the only fleet."""
    rows = given.all(f"""select bucket, usd from curated.cost_ledger
        where allocation_method = '{method}' and price_plan = '{plan}'""")
    return {row["bucket"]: row["usd"] for row in rows}


def test_the_nvidia_chain_at_a_mean_of_40(given: Given) -> None:
    # G = 24 GPUs, ci = 262,500 x 2 / 24 = 21,875; stranded 262,500 - 10 ci = 43,750; rho = 40 / 100, w = 87,500,
    # idle 218,750 - 87,500 = 131,250; $1 : $3 at equal lengths: a quarter of w is input
    nvidia(given).slo().demand(**MEAN_40).plan().build()
    assert ledger(given) == {
        "stranded": pytest.approx(43_750), "spare": 0, "headroom": 0, "idle": pytest.approx(131_250), "failed": 0,
        "slo_missed": 0, "input": pytest.approx(21_875), "cached_input": 0, "output": pytest.approx(65_625),
    }  # fmt: skip


def test_by_measured_time_a_tenth_is_input(given: Given) -> None:
    nvidia(given).slo().demand(**MEAN_40).plan().build()
    split = ledger(given, "processor_sharing")
    assert (split["input"], split["output"]) == (pytest.approx(8_750), pytest.approx(78_750))
    assert split["idle"] == pytest.approx(131_250)


def test_spares_and_headroom_are_buckets_of_their_own(given: Given) -> None:
    # n0 = 10, n1 = 12 (114 rps), 1 spare: 13 instances, 4 servers, 350,000; ci = 350,000 x 2 / 32 = 21,875
    nvidia(given).slo().demand(headroom=0.2, spares=1, **MEAN_40).plan().build()
    split = ledger(given)
    assert (split["spare"], split["headroom"]) == (pytest.approx(21_875), pytest.approx(43_750))
    assert split["stranded"] == pytest.approx(350_000 - 13 * 21_875)
    assert sum(split.values()) == pytest.approx(350_000, abs=0.005)


def test_rented_gpus_strand_nothing_and_idle_all_the_same(given: Given) -> None:
    # 10 instances x 2 x $2.5 x 8760 = 438,000; 40 of 100 rps: 175,200 work
    nvidia(given).slo().demand(**MEAN_40).plan(**RENT).build()
    split = ledger(given, plan="rent")
    assert (split["stranded"], split["idle"]) == (0, pytest.approx(262_800))
    assert split["input"] + split["output"] == pytest.approx(175_200)


def test_failed_and_late_requests_have_their_buckets(given: Given) -> None:
    # 25 slots of 1 s at any time: one fails, four take 600 ms to their first token where 300 are asked, 20 are good.
    # w = 262,500 / 12 x 40 / r of one instance; 1/25 of it failed, 4/25 late, the rest by $1 : $3
    given.run(gpus_per_instance=2)
    for slot in range(25):
        for turn in range(12):
            sent, late = 1000 * turn + 40 * slot, slot in (3, 9, 15, 21)
            if slot == 12:
                given.request(sent, concurrency=25, outcome="truncated", closed_ns=(sent + 1000) * 10**6)
            else:
                ttft = 600.0 if late else 100.0
                given.request(sent, ttft_ms=ttft, gaps_ms=((1000 - ttft) / 9,) * 9, concurrency=25, output_tokens=100)
    for row in given.rows["request_traces"]:
        row["target_output_tokens"] = 100
    given.slo(("ttft", None, 300), attainment_share=0.5).demand(**MEAN_40).plan().build()
    split, sizes = ledger(given), given.one("select rps_per_instance, instances_for_peak from curated.server_counts")
    ci = given.one("select distinct fleet_year_usd from curated.cost_ledger")["fleet_year_usd"] * 2 / 8
    working = ci * 40 / sizes["rps_per_instance"]
    assert split["idle"] == pytest.approx(sizes["instances_for_peak"] * ci - working)
    shares = [split[bucket] / working for bucket in ("failed", "slo_missed", "input", "output")]
    assert shares == [pytest.approx(value, rel=1e-3) for value in (0.04, 0.16, 0.2, 0.6)]


def test_an_api_bills_what_was_answered_and_what_failed_with_a_count(given: Given) -> None:
    # 30 of 1000 requests failed after 500 input tokens were billed; OSL = ISL = 1000 at $1 and $3:
    # a served request costs 0.004 + 30 x 0.0005 / n_ok
    given.run(gpus_per_instance=2)
    given.closed_loop(10, 100, input_tokens=1000, output_tokens=1000, target_output_tokens=1000)
    for row in given.rows["request_traces"][5::33]:
        row |= {"outcome": "truncated", "finish_reason": None, "input_tokens": 500, "output_tokens": 0}
    given.slo().demand(**MEAN_40).plan(**API).build()
    split, year = ledger(given, plan="api"), given.one("select distinct fleet_year_usd from curated.cost_ledger")
    window = given.one("select failed_requests as f, judged_requests as n from curated.time_shares")
    bill = 0.004 + window["f"] * 0.0005 / (window["n"] - window["f"])
    assert year["fleet_year_usd"] == pytest.approx(40 * YEAR_S * bill)
    assert split["failed"] == pytest.approx(40 * YEAR_S * (bill - 0.004))
    assert [split[bucket] for bucket in ("stranded", "spare", "headroom", "idle")] == [0, 0, 0, 0]
    assert (split["input"], split["output"]) == (
        pytest.approx(40 * YEAR_S * 0.001), pytest.approx(40 * YEAR_S * 0.003),
    )  # fmt: skip


def test_without_a_mean_the_ledger_stands_at_the_peak_and_says_so(given: Given) -> None:
    nvidia(given).slo().demand().plan().build()
    assert given.one("select distinct mean_basis, served_rps from curated.cost_ledger") == {
        "mean_basis": "peak", "served_rps": pytest.approx(95.0),
    }  # fmt: skip
    assert ledger(given)["idle"] == pytest.approx(218_750 * 0.05)


def test_what_cannot_be_split_is_unallocated_and_not_zero(given: Given) -> None:
    nvidia(given).slo().demand(**MEAN_40).plan(price_in=None, price_out=None).build()
    split = ledger(given)
    assert (split["input"], split["cached_input"], split["output"]) == (None, None, None)
    assert split["unallocated"] == pytest.approx(87_500)
    assert "unallocated" not in ledger(given, "processor_sharing")


def test_cached_tokens_have_a_bucket_by_their_price(given: Given) -> None:
    # ISL 1000 of which 400 cached at a tenth: of (600 + 40 + 3000) the input is 600, the cached part 40
    nvidia(given, shares_prefix=True).slo().demand(**MEAN_40).plan(price_cached=0.1)
    for row in given.rows["request_traces"]:
        row["cached_input_tokens"] = 400
    given.build()
    split = ledger(given)
    parts = [split[bucket] / 87_500 * 3640 for bucket in ("input", "cached_input", "output")]
    assert parts == [pytest.approx(600), pytest.approx(40), pytest.approx(3000)]
    by_time = ledger(given, "processor_sharing")
    assert by_time["cached_input"] / by_time["input"] == pytest.approx(40 / 600)


def test_shown_cents_add_up(given: Given) -> None:
    nvidia(given).slo().demand(mean_rps=31.7, mean_source="rates", headroom=0.13, spares=1)
    given.plan(server_price=333_333.33).build()
    rows = given.all("""select sum(usd_shown) as shown, any_value(fleet_year_usd) as year,
        max(abs(usd_shown - usd)) as furthest from curated.cost_ledger group by allocation_method""")
    for row in rows:
        assert round(row["shown"] * 100) == round(row["year"] * 100)
        assert row["furthest"] < 0.01


FLEETS = st.lists(
    st.fixed_dictionaries({
        "peak": st.floats(0.5, 5e3), "share": st.just(0.0) | st.floats(1e-9, 1), "g": st.integers(1, 12),
        "k": st.integers(1, 8), "headroom": st.floats(0, 1), "spares": st.integers(0, 3), "uptime": st.floats(0.5, 1),
        "budget": st.none() | st.integers(1, 40), "price": st.floats(1e2, 1e9),
    }),
    min_size=12, max_size=12,
)  # fmt: skip


@settings(max_examples=4)
@random(fleets=FLEETS)
def test_random_fleets_conserve_and_cost_less_when_they_serve_more(fleets: list[dict[str, Any]]) -> None:
    with factory.given() as given:
        for number, fleet in enumerate(fleets):
            add_fleet(given, number, **fleet)
        given.build()
        sums = given.all("""select sum(usd) as total, any_value(fleet_year_usd) as year, min(usd) as least
            from curated.cost_ledger group by fleet_id, price_plan, allocation_method""")
        assert len(sums) == len(fleets) * 2 * 5
        for row in sums:
            assert abs(row["total"] - row["year"]) <= max(0.005, 1e-12 * row["year"])
            assert row["least"] >= 0
        capacity = given.all("""select fast.usd_per_request as fast, slow.usd_per_request as slow
            from curated.cost_per_million_tokens as slow
            inner join curated.cost_per_million_tokens as fast
                using (endpoint, price_plan, cost_basis, allocation_method)
            where cost_basis = 'capacity' and allocation_method = 'price_ratio' and price_plan = 'own'
                and slow.slo = 'strict' and fast.slo = 'any'""")
        assert len(capacity) == len(fleets)
        assert all(row["fast"] < row["slow"] for row in capacity)  # 8 rps against 4


def add_fleet(
    given: Given, number: int, *, peak: float, share: float, g: int, k: int, headroom: float, spares: int,
    uptime: float, budget: int | None, price: float,
) -> None:  # fmt: skip
    """An endpoint with a catalog of its own; 4 and 8 rps, of which each SLO takes one."""
    name, catalog = {"run": f"run-{number}"}, {"catalog_hash": f"catalog-{number}"}
    given.run(run_id=name["run"], endpoint=f"endpoint-{number}", gpus_per_instance=g, gpus_per_server=k, **catalog)
    given.closed_loop(4, 24, level_index=1, gaps_ms=(100.0,) * 9, **name)
    given.closed_loop(8, 24, level_index=2, gaps_ms=(60.0,) * 9, **name)
    given.slo(slo="any", **catalog).slo(("ttft", "p50", 200), slo="strict", **catalog)
    for slo in ("any", "strict"):
        given.demand(
            demand=slo, slo=slo, peak_rps=peak, mean_rps=peak * share, mean_source="rates", headroom=headroom,
            spares=spares, uptime=uptime, max_instances=budget, **catalog,
        )  # fmt: skip
    given.plan(server_price=price, gpus_per_server=k, **catalog).plan(**(RENT | catalog)).plan(**(API | catalog))
