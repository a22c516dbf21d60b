"""The tables behind questions: requests across models, and what a tighter limit costs."""

import pytest

from tests.transforms.factory import Given
from tests.transforms.test_price_worlds import API, YEAR_S

WANTED = ("curated.cost_by_slo_limit", "curated.usd_per_request")


def levels(given: Given) -> Given:
    """1, 2 and 8 rps on a GPU with 50, 100 and 400 ms to the first token."""
    given.run()
    for level, (slots, ttft) in enumerate(((1, 50.0), (2, 100.0), (8, 400.0)), start=1):
        given.closed_loop(slots, 24, level_index=level, gaps_ms=((1000 - ttft) / 9,) * 9)
    return given


def test_a_tighter_limit_costs_what_the_measured_points_say(given: Given) -> None:
    # $87,500 a server of 8 instances: 87,500 / (8 x rps x YEAR_S) a request. Twice as tight as 400 ms is 200 ms, where
    # 2 rps are the most: four times as dear. Half of 50 ms was not measured. (The window of one slot holds 21 of 22 s.)
    levels(given).slo().demand().plan().build()
    rows = given.all("""select limit_value, usd_per_request, times_dearer_twice_as_tight as times, usd_per_mtok,
        usd_per_mtok_twice_as_tight as tight
        from curated.cost_by_slo_limit where latency_metric = 'ttft' and statistic = 'p50' order by 1""")
    for row, (limit, rps, times) in zip(rows, ((50, 1, None), (100, 2, 2), (400, 8, 4)), strict=True):
        assert row["limit_value"] == pytest.approx(limit)
        assert row["usd_per_request"] == pytest.approx(87_500 / (8 * rps * YEAR_S), rel=0.06)
        assert row["usd_per_mtok"] == pytest.approx(row["usd_per_request"] * 1e6 / 110)
        assert (row["times"], row["tight"] is None) == (times and pytest.approx(times, rel=0.06), times is None)


def test_twice_the_interactivity_is_twice_as_tight(given: Given) -> None:
    # One gap of (1000 - ttft) / 9 ms a token: 9.5, 10 and 15 tokens/s. None is twice as fast as another.
    levels(given).slo().demand().plan().build()
    rows = given.all("""select limit_value, cheapest_point_id, twice_as_tight_point_id from curated.cost_by_slo_limit
        where latency_metric = 'interactivity' and statistic = 'p50' order by 1""")
    assert [row["limit_value"] for row in rows] == [pytest.approx(value) for value in (9000 / 950, 10, 15)]
    assert [row["cheapest_point_id"] for row in rows] == ["run-a1-l3"] * 3  # the fastest is the cheapest too
    assert [row["twice_as_tight_point_id"] for row in rows] == [None] * 3


def test_requests_are_compared_across_models_and_plans(given: Given) -> None:
    # Servers of 8 GPUs at $87,500: 64 rps are $0.0000434 a request, 16 rps $0.000173. Bought, 100 tokens at $1 and 10
    # at $3 are $0.00013 whichever endpoint measured them.
    levels(given)
    given.run(run_id="b", endpoint="b", model="b", quality_score=0.8, precision="fp8")
    given.closed_loop(2, 24, run="b").slo().demand().plan().plan(**API).build()
    rows = given.all("""select rank, endpoint, price_plan, quality_score, usd_per_request_capacity as usd,
        usd_per_request_demand as at_mean from curated.usd_per_request order by rank""")
    assert [(row["rank"], row["endpoint"], row["price_plan"]) for row in rows] == [
        (1, "endpoint", "own"), (2, "b", "api"), (3, "endpoint", "api"), (4, "b", "own"),
    ]  # fmt: skip
    dear = next(row for row in rows if row["endpoint"] == "b" and row["price_plan"] == "own")
    assert (dear["quality_score"], dear["at_mean"]) == (0.8, None)
    assert dear["usd"] == pytest.approx(87_500 / (16 * YEAR_S), rel=0.06)
