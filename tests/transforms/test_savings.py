"""What prompt caching, shorter answers, another precision or another endpoint would save, worked by hand."""

from typing import Any

import pytest

from tests.transforms.factory import Given
from tests.transforms.test_price_worlds import API, RENT

WANTED = ("curated.cost_by_cached_share", "curated.savings", "curated.usd_per_request")

YEAR_S = 31_536_000


def half_cached(given: Given) -> Given:
    """One slot: 12 requests of 1 s without cached tokens, each followed by one of 0.4 s with 80 of 100 cached.

    From 1 s on 11 of the first kind and 12 of the second are sent in the window. They held 11 x 1 s and 11 x 0.4 s,
    the last one being sent as the window ends: 1 s and 4.4 / 12 s a request, 15.4 / 23 s over all.
    """
    given.run(shares_prefix=True)
    for turn in range(12):
        given.request(1400 * turn)
        given.request(1400 * turn + 1000, gaps_ms=(30.0,) * 9, ttft_ms=130.0, cached_input_tokens=80)
    return given.slo().demand(mean_rps=40.0, mean_source="rates")


def savings(given: Given, lever: str) -> list[dict[str, Any]]:
    """Rows of one lever."""
    return given.all(f"from curated.savings where lever = '{lever}' order by fleet_id, price_plan, alternative")


def capacity_usd(given: Given, endpoint: str = "endpoint", plan: str = "own") -> float:
    """Price of a request on full servers."""
    row = given.one(f"""select usd_per_request_capacity as usd from curated.usd_per_request
        where endpoint = '{endpoint}' and price_plan = '{plan}'""")
    return float(row["usd"])


def test_a_cached_share_costs_the_time_that_it_holds(given: Given) -> None:
    half_cached(given).plan().build()
    usd = capacity_usd(given)
    rows = given.all("from curated.cost_by_cached_share order by cached_band desc")
    assert [(row["cached_band"], row["requests"]) for row in rows] == [("none", 11), ("75-100 %", 12)]
    assert rows[0]["usd_per_request"] == pytest.approx(usd * 23 / 15.4)
    assert rows[1]["usd_per_request"] == pytest.approx(usd * (4.4 / 12) * 23 / 15.4)
    assert rows[1]["usd_per_mtok"] == pytest.approx(rows[1]["usd_per_request"] * 1e6 / 110)
    assert sum(row["requests"] * row["usd_per_request"] for row in rows) == pytest.approx(23 * usd)


def test_bought_tokens_cost_their_price_whatever_time_they_take(given: Given) -> None:
    # API: 100 fresh + 10 out at $1 and $3: $130 a million requests; 20 fresh, 80 cached at $0.1 and 10 out: $58.
    # A provisioned unit of 1,100 tokens/s at $3.6 an hour: 10 requests/s of 110 tokens, $0.001 a second: $0.0001.
    unit = {**RENT, "price_plan": "unit", "rent_unit": "provisioned", "usd_per_hour": 3.6, "tokens_per_s": 1100.0}
    half_cached(given).plan(**API, price_cached=0.1).plan(**unit).build()
    rows = given.all("""select price_plan, cached_band, usd_per_request from curated.cost_by_cached_share
        order by price_plan, cached_band desc""")
    assert [tuple(row.values()) for row in rows] == [
        ("api", "none", pytest.approx(130e-6)), ("api", "75-100 %", pytest.approx(58e-6)),
        ("unit", "none", pytest.approx(1e-4)), ("unit", "75-100 %", pytest.approx(1e-4)),
    ]  # fmt: skip


def test_all_requests_as_cached_as_the_most_cached_ones(given: Given) -> None:
    # 1 - (4.4 / 12) / (15.4 / 23) = 0.4524; 11 of 23 requests would change
    half_cached(given).plan().build()
    (row,) = savings(given, "prompt_cache")
    assert (row["alternative"], row["share_of_traffic"]) == ("75-100 %", pytest.approx(11 / 23))
    assert row["saving_share"] == pytest.approx(1 - (4.4 / 12) / (15.4 / 23))
    assert row["usd_per_request_now"] == capacity_usd(given)
    assert row["saving_year_usd"] == pytest.approx(row["usd_per_request_now"] * row["saving_share"] * 40 * YEAR_S)
    assert (row["operating_point_id"], row["other_operating_point_id"]) == ("run-a1-l1", None)


def test_without_cached_tokens_nothing_is_said_of_the_cache(given: Given) -> None:
    given.run().closed_loop(1, 20).slo().demand().plan().build()
    assert savings(given, "prompt_cache") == []


def answers(given: Given) -> Given:
    """24 answers in the window, 12 of 8 tokens, 7 of 10 and 5 of 20, each 0.1 s to the first token, 0.89 s after it."""
    given.run()
    for second, tokens in enumerate([8, *[8] * 12, *[10] * 7, *[20] * 5]):
        given.request(1000 * second, gaps_ms=(890 / (tokens - 1),) * (tokens - 1), target_output_tokens=tokens)
    return given.demand()


def test_a_budget_saves_the_time_of_the_tokens_above_it(given: Given) -> None:
    # p75 = 10 tokens: 5 of 24 answers have 50 of 266 tokens above it. 89 / 99 of the time is after the first token. An
    # API at $3 out bills 50 / 24 tokens less a request.
    answers(given).slo().plan().plan(**API).build()
    api, own = [row for row in savings(given, "output_budget") if row["alternative"] == "at most 10 tokens (p75)"]
    assert own["saving_share"] == pytest.approx(89 / 99 * 50 / 266, rel=1e-6)  # gaps are whole microseconds
    assert own["share_of_traffic"] == pytest.approx(5 / 24)
    assert api["usd_per_request_now"] - api["usd_per_request_then"] == pytest.approx(50 / 24 * 3e-6)
    assert (own["served_rps"], own["saving_year_usd"]) == (None, None)  # the demand states no mean


def test_an_unknown_split_leaves_the_saving_unknown(given: Given) -> None:
    # A request without a count has no TPOT, is not judged, and the good ones' time is not known
    answers(given).slo(("tpot", "p50", 1000)).plan()
    given.rows["request_traces"][3]["output_tokens"] = None
    given.build()
    row = savings(given, "output_budget")[0]
    assert (row["usd_per_request_then"], row["saving_share"], row["saving_year_usd"]) == (None, None, None)


def two_endpoints(given: Given, **second: Any) -> Given:
    """Endpoint a serves 1 request/s and meets the SLO; b serves 2, and 12 of its 41 judged requests miss it."""
    given.run(run_id="a", endpoint="a", quality_score=0.8).closed_loop(1, 20, run="a")
    given.run(run_id="b", endpoint="b", **{"precision": "fp8", "quality_score": 0.7, **second})
    given.closed_loop(1, 42, each_ms=500, run="b")
    slow = [row for row in given.rows["request_traces"] if row["run_id"] == "b"][1:13]
    for row in slow:
        row["first_token_ns"] = row["sent_ns"] + 300_000_000
    return given


def test_what_a_cheaper_endpoint_handles_may_go_there(given: Given) -> None:
    # b misses the SLO of 90 %, at half the price of a request: 29 of 41 requests go there, the rest stays
    two_endpoints(given).slo(("ttft", None, 200), attainment_share=0.9).demand(mean_rps=40.0).plan().build()
    (row,) = savings(given, "routing")
    share = 29 / 41
    assert (row["endpoint"], row["alternative"], row["share_of_traffic"]) == ("a", "b", pytest.approx(share))
    assert row["usd_per_request_now"] == pytest.approx(87_500 / (8 * YEAR_S))  # eight instances of 1 request/s
    assert row["saving_share"] == pytest.approx(share / 2)
    assert (row["other_operating_point_id"], row["other_quality_score"]) == ("b-a1-l1", 0.7)
    assert savings(given, "precision") == []  # b does not meet the SLO


def test_another_precision_is_an_alternative_where_it_meets_the_slo(given: Given) -> None:
    two_endpoints(given).slo(("ttft", None, 200), attainment_share=0.5).demand(mean_rps=40.0).plan().build()
    (row,) = savings(given, "precision")
    assert (row["endpoint"], row["alternative"], row["saving_share"]) == ("a", "b", pytest.approx(0.5))
    assert (row["precision"], row["quality_score"]) == ("bf16", 0.8)
    assert (row["other_precision"], row["other_quality_score"]) == ("fp8", 0.7)


@pytest.mark.parametrize("change", [{"model": "other"}, {"precision": "bf16"}, {"precision": None}])
def test_another_model_or_the_same_precision_is_none(given: Given, change: dict[str, Any]) -> None:
    two_endpoints(given, **change).slo().demand().plan().build()
    assert savings(given, "precision") == []
    assert [row["alternative"] for row in savings(given, "routing")] == ["b"]


def test_endpoints_are_compared_under_the_same_plan(given: Given) -> None:
    # Plans for all GPUs: own with own and dear with dear, though own is cheaper than dear on both
    two_endpoints(given).slo().demand().plan().plan(price_plan="dear", server_price=640_000.0).build()
    rows = savings(given, "routing")
    assert [(row["price_plan"], row["other_price_plan"]) for row in rows] == [("dear", "dear"), ("own", "own")]


def test_where_a_plan_is_not_for_the_other_endpoint_its_own_one_is_taken(given: Given) -> None:
    # A B200 server at 1.5 times the price, twice as fast: 0.75 of the price. Not the rented one.
    two_endpoints(given, accelerator="B200").slo().demand()
    given.plan(price_plan="h100", accelerator="H100", hosting_year=0.0, software_year=0.0)
    given.plan(price_plan="b200", accelerator="B200", server_price=480_000.0, hosting_year=0.0, software_year=0.0)
    given.plan(**{**RENT, "price_plan": "rent-b200", "accelerator": "B200", "usd_per_hour": 0.01})
    given.build()
    (row,) = savings(given, "routing")
    assert (row["price_plan"], row["other_price_plan"], row["saving_share"]) == ("h100", "b200", pytest.approx(0.25))
