"""Prefill and decode pools: judged by their own bounds, sized apart, priced together."""

from typing import Any

import pytest

from tests.transforms.factory import Given
from tests.transforms.test_price_worlds import API, RENT, YEAR_S

WANTED = (
    "curated.best_operating_points",
    "curated.cost_ledger",
    "curated.disaggregated_fleets",
    "curated.server_counts",
)


def pools(given: Given, **decode: Any) -> Given:
    """A prefill pool of 20 rps on 1 GPU (50 ms a prompt of 400 tokens), a decode pool of 4 rps on 2 GPUs (OSL 10)."""
    given.run(run_id="p", endpoint="prefill", role="prefill")
    for turn in range(200):
        given.request(50 * turn, run="p", ttft_ms=50, gaps_ms=(), input_tokens=400, target_output_tokens=1)
    given.run(run_id="d", endpoint="decode", role="decode", gpus_per_instance=2, **decode)
    return given.closed_loop(4, 12, run="d", input_tokens=400, gaps_ms=(50.0,) * 9)


def test_each_pool_is_judged_by_its_own_part(given: Given) -> None:
    # The decode pool takes 550 ms to its first token, which is not its work; 50 ms a token is. The prefill pool has no
    # TPOT. Nobody alone is bound by e2e.
    bounds = (("ttft", "p50", 100), ("tpot", "p50", 60), ("e2e", "p50", 70))
    pools(given).slo(*bounds).slo(("tpot", "p50", 40), slo="fast").demand().build()
    rows = given.all("select endpoint, slo, status from curated.best_operating_points order by all")
    assert [tuple(row.values()) for row in rows] == [
        ("decode", "fast", "infeasible"), ("decode", "slo", "chosen"),
        ("prefill", "fast", "chosen"), ("prefill", "slo", "chosen"),
    ]  # fmt: skip


def test_pools_are_sized_apart_and_priced_together(given: Given) -> None:
    # 95 rps: 5 prefill instances (1 server of 8), 24 decode instances of 2 GPUs (6 servers). Full: a prefill server does
    # 160 rps, a decode server 16: 87,500 a year each.
    pools(given).slo().demand().plan().plan(**API).build()
    sizes = given.all("select role, instances, servers from curated.server_counts order by role")
    assert [tuple(row.values()) for row in sizes] == [("decode", 24, 6), ("prefill", 5, 1)]
    row = given.one("from curated.disaggregated_fleets where cost_basis = 'capacity'")
    prefill_1k, decode_1k = (87_500 * 1000 / (rps * YEAR_S) for rps in (160, 16))
    assert row["usd_prefill_per_1k"] == pytest.approx(prefill_1k, rel=1e-3)
    assert row["usd_decode_per_1k"] == pytest.approx(decode_1k, rel=1e-3)
    assert row["usd_per_1k_prompts"] == pytest.approx(row["usd_prefill_per_1k"] + row["usd_decode_per_1k"])
    assert row["usd_per_mtok_input"] == pytest.approx(row["usd_prefill_per_1k"] * 1000 / 400)
    assert row["usd_per_mtok_output"] == pytest.approx(row["usd_decode_per_1k"] * 1000 / 10)
    assert row["fleet_year_usd"] == pytest.approx(7 * 87_500)
    # 4 : 20 instances carry the same; a GPU of balanced pools does 1 / (1/20 + 2/4)
    assert (row["prefill_per_decode"], row["usual_band"]) == (pytest.approx(0.2, rel=1e-3), "outside")
    assert row["request_rps_per_gpu"] == pytest.approx(1 / 0.55, rel=1e-3)


def test_a_pool_has_one_way_to_split_and_its_ledger_adds_up(given: Given) -> None:
    pools(given).slo().demand(mean_rps=40.0, mean_source="rates").plan().plan(**RENT).plan(**API).build()
    rows = given.all(
        """select distinct endpoint, price_plan, allocation_method from curated.cost_ledger order by all"""
    )
    assert [tuple(row.values()) for row in rows] == [
        (pool, plan, "separate_phases") for pool in ("decode", "prefill") for plan in ("own", "rent")
    ]  # no pool is bought by the token
    used = given.all("""select endpoint, bucket from curated.cost_ledger
        where price_plan = 'own' and bucket in ('input', 'output') and usd > 0 order by all""")
    assert [tuple(row.values()) for row in used] == [("decode", "output"), ("prefill", "input")]


def test_a_pair_without_a_point_says_which(given: Given) -> None:
    pools(given).slo(("tpot", "p50", 40)).demand().plan().build()
    row = given.one("from curated.disaggregated_fleets where cost_basis = 'capacity'")
    assert (row["status"], row["prefill_instances"], row["decode_instances"]) == ("infeasible", 5, None)
    assert (row["fleet_year_usd"], row["usd_per_1k_prompts"]) == (None, None)


def test_pools_of_two_models_are_no_pair(given: Given) -> None:
    pools(given, model="another").slo().demand().plan().build()
    assert given.all("from curated.disaggregated_fleets") == []
