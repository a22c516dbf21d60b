"""Another tool's figures of a load level become an operating point, marked as what it is."""

import math
from typing import Any

import pytest

from tests.transforms.factory import NIGHT, Given

POINT: dict[str, Any] = {
    "run_id": "run", "attempt": 1, "endpoint": "endpoint", "run_date": NIGHT.date(), "level_index": 1, "load_kind": "closed",
    "concurrency": 16, "tool": "vllm", "source_file": "conc16.json", "content_sha256": "0", "started_at": NIGHT,
    "duration_s": 40.0, "requests": 160, "completed_requests": 160, "failed_requests": 0, "request_rps": 4.0,
    "output_tps": 400.0, "input_tps": 4000.0, "input_tokens_mean": 1000.0, "output_tokens_mean": 100.0,
    "ttft_p50_ms": 450.0, "ttft_p99_ms": 1100.0, "tpot_p50_ms": 30.0, "e2e_mean_ms": 3800.0,
}  # fmt: skip


def imported(given: Given, **changes: Any) -> Given:
    point = POINT | changes
    given.run(gpus_per_instance=2, levels_planned=1)
    given.level(**{name: point[name] for name in ("level_index", "load_kind", "concurrency")})
    given.rows["summary_points"].append(point)
    return given


def test_a_summary_is_an_operating_point_marked_imported_summary_and_counts_as_valid(given: Given) -> None:
    imported(given).build()
    point = given.point()
    assert (point["validity"], point["is_valid"]) == ("imported_summary", True)
    assert (point["request_rps"], point["output_tps"], point["total_tps"]) == (4.0, 400.0, 4400.0)
    assert point["request_rps_per_gpu"] == 2.0  # 4 requests/s on 2 GPUs
    assert (point["request_rps_lo"], point["window_started_at"], point["window_s"]) == (None, None, 40.0)
    assert (point["requests"], point["requests_in_window"], point["error_share"]) == (160, 160, 0.0)
    assert (point["output_tps_wall"], point["level_request_rps"]) == (400.0, 4.0)  # 160 x 100 / 40 s, 160 / 40 s
    assert point["is_saturation"]


def test_its_percentiles_need_as_many_samples_as_ours_and_the_tools_own_figure_stays_beside_them(given: Given) -> None:
    imported(given).build()
    point = given.point("ttft_p50_ms, ttft_p99_ms, interactivity_p50_tps, e2e_mean_ms")
    # 160 requests: enough for a median (11), not for a p99 (662)
    assert point == {
        "ttft_p50_ms": 450.0, "ttft_p99_ms": None, "interactivity_p50_tps": pytest.approx(1000 / 30), "e2e_mean_ms": 3800.0,
    }  # fmt: skip
    assert given.one("select ttft_p99_ms, is_current from curated.imported_summaries") == {
        "ttft_p99_ms": 1100.0, "is_current": True,
    }  # fmt: skip


def test_an_slo_is_decided_by_the_statistics_that_the_summary_has(given: Given) -> None:
    given.slo(("ttft", "p50", 500.0), slo="met").slo(("ttft", "p50", 400.0), slo="missed")
    given.slo(("ttft", "p99", 5000.0), slo="too few samples").slo(
        ("ttft", None, 500.0), slo="share", attainment_share=0.9
    )
    imported(given).build()
    rows = given.all("select slo, verdict, attainment, judged_requests from curated.slo_attainment order by slo")
    assert [(row["slo"], row["verdict"]) for row in rows] == [
        ("met", "met"), ("missed", "missed"), ("share", "undecided"), ("too few samples", "undecided"),
    ]  # fmt: skip
    assert {(row["attainment"], row["judged_requests"]) for row in rows} == {(None, 160)}
    assert given.one("select concurrency from curated.best_operating_points where status = 'chosen'") == {
        "concurrency": 16
    }


def test_with_failures_a_percentile_is_known_only_where_it_is_one_of_them(given: Given) -> None:
    given.slo(("ttft", "p50", 500.0), slo="half").slo(("ttft", "p90", 5000.0), slo="tail")
    imported(given, completed_requests=140, failed_requests=20, request_rps=3.5, ttft_p90_ms=900.0).build()
    rows = given.all("select slo, verdict, worst_value from curated.slo_attainment order by slo")
    # p90 of 160 is request 143.1 (from 0), and only 0 to 139 completed; the median with 20 more behind is not in the file
    assert rows == [
        {"slo": "half", "verdict": "undecided", "worst_value": None},
        {"slo": "tail", "verdict": "missed", "worst_value": math.inf},
    ]
    point = given.point("validity, is_valid, error_share")
    assert point == {"validity": "imported_summary,errors_high", "is_valid": False, "error_share": 0.125}


def test_nothing_is_missed_where_the_worst_request_is_within_every_bound(given: Given) -> None:
    given.slo(("ttft", "p50", 500.0)).demand(peak_rps=8.0, mean_rps=4.0, mean_source="rates").plan()
    imported(given, ttft_p99_ms=480.0, ttft_max_ms=499.0).build()
    shares = given.one("select basis, idle_share, failed_share, missed_share, input_share from curated.time_shares")
    assert shares == {
        "basis": "summary",
        "idle_share": 0.0,
        "failed_share": 0.0,
        "missed_share": 0.0,
        "input_share": None,
    }
    # 8 rps at 4 an instance: 2 instances of 2 GPUs in one server of 8; the mean keeps half of them busy.
    # 87,500 a year: 4 of 8 GPUs stranded, a quarter idle, a quarter works: 1000 x $1 + 100 x $3 a request, 10:3
    ledger = given.all("select bucket, usd from curated.cost_ledger where allocation_method = 'price_ratio'")
    assert {row["bucket"]: row["usd"] for row in ledger if row["usd"]} == {
        "stranded": pytest.approx(43_750), "idle": pytest.approx(21_875),
        "input": pytest.approx(21_875 * 10 / 13), "output": pytest.approx(21_875 * 3 / 13),
    }  # fmt: skip


def test_missed_requests_that_nobody_counted_leave_the_money_unallocated(given: Given) -> None:
    given.slo(("ttft", "p50", 500.0)).demand(peak_rps=8.0, mean_rps=4.0, mean_source="rates").plan()
    imported(given).build()
    ledger = given.all("select bucket, usd from curated.cost_ledger where allocation_method = 'price_ratio'")
    assert {row["bucket"]: row["usd"] for row in ledger if row["usd"]} == {
        "stranded": pytest.approx(43_750), "idle": pytest.approx(21_875), "unallocated": pytest.approx(21_875),
    }  # fmt: skip


def test_a_test_whose_length_is_unknown_has_latencies_and_no_rates(given: Given) -> None:
    given.slo(("ttft", "p50", 500.0))
    unknown = dict.fromkeys(("started_at", "duration_s", "request_rps", "output_tps", "input_tps"))
    imported(given, **unknown).build()
    point = given.point("request_rps, output_tps, level_s, window_s, ttft_p50_ms, is_saturation")
    assert point == {
        "request_rps": None, "output_tps": None, "level_s": None, "window_s": None, "ttft_p50_ms": 450.0,
        "is_saturation": False,
    }  # fmt: skip
    assert given.one("select status, reasons from curated.best_operating_points") == {
        "status": "undecided", "reasons": "request_rps unknown",
    }  # fmt: skip


def test_points_that_count_no_requests_are_priced_by_an_api_too(given: Given) -> None:
    imported(given, requests=None, completed_requests=None, failed_requests=0)
    given.slo(("ttft", "p50", 500.0)).demand(mean_rps=2.0, mean_source="rates")
    given.plan(kind="api", server_price=None, price_in=1.0, price_out=3.0).build()
    # 1000 tokens at $1 and 100 at $3 a million
    assert given.one("select usd_per_request from curated.cost_per_million_tokens where cost_basis = 'capacity'") == {
        "usd_per_request": pytest.approx(0.0013)
    }
