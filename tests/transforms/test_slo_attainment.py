"""SLO attainment: what is good, Wilson's interval, error-adjusted percentiles and the verdicts."""

import math
from typing import Any

import pytest

from tests.transforms.factory import Given

WANTED = ("curated.slo_attainment",)


def attainment(given: Given) -> dict[str, Any]:
    """The only row of slo_attainment."""
    return given.one("from curated.slo_attainment")


def fail(given: Given, every: int, first: int) -> None:
    """Let each `every`th request time out, from position `first` on."""
    for row in given.rows["request_traces"][first::every]:
        row.update(outcome="timeout", first_token_ns=None, last_token_ns=None, token_chunks=0, gaps_us=[])


def test_good_requests_are_within_every_bound_and_failures_stay_in_the_denominator(given: Given) -> None:
    # One slot, 20 requests; 19 sent from the first completion (1 s) on. TTFT 100 ms, but 300 ms in the requests sent
    # at 5 and 6 s, and the one sent at 10 s times out: 16 good of 19 = 0.842105.
    # Wilson, z^2 = 3.841459: denominator 1 + z^2 / 19 = 1.202182, center (0.842105 + z^2 / 38) / 1.202182 = 0.784570,
    # half 1.959964 x sqrt(0.842105 x 0.157895 / 19 + z^2 / 1444) / 1.202182 = 1.959964 x 0.098277 / 1.202182 = 0.160225
    given.run().closed_loop(1, 20).slo(("ttft", None, 200), ("tpot", None, 150), attainment_share=0.8)
    for turn in (5, 6):
        given.rows["request_traces"][turn].update(first_token_ns=(turn * 1000 + 300) * 1_000_000)
    fail(given, 100, 10)
    given.build()
    row = attainment(given)
    assert (row["judged_requests"], row["good_requests"]) == (19, 16)
    assert row["attainment"] == pytest.approx(16 / 19)
    assert row["attainment_lo"] == pytest.approx(0.784570 - 0.160225, abs=1e-5)
    assert row["attainment_hi"] == pytest.approx(0.784570 + 0.160225, abs=1e-5)
    assert (row["verdict"], row["meets_slo"], row["meets_slo_confident"]) == ("met", True, False)


def test_wilsons_interval_of_thirty_in_a_hundred(given: Given) -> None:
    # The Huyen goodput: 30 of 100 meet it. Wilson: center (0.3 + 0.0192073) / 1.0384146 = 0.307399,
    # half 1.959964 x sqrt(0.0021 + 0.0000960365) / 1.0384146 = 0.088450
    given.run().closed_loop(1, 101).slo(("ttft", None, 200), attainment_share=0.9)
    for row in given.rows["request_traces"][1:71]:
        row.update(first_token_ns=row["sent_ns"] + 500_000_000)
    given.build()
    row = attainment(given)
    assert (row["judged_requests"], row["good_requests"], row["attainment"]) == (100, 30, 0.3)
    assert row["attainment_lo"] == pytest.approx(0.307399 - 0.088450, abs=1e-5)
    assert row["attainment_hi"] == pytest.approx(0.307399 + 0.088450, abs=1e-5)
    assert (row["verdict"], row["worst_metric"], row["worst_value"]) == ("missed", "attainment", 0.3)
    assert row["worst_excess"] == pytest.approx(1 - 0.3 / 0.9)


def test_good_throughput_counts_completions_and_their_tokens(given: Given) -> None:
    # Window (1, 19] s: the 18 requests sent at 1, .. 18 s complete in it, of which those at odd seconds are slow: 9
    # good completions in 18 s, with 10 tokens each
    given.run().closed_loop(1, 20).slo(("ttft", None, 200), attainment_share=0.5)
    for row in given.rows["request_traces"][1:19:2]:
        row.update(first_token_ns=row["sent_ns"] + 500_000_000)
    given.build()
    row = attainment(given)
    assert (row["good_rps"], row["good_tps"]) == (pytest.approx(9 / 18), pytest.approx(90 / 18))


def test_a_percentile_counts_each_failure_as_infinitely_late(given: Given) -> None:
    # 80 requests judged; 10 % fail: p90 lies at position 0.9 x 79 = 71.1 of 72 ok ones (0 .. 71), so between the last
    # ok one and infinity: infinite. p75 is untouched.
    given.run().closed_loop(1, 81).slo(("ttft", "p90", 200)).slo(("ttft", "p75", 200), slo="p75")
    fail(given, 10, 5)
    given.build()
    rows = {row["slo"]: row for row in given.all("from curated.slo_attainment")}
    assert (rows["slo"]["verdict"], rows["slo"]["worst_value"]) == ("missed", math.inf)
    assert (rows["p75"]["verdict"], rows["p75"]["worst_value"]) == ("met", pytest.approx(100.0))
    assert given.point("ttft_p90_ms") == {"ttft_p90_ms": pytest.approx(100.0)}  # the plain one, over ok requests


def test_failures_also_stand_for_infinite_gaps(given: Given) -> None:
    # 72 ok requests have 9 gaps each = 648; 8 failed stand for 9 each = 72 of 720 = 10 %: p95 infinite, p75 not
    given.run().closed_loop(1, 81).slo(("itl", "p95", 200)).slo(("itl", "p75", 200), slo="p75")
    fail(given, 10, 5)
    given.build()
    rows = {row["slo"]: row for row in given.all("from curated.slo_attainment")}
    assert (rows["slo"]["worst_value"], rows["p75"]["worst_value"]) == (math.inf, pytest.approx(100.0))


def test_a_mean_is_met_only_with_few_errors(given: Given) -> None:
    given.run().closed_loop(1, 21).slo(("ttft", "mean", 200), max_error_share=0.04)
    fail(given, 100, 10)  # 1 of 20 = 5 %
    given.build()
    row = attainment(given)
    assert (row["verdict"], row["worst_metric"]) == ("missed", "error_share")
    assert row["worst_excess"] == pytest.approx(0.25)  # 0.05 / 0.04 - 1


def test_an_unknown_percentile_is_undecided_unless_another_bound_is_missed(given: Given) -> None:
    given.run().closed_loop(1, 21)
    given.slo(("ttft", "p99", 200), slo="open").slo(("ttft", "p99", 200), ("ttft", "mean", 50), slo="missed").build()
    rows = {row["slo"]: row for row in given.all("from curated.slo_attainment")}
    assert (rows["open"]["verdict"], rows["open"]["meets_slo"]) == ("undecided", None)
    assert (rows["open"]["worst_metric"], rows["open"]["worst_statistic"]) == ("ttft", "p99")
    assert (rows["missed"]["verdict"], rows["missed"]["worst_excess"]) == ("missed", pytest.approx(1.0))


def test_interactivity_is_a_lower_limit_on_its_slow_tail(given: Given) -> None:
    # TPOT 100 ms = 10 tokens/s/user
    given.run().closed_loop(1, 21).slo(("interactivity", "p50", 10), slo="met").slo(
        ("interactivity", "p50", 12.5), slo="missed"
    ).build()
    rows = {row["slo"]: row for row in given.all("from curated.slo_attainment")}
    assert rows["met"]["verdict"] == "met"
    assert (rows["missed"]["verdict"], rows["missed"]["worst_excess"]) == ("missed", pytest.approx(0.2))


def test_one_chunk_has_no_tpot_and_is_within(given: Given) -> None:
    given.run().closed_loop(1, 21, gaps_ms=(), target_output_tokens=1)
    given.slo(("tpot", None, 1), ("interactivity", None, 1000), attainment_share=0.9).build()
    assert attainment(given)["attainment"] == 1.0


def test_a_tpot_unknown_for_want_of_a_count_is_undecided(given: Given) -> None:
    given.run().closed_loop(1, 21, output_tokens=None).slo(("tpot", None, 1000), attainment_share=0.9).build()
    row = attainment(given)
    assert [row[name] for name in ("good_requests", "attainment", "attainment_lo", "good_rps")] == [None] * 4
    assert row["verdict"] == "undecided"


def test_an_answer_that_never_came_is_not_within_a_limit_on_it(given: Given) -> None:
    given.run().closed_loop(1, 21, first_answer_ns=None).slo(("ttfa", None, 1000), attainment_share=0.9).build()
    assert attainment(given)["attainment"] == 0.0


def test_an_slo_without_bounds_is_met_and_one_for_other_workloads_does_not_apply(given: Given) -> None:
    given.run().closed_loop(1, 21).slo().slo(slo="other", workloads=["other"]).build()
    row = attainment(given)
    assert (row["slo"], row["verdict"], row["worst_metric"]) == ("slo", "met", None)


def test_an_endpoint_below_the_quality_that_is_asked_misses(given: Given) -> None:
    given.run(quality_score=0.6).closed_loop(1, 21)
    given.slo(slo="high", min_quality_score=0.8).slo(slo="low", min_quality_score=0.5).build()
    rows = {row["slo"]: row for row in given.all("from curated.slo_attainment")}
    assert (rows["high"]["verdict"], rows["high"]["worst_metric"]) == ("missed", "quality_score")
    assert rows["low"]["verdict"] == "met"


def test_slos_are_those_of_the_nights_own_catalog(given: Given) -> None:
    given.run(catalog_hash="old").closed_loop(1, 21)
    given.slo(("ttft", "mean", 50), catalog_hash="old").slo(("ttft", "mean", 500), catalog_hash="new").build()
    assert attainment(given)["worst_limit"] == 50


def test_a_bound_on_a_metric_that_nobody_knows_stops_the_build(given: Given) -> None:
    given.run().slo(("tftt", "p50", 1))
    with pytest.raises(Exception, match="every bound is on a metric that this table knows"):
        given.build()
