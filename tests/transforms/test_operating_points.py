"""Operating points: the steady-state window, rates, latencies and validity, by numbers worked out by hand."""

from datetime import timedelta
from math import ceil, floor, inf
from random import Random
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.transforms.factory import NIGHT, Given
from transforms.staging import gap_folds

WANTED = ("curated.runs", "curated.operating_points", "curated.best_operating_points")


def row_sent_at(given: Given, sent_ms: float) -> dict[str, Any]:
    """The raw row sent at an instant."""
    return next(row for row in given.rows["request_traces"] if row["sent_ns"] == sent_ms * 1_000_000)


def test_the_window_runs_from_the_cth_completion_to_the_last_send(given: Given) -> None:
    # Two slots, 8 requests of 1 s each, sent at 0, 1, .. 7 s and 0.5, 1.5, .. 7.5 s. Second completion at 1.5 s, last
    # send at 7.5 s: 6 s. Completions in (1.5, 7.5]: 2, 3, .. 7 and 2.5, .. 7.5 = 12. Sent in [1.5, 7.5]: 6 + 7 = 13.
    given.run().closed_loop(2, 8).build()
    point = given.point()
    assert point["window_started_at"] == NIGHT + timedelta(seconds=1.5)
    assert point["window_ended_at"] == NIGHT + timedelta(seconds=7.5)
    assert (point["window_s"], point["completions_in_window"], point["requests_in_window"]) == (6.0, 12, 13)
    assert point["request_rps"] == pytest.approx(2.0)
    assert point["level_s"] == 8.5  # 0 s to the close of the request sent at 7.5 s
    assert point["window_share"] == pytest.approx(6 / 8.5)
    assert point["level_request_rps"] == pytest.approx(16 / 8.5)
    assert point["validity"] == "valid"


def test_tokens_count_when_they_arrive(given: Given) -> None:
    # Ten tokens a request, one each 100 ms: both slots make 10 tokens/s, so 20/s whatever edge a request straddles.
    # Input counts at the first token, 100 ms after sending: 6 + 7 sends of [1.5, 7.5] less the one at 7.5 s = 12 x 100.
    given.run(gpus_per_instance=2).closed_loop(2, 8).build()
    point = given.point()
    assert point["output_tps"] == pytest.approx(20.0)
    assert point["input_tps"] == pytest.approx(200.0)
    assert point["total_tps"] == pytest.approx(220.0)
    assert point["output_tps_per_gpu"] == pytest.approx(10.0)
    assert point["output_tps_wall"] == pytest.approx(160 / 8.5)


def test_a_request_across_the_edge_gives_the_tokens_of_its_later_chunks(given: Given) -> None:
    # The request sent at 1 s now has chunks of 1, 2 and 7 tokens at 1.1, 1.4 and 1.6 s; the window opens at 1.5 s. It
    # gives 7 tokens where it gave 5 of the 120 before: 122 tokens in 6 s.
    given.run().closed_loop(2, 8)
    row_sent_at(given, 1000).update(
        token_chunks=3, chunk_tokens=[1, 2, 7], gaps_us=[300_000, 200_000], last_token_ns=1_600_000_000
    )
    given.build()
    assert given.point("output_tps") == {"output_tps": pytest.approx(122 / 6)}


def test_the_interval_of_a_rate_is_that_of_ten_batches(given: Given) -> None:
    # One slot, completions each second in an 18 s window from 1 s: slices of 1.8 s hold 1, 2, 2, 2, 2, 1, 2, 2, 2, 2.
    # s = sqrt((2 x 0.8^2 + 8 x 0.2^2) / 9) = 0.421637 a slice = 0.234243/s;
    # half = 2.262 x 0.234243 / sqrt(10) = 0.167555
    given.run().closed_loop(1, 20).build()
    point = given.point("request_rps, request_rps_lo, request_rps_hi")
    assert point["request_rps"] == pytest.approx(1.0)
    assert point["request_rps_hi"] - 1 == pytest.approx(0.167555, abs=1e-6)
    assert 1 - point["request_rps_lo"] == pytest.approx(0.167555, abs=1e-6)


def test_under_ten_completions_a_slot_there_is_no_interval(given: Given) -> None:
    given.run().closed_loop(2, 8).build()  # 12 completions < 20
    assert given.point("request_rps_lo, output_tps_hi") == {"request_rps_lo": None, "output_tps_hi": None}


def test_shards_with_clocks_of_their_own_are_one_level(given: Given) -> None:
    # The second slot runs in another process whose clock starts 0.5 s later: the same requests on the wall clock.
    given.run().closed_loop(2, 8)
    for row in given.rows["request_traces"]:
        if row["sent_ns"] % 1_000_000_000:
            row.update(shard=1, epoch_wall_at=NIGHT + timedelta(seconds=0.5))
            for name in ("scheduled_ns", "sent_ns", "first_token_ns", "first_answer_ns", "last_token_ns", "closed_ns"):
                row[name] -= 500_000_000
    given.build()
    point = given.point()
    assert (point["shards"], point["window_s"], point["completions_in_window"]) == (2, 6.0, 12)
    assert (point["request_rps"], point["output_tps"]) == (pytest.approx(2.0), pytest.approx(20.0))


def test_probe_and_warm_up_requests_are_not_measured(given: Given) -> None:
    given.run().closed_loop(2, 8)
    given.request(0, level_index=0, phase="probe")
    given.request(0, phase="warmup", concurrency=2)
    given.build()
    assert given.point("requests, window_s") == {"requests": 16, "window_s": 6.0}
    assert given.one("select rows_landed, requests from curated.runs") == {"rows_landed": 18, "requests": 16}


def test_percentiles_interpolate_and_need_enough_samples(given: Given) -> None:
    # One slot; the first completion opens the window, so that 11 of 12 requests count: TTFT 10, 20, .. 110 ms.
    # p50 of 11 = the 6th = 60 ms; p75 needs 24.
    given.run()
    for turn in range(12):
        given.request(turn * 1000, ttft_ms=max(10.0 * turn, 1.0), close_ms=0)
    given.build()
    assert given.point("ttft_mean_ms, ttft_p50_ms, ttft_p75_ms") == {
        "ttft_mean_ms": pytest.approx(60.0), "ttft_p50_ms": pytest.approx(60.0), "ttft_p75_ms": None,
    }  # fmt: skip


def test_tpot_is_not_flattered_by_bundled_chunks(given: Given) -> None:
    # 64 tokens in 16 chunks of 4, 40 ms apart: 600 ms / (64 - 4) = 10 ms. By OSL - 1: 600 / 63 = 9.5238 ms (5 % less).
    # The gap is 40 ms for 4 tokens: ITL 10 ms. E2E 1 s: NTPOT 1000 / 64 = 15.625 ms. Interactivity 100 tokens/s.
    changes: dict[str, Any] = {"chunk_tokens": [4] * 16, "output_tokens": 64, "target_output_tokens": 64}
    given.run().closed_loop(1, 12, gaps_ms=(40.0,) * 15, **changes).build()
    point = given.point()
    assert point["tpot_mean_ms"] == pytest.approx(10.0)
    assert point["tpot_osl_minus_1_mean_ms"] == pytest.approx(600 / 63)
    assert point["itl_p50_ms"] == pytest.approx(10.0)
    assert point["chunk_gap_p50_ms"] == pytest.approx(40.0)
    assert point["ntpot_mean_ms"] == pytest.approx(15.625)
    assert point["tpot_including_ttft_mean_ms"] == pytest.approx(15.625)
    assert point["interactivity_p50_tps"] == pytest.approx(100.0)
    assert point["e2e_databricks_mean_ms"] == pytest.approx(400 + 10 * 64)  # TTFT 1000 - 600


def test_itl_counts_a_gap_as_often_as_its_chunk_has_tokens(given: Given) -> None:
    # Chunks of 1, 1 and 3 tokens, gaps 10 and 60 ms: values 10, 20, 20, 20 ms. Mean 17.5, p50 20; raw gaps: mean 35.
    changes: dict[str, Any] = {"chunk_tokens": [1, 1, 3], "output_tokens": 5, "target_output_tokens": 5}
    given.run().closed_loop(1, 12, gaps_ms=(10.0, 60.0), **changes).build()
    point = given.point()
    assert (point["itl_mean_ms"], point["itl_p50_ms"]) == (pytest.approx(17.5), pytest.approx(20.0))
    assert (point["chunk_gap_mean_ms"], point["chunk_gap_p50_ms"]) == (pytest.approx(35.0), pytest.approx(35.0))


def test_where_only_the_mean_is_known_every_chunk_has_it_and_weighs_one(given: Given) -> None:
    # 6 tokens in 3 chunks are 2 each: gaps 10 and 60 ms are 5 and 30 ms a token, each once. TPOT 70 / (6 - 2) = 17.5.
    given.run().closed_loop(1, 12, gaps_ms=(10.0, 60.0), output_tokens=6, target_output_tokens=6).build()
    assert given.point("itl_mean_ms, tpot_mean_ms") == {
        "itl_mean_ms": pytest.approx(17.5), "tpot_mean_ms": pytest.approx(17.5),
    }  # fmt: skip


def test_reasoning_that_was_billed_but_not_streamed_is_left_out_of_tpot(given: Given) -> None:
    # 110 tokens billed, 100 of them reasoning of which nothing was streamed: 10 chunks, 900 ms / (10 - 1) = 100 ms.
    given.run().closed_loop(1, 12, output_tokens=110, reasoning_tokens=100, target_output_tokens=110).build()
    assert given.point("tpot_mean_ms, output_tokens_mean") == {
        "tpot_mean_ms": pytest.approx(100.0),
        "output_tokens_mean": 110,
    }


def test_without_usage_what_needs_token_counts_is_null_and_the_rest_stands(given: Given) -> None:
    given.run().closed_loop(2, 8, output_tokens=None, input_tokens=None, cached_input_tokens=None).build()
    point = given.point()
    unknown = ("output_tps", "input_tps", "total_tps", "tpot_mean_ms", "itl_mean_ms", "output_tokens_mean",
               "input_tokens_mean", "cached_share", "output_tps_wall", "interactivity_mean_tps")  # fmt: skip
    assert [point[name] for name in unknown] == [None] * len(unknown)
    assert (point["request_rps"], point["chunk_gap_mean_ms"], point["validity"]) == (pytest.approx(2.0), 100.0, "valid")


def test_a_level_of_failures_has_a_row_without_rates(given: Given) -> None:
    given.run().closed_loop(2, 8, outcome="timeout").build()
    point = given.point()
    assert (point["requests"], point["error_share"], point["level_error_share"]) == (16, 1.0, 1.0)
    assert [point[name] for name in ("request_rps", "output_tps", "ttft_mean_ms", "itl_p50_ms")] == [None] * 4
    assert "errors_high" in point["validity"]


def test_a_request_that_never_got_a_connection_is_a_failure_of_the_window(given: Given) -> None:
    given.run().closed_loop(1, 19)
    given.request(19_000, outcome="connect_error", sent_ns=None)
    given.build()
    assert given.point("requests_in_window, error_share") == {
        "requests_in_window": 19,
        "error_share": pytest.approx(1 / 19),
    }


def test_requests_cancelled_by_the_plan_are_not_judged(given: Given) -> None:
    given.run().closed_loop(1, 19)
    given.request(19_000, outcome="cancelled")
    given.build()
    assert given.point("requests_in_window, error_share") == {"requests_in_window": 18, "error_share": 0.0}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cached_input_tokens": 2}, "cache_contaminated"),  # 2 of 100 > 1 %
        ({"target_output_tokens": 11}, "osl_mismatch"),  # 10 / 11 is 9 % short
        ({"clock_suspect": True}, "clock_suspect"),
    ],
)
def test_each_reason_is_named(given: Given, changes: dict[str, Any], reason: str) -> None:
    given.run().closed_loop(2, 8, **changes).build()
    assert given.point("validity, is_valid") == {"validity": reason, "is_valid": False}


def test_cached_input_is_no_contamination_where_prefixes_are_shared_on_purpose(given: Given) -> None:
    given.run(shares_prefix=True).closed_loop(2, 8, cached_input_tokens=50).build()
    assert given.point("validity, cached_share") == {"validity": "valid", "cached_share": 0.5}


def test_idle_slots_are_unsteady(given: Given) -> None:
    # Each request is followed by 200 ms of nothing: 1 / 1.2 = 0.83 in flight a slot
    given.run()
    for turn in range(20):
        given.request(turn * 1200)
    given.build()
    assert given.point("validity")["validity"] == "unsteady"
    # from the close at 1 s to the last send at 22.8 s: 18 whole requests in 21.8 s
    assert given.point("mean_in_flight")["mean_in_flight"] == pytest.approx(18 / 21.8)


def test_fewer_than_five_completions_a_slot_are_too_few(given: Given) -> None:
    given.run().closed_loop(2, 5).build()  # window 1.5 to 4.5 s: 6 completions < 10
    assert given.point("validity, completions_in_window") == {"validity": "under_sampled", "completions_in_window": 6}


def test_a_level_that_ended_before_its_window_is_under_sampled(given: Given) -> None:
    given.run().closed_loop(4, 1).build()
    point = given.point()
    assert (point["window_s"], point["request_rps"], point["validity"]) == (None, None, "under_sampled")
    assert point["error_share"] == 0.0


def test_a_busy_client_is_client_bound_and_lag_matters_without_kernel_stamps_only(given: Given) -> None:
    level = {"load_kind": "closed", "status": "complete", "rows_landed": 1, "rows_quarantined": 0, "run_id": "run",
             "attempt": 1}  # fmt: skip
    given.run().closed_loop(1, 8, level_index=1).closed_loop(1, 8, level_index=2)
    given.closed_loop(1, 8, level_index=3, clock_source="user")
    given.rows["levels"] += [
        {**level, "level_index": 1, "client_cpu_share": 0.9, "loop_lag_p99_ms": 1.0},
        {**level, "level_index": 2, "client_cpu_share": 0.5, "loop_lag_p99_ms": 6.0},
        {**level, "level_index": 3, "client_cpu_share": 0.5, "loop_lag_p99_ms": 6.0},
    ]
    given.build()
    rows = given.all("select validity from curated.operating_points order by level_index")
    assert [row["validity"] for row in rows] == ["client_bound", "valid", "client_bound"]


def test_a_level_that_left_out_most_later_turns_is_under_sampled(given: Given) -> None:
    level = {"load_kind": "closed", "status": "complete", "rows_landed": 1, "rows_quarantined": 0, "run_id": "run",
             "attempt": 1}  # fmt: skip
    given.run()
    for index, left_out in ((1, None), (2, 8), (3, 9)):  # of 16 requests each
        given.closed_loop(2, 8, level_index=index)
        given.rows["levels"].append({**level, "level_index": index, "turns_left_out": left_out})
    given.build()
    rows = given.all("select validity, turns_left_out from curated.operating_points order by level_index")
    assert [(row["validity"], row["turns_left_out"]) for row in rows] == [
        ("valid", None), ("valid", 8), ("under_sampled", 9),
    ]  # fmt: skip


def test_littles_law_holds_for_slots_that_are_always_full(given: Given) -> None:
    given.run().closed_loop(4, 20).build()
    point = given.point("littles_law_ratio, mean_in_flight")
    assert point == {"littles_law_ratio": pytest.approx(1.0), "mean_in_flight": pytest.approx(4.0)}


def test_requests_that_no_completion_accounts_for_break_littles_law(given: Given) -> None:
    # Besides one full slot, a second request hangs from 0 to 30 s, beyond the window: 2 in flight, but completions
    # account for 1 x 1 s a second.
    given.run().closed_loop(1, 20)
    given.request(0, ttft_ms=100, gaps_ms=(29_900 / 9,) * 9)
    given.build()
    point = given.point("littles_law_ratio, validity")
    assert point["littles_law_ratio"] == pytest.approx(0.5)
    assert point["validity"] == "littles_law"


def test_failures_take_slots_and_count_in_littles_law(given: Given) -> None:
    given.run().closed_loop(2, 30)
    for row in given.rows["request_traces"][10::20]:  # 3 of 60 time out after as long
        row.update(outcome="timeout", first_token_ns=None, last_token_ns=None, token_chunks=0, gaps_us=[],
                   closed_ns=row["sent_ns"] + 1_000_000_000)  # fmt: skip
    given.build()
    point = given.point("littles_law_ratio, error_share, validity")
    assert point["littles_law_ratio"] == pytest.approx(1.0)
    assert 0 < point["error_share"] <= 0.06


def test_the_knee_is_where_growth_ends_and_saturation_where_the_rate_is_highest(given: Given) -> None:
    # Levels of 1, 2 and 4 slots at 1, 2 and 4 / 1.9 = 2.105 requests/s: growth of 100 %, then 5 %
    given.run().closed_loop(1, 12, level_index=1)
    given.closed_loop(2, 12, level_index=2)
    given.closed_loop(4, 12, each_ms=1900, level_index=3)
    given.build()
    rows = given.all("select level_index, is_knee, is_saturation from curated.operating_points order by 1")
    assert [(row["is_knee"], row["is_saturation"]) for row in rows] == [(False, False), (True, False), (False, True)]


def test_an_open_loop_is_measured_between_its_first_and_last_arrival(given: Given) -> None:
    # 21 arrivals, one each 500 ms: 10 s. Each takes 1 s, so that those scheduled until 9 s complete inside: 19.
    given.run()
    for turn in range(21):
        given.request(turn * 500, load_kind="open", concurrency=None, request_rate=2.0)
    given.build()
    point = given.point()
    assert (point["window_s"], point["requests_in_window"], point["completions_in_window"]) == (10.0, 21, 19)
    assert point["request_rps"] == pytest.approx(1.9)


def test_what_the_warm_up_of_an_open_loop_still_does_in_the_window_counts_for_rates_alone(given: Given) -> None:
    # 4 + 21 arrivals, one each 500 ms, 1 s each: the window is 2 s to 12 s. The fourth closes at 2.5 s, with 5 of its 10
    # tokens after 2 s; as many are missing of those that are under way at the end.
    given.run().slo(("ttft", None, 150), attainment_share=0.9)
    for turn in range(25):
        of_warm_up: dict[str, Any] = {"phase": "warmup", "ttft_ms": 90} if turn < 4 else {}
        given.request(turn * 500, load_kind="open", concurrency=None, request_rate=2.0, **of_warm_up)
    given.build()
    point = given.point()
    assert (point["window_s"], point["completions_in_window"], point["mean_in_flight"]) == (10.0, 20, 1.999)
    assert (point["request_rps"], point["output_tps"], point["input_tps"]) == (2.0, 20.0, 200.0)
    assert point["littles_law_ratio"] == pytest.approx(1.0)
    assert (point["requests"], point["requests_in_window"], point["ttft_mean_ms"]) == (21, 21, 100.0)
    assert point["level_request_rps"] == pytest.approx(21 / 11)
    attained = given.one("select judged_requests, good_rps, good_tps from curated.slo_attainment")
    assert attained == {"judged_requests": 21, "good_rps": 2.0, "good_tps": 20.0}


def test_the_latest_complete_attempt_stands_for_its_run(given: Given) -> None:
    for attempt, status in ((1, "complete"), (2, "complete"), (3, "interrupted")):
        given.run(attempt=attempt, status=status).closed_loop(1, 8, attempt=attempt)
    given.slo().build()
    for table in ("runs", "operating_points", "slo_attainment"):
        rows = given.all(f"select attempt, is_current from curated.{table} order by attempt")
        assert [row["is_current"] for row in rows] == [False, True, False], table
    assert given.one("select attempt, points from curated.best_operating_points") == {"attempt": 2, "points": 1}


def test_without_a_complete_attempt_the_latest_that_landed_stands(given: Given) -> None:
    given.run(attempt=1, status="interrupted").closed_loop(1, 8)
    given.run(attempt=2, status="failed", levels_measured=0)
    given.build()
    rows = given.all("select attempt, is_current, requests from curated.runs order by attempt")
    assert [tuple(row.values()) for row in rows] == [(1, True, 8), (2, False, 0)]


def test_pooled_percentiles_are_those_of_the_written_out_values(given: Given) -> None:
    # The table folds equal gaps into weights; here each value is written out as often as its chunk has tokens
    shuffled = Random(1)
    gaps_ms: list[float] = []
    per_token_ms: list[float] = []
    given.run()
    for turn in range(60):
        gaps = tuple(float(shuffled.randint(1, 50)) for _ in range(shuffled.randint(1, 30)))
        tokens = [shuffled.randint(1, 4) for _ in range(len(gaps) + 1)]
        given.request(turn * 5000, gaps_ms=gaps, chunk_tokens=tokens, output_tokens=sum(tokens))
        if turn:  # the first completion opens the window
            gaps_ms += gaps
            per_token_ms += [gap / n for gap, n in zip(gaps, tokens[1:], strict=True) for _ in range(n)]
    given.build()
    point = given.point()
    for percent in (50, 75, 90, 95):
        assert point[f"chunk_gap_p{percent}_ms"] == pytest.approx(percentile(gaps_ms, percent / 100))
        assert point[f"itl_p{percent}_ms"] == pytest.approx(percentile(per_token_ms, percent / 100))


def test_percentiles_of_requests_with_means_of_their_own_are_those_of_the_written_out_values(given: Given) -> None:
    # Usage counts more tokens than chunks came, another number in each of 39 requests of 20 gaps: 17 means fold, 39 do not.
    # The 6 that fail stand for 20 infinite values each
    shuffled = Random(2)
    per_token_ms: list[float] = []
    given.run()
    for turn in range(40):
        gaps = tuple(shuffled.randint(1, 50_000) / 1000 for _ in range(20))
        given.request(turn * 5000, gaps_ms=gaps, output_tokens=21 + turn)
        if turn:  # the first completion opens the window
            per_token_ms += [gap / ((21 + turn) / 21) for gap in gaps]
    for turn in range(34, 40):
        given.request(turn * 5000 - 2000, outcome="timeout")
    given.build()
    found = given.all(
        "select statistic, n, value, adjusted_n, adjusted_value from staging.latency_statistics where metric = 'itl'"
    )
    values = {row["statistic"]: (row["value"], row["adjusted_value"]) for row in found}
    assert {(row["n"], row["adjusted_n"]) for row in found} == {(39 * 20, 45 * 20)}
    assert values["mean"][0] == pytest.approx(sum(per_token_ms) / len(per_token_ms), abs=1e-9)
    for percent in (50, 75, 90, 95, 99):
        adjusted = percentile([*per_token_ms, *[1e300] * 120], percent / 100)
        expected = (percentile(per_token_ms, percent / 100), adjusted if adjusted < 1e200 else inf)
        assert values[f"p{percent}"] == pytest.approx(expected, rel=1e-14)
    assert values["p95"][1] == inf
    assert given.all("select count(*) as rows from staging.gap_folds where mean_tokens is not null") == [{"rows": 0}]


def test_gaps_counted_in_several_folds_are_those_of_one(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every other request says the tokens of its chunks. The first completes at 170 ms and opens the window, the last send
    # closes it: 9 requests of a known mean, a token a chunk in 4 and two in 5, and 10 of known chunks, whose second gap
    # brings 2 tokens in 5 and 4 in the others
    given.run()
    for turn in range(20):
        tokens = [1, 2, 1 + turn % 4] if turn % 2 else None
        output = sum(tokens) if tokens else 6 if turn % 4 else 3
        given.request(turn * 1000, gaps_ms=(30.0, 40.0), chunk_tokens=tokens, output_tokens=output)
    given.build()
    histogram = "select * exclude (row_no) from staging.gap_folds where occurrences > 0 order by all"
    counted = given.all(histogram)
    assert [row["occurrences"] for row in counted] == [10, 4, 5, 5, 5, 4, 5]
    for limit in ("_GAPS_AT_ONCE", "_WORTH_COUNTING"):
        monkeypatch.setattr(gap_folds, limit, 1)
    part = given.folder / "traces.parquet"
    pq.write_table(pq.read_table(part), part, row_group_size=1)
    gap_folds.build(given.con)
    assert given.all(histogram) == counted


def percentile(values: list[float], share: float) -> float:
    """Linear interpolation between the neighbours of rank share x (n - 1)."""
    ordered, rank = sorted(values), share * (len(values) - 1)
    below, above = ordered[floor(rank)], ordered[ceil(rank)]
    return below + (above - below) * (rank - floor(rank))
