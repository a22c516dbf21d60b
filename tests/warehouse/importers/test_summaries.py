"""Summaries of the other tools become summary points, in our units and names; what contradicts itself is refused."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import ResultFileError
from tests.warehouse.importers.made import (
    DATA,
    aiperf_summary,
    imported,
    real,
    rejected,
    rows,
    sglang_result,
    vllm_result,
)
from warehouse.home import Home

NIGHT = datetime(2023, 12, 19)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def saved(path: Path, *documents: Any) -> Path:
    path.write_text("\n".join(json.dumps(document) for document in documents))
    return path


@real
def test_the_real_vllm_sweep_in_seconds_is_six_levels_of_a_run_for_each_input_length(home: Home) -> None:
    outcomes = imported(home, "vllm", DATA / "vllm_bench")
    assert [(o.level.concurrency, o.status) for o in outcomes] == [(c, "landed") for c in (4, 8, 16, 32, 48, 64)] * 2
    runs = sorted({o.run_id.rpartition("_")[0] for o in outcomes})
    assert runs == ["2026-02-14_e_isl1024-osl128", "2026-02-14_e_isl4096-osl128"]
    point = rows(home, "summary_points").filter(concurrency=16, input_tokens_mean=1024.0).row(0, named=True)
    # by hand: 160 requests / 38.939916802570224 s; 20,480 tokens / the same; 163,840 / 160 tokens of input
    assert point["request_rps"] == pytest.approx(160 / 38.939916802570224)
    assert point["output_tps"] == pytest.approx(20_480 / 38.939916802570224)
    assert (point["input_tokens_mean"], point["output_tokens_mean"], point["failed_requests"]) == (1024.0, 128.0, 0)
    # median_ttft 0.449921…, p99_ttft 1.096318…, median_tpot 0.028480…, p99_e2el 5.593656… seconds
    assert point["ttft_p50_ms"] == pytest.approx(449.921079)
    assert point["ttft_p99_ms"] == pytest.approx(1096.318854)
    assert (point["tpot_p50_ms"], point["tpot_osl_minus_1_p50_ms"]) == (
        pytest.approx(28.479956),
        pytest.approx(28.479956),
    )
    assert point["e2e_p99_ms"] == pytest.approx(5593.655728)
    # written at 14:23:43 when it was over
    assert str(point["started_at"]) == "2026-02-14 14:23:04.060083"


@real
def test_the_real_guidellm_run_of_which_12_of_128_requests_are_in_the_file_counts_by_its_statistics(home: Home) -> None:
    (outcome,) = imported(home, "guidellm", DATA / "guidellm" / "guidellm_0.8.1_concurrent32.json")
    point = rows(home, "summary_points").row(0, named=True)
    assert outcome.notes == ["12 of 128 requests are in the file, a sample: the statistics of all of them count"]
    assert (point["tool_version"], outcome.level.model, outcome.level.concurrency) == ("0.8.1", "truth", 32)
    # by hand: 128 / 8.989439964294434 s; 12,800 tokens / the same
    assert point["request_rps"] == pytest.approx(128 / 8.989439964294434)
    assert point["output_tps"] == pytest.approx(12_800 / 8.989439964294434)
    assert point["mean_in_flight"] == pytest.approx(31.205941)
    # its request_latency is in seconds, and to the end of the stream; its ITL is everyone's TPOT, its TPOT has the TTFT in it
    assert (point["e2e_to_close_p50_ms"], point["e2e_p50_ms"]) == (pytest.approx(2188.096523), None)
    assert point["tpot_mean_ms"] == pytest.approx(20.008021)
    assert point["tpot_including_ttft_mean_ms"] == pytest.approx(21.894586)
    assert point["ttft_p50_ms"] == pytest.approx(204.499245)


@real
def test_the_real_guidellm_report_of_two_rates_is_two_open_levels_of_one_run(home: Home) -> None:
    outcomes = imported(home, "guidellm", DATA / "guidellm" / "guidellm_report_v2.json")
    assert [(o.level.load_kind, o.level.request_rate, o.requests) for o in outcomes] == [
        ("open", 2.0, 2),
        ("open", 4.0, 2),
    ]
    assert len({o.run_id for o in outcomes}) == 1
    slow = rows(home, "summary_points").filter(request_rate=2.0).row(0, named=True)
    assert (slow["e2e_to_close_mean_ms"], slow["ttft_mean_ms"]) == (pytest.approx(19.7891), pytest.approx(11.481166))


@real
def test_the_real_llmperf_records_have_no_times_of_day_and_are_summed_up(home: Home) -> None:
    (outcome,) = imported(home, "llmperf", DATA / "llmperf" / "anyscale_7b.json", concurrency=5, night=NIGHT)
    point = rows(home, "summary_points").row(0, named=True)
    # by hand: of 150 TTFTs, sorted, the 75th is 0.20349859 and the 76th 0.20359477 s; 22,649 tokens in 150 answers
    assert point["ttft_p50_ms"] == pytest.approx((203.49858889 + 203.59477299) / 2)
    assert point["output_tokens_mean"] == pytest.approx(22_649 / 150)
    assert (point["request_rps"], point["output_tps"], point["e2e_to_close_mean_ms"]) == (
        None,
        None,
        pytest.approx(2947.270270),
    )
    assert "do not say how long the test took" in outcome.notes[0]
    # 150 requests in 90 s
    imported(
        home,
        "llmperf",
        DATA / "llmperf" / "anyscale_7b.json",
        concurrency=5,
        night=NIGHT,
        duration_s=90.0,
        endpoint="f",
    )
    assert rows(home, "summary_points")["request_rps"].to_list() == [None, pytest.approx(150 / 90)]


@real
def test_a_real_failed_llmperf_request_of_zero_latency_is_counted_as_failed_and_left_out_of_latencies(
    home: Home,
) -> None:
    (outcome,) = imported(home, "llmperf", DATA / "llmperf" / "together_13b.json", concurrency=5, night=NIGHT)
    point = rows(home, "summary_points").row(0, named=True)
    assert (point["requests"], point["failed_requests"]) == (150, 1)
    # by hand: the 75th of 149 TTFTs; 24,261 tokens in 149 answers
    assert point["ttft_p50_ms"] == pytest.approx(549.944062)
    assert point["output_tokens_mean"] == pytest.approx(24_261 / 149)
    assert any("differs from tokens / latency by up to 22%" in note for note in outcome.notes)


def test_vllm_results_in_milliseconds_and_goodput_with_its_colon(home: Home, tmp_path: Path) -> None:
    (outcome,) = imported(home, "vllm", saved(tmp_path / "r.json", vllm_result()))
    point = rows(home, "summary_points").row(0, named=True)
    assert (outcome.status, outcome.level.model) == ("landed", "org/model")
    assert (point["ttft_mean_ms"], point["ttft_p50_ms"], point["ttft_p99_ms"]) == (1030.0, 1000.0, 2000.0)
    assert (point["chunk_gap_mean_ms"], point["itl_mean_ms"], point["e2e_mean_ms"]) == (30.0, None, 4000.0)
    assert (point["input_tps"], point["request_rps"]) == (4000.0, 4.0)  # 4400 in all - 400 of output


def test_appended_vllm_results_are_a_level_a_line(home: Home, tmp_path: Path) -> None:
    other = vllm_result(max_concurrency=8, num_prompts=80, completed=80, duration=40.0, request_throughput=2.0, output_throughput=200.0,
                        total_input_tokens=80_000, total_output_tokens=8_000, total_token_throughput=2200.0, date="20260214-150000")  # fmt: skip
    outcomes = imported(home, "vllm", saved(tmp_path / "r.json", vllm_result(), other))
    assert [(o.level.concurrency, o.status) for o in outcomes] == [(8, "landed"), (16, "landed")]


def test_without_a_cap_and_at_an_infinite_rate_all_prompts_are_in_flight_at_once(home: Home, tmp_path: Path) -> None:
    burst = vllm_result(
        max_concurrency=None,
        mean_e2el_ms=20_000.0,
        median_e2el_ms=20_000.0,
        mean_ttft_ms=17_000.0,
        median_ttft_ms=17_000.0,
    )
    assert imported(home, "vllm", saved(tmp_path / "r.json", burst))[0].level.concurrency == 160


def test_figures_of_no_samples_which_vllm_writes_as_0_are_unknown(home: Home, tmp_path: Path) -> None:
    imported(home, "vllm", saved(tmp_path / "r.json", vllm_result(mean_itl_ms=0.0, median_itl_ms=0.0)))
    assert rows(home, "summary_points")["chunk_gap_p50_ms"].to_list() == [None]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        # all latencies in seconds under names in ms: 4 requests/s x 0.004 s
        ({n: v / 1000 for n, v in vllm_result().items() if n.endswith("_ms")}, "would be 0.016 in flight, at a concurrency of 16"),
        # milliseconds under names without _ms, read as seconds: 4 requests/s x 4000 s
        ({**{n: None for n in vllm_result() if n.endswith("_ms")}, **{n[:-3]: v for n, v in vllm_result().items() if n.endswith("_ms")}},
         "would be 16000 in flight, at a concurrency of 16"),
        ({"mean_ttft_ms": 1.03, "median_ttft_ms": 1.0, "p99_ttft_ms": 2.0, "mean_tpot_ms": 60.0}, "TTFT 1.03 ms is below a fiftieth"),
        ({"mean_tpot_ms": 0.03}, "TTFT 1030 ms and 100 tokens 0.03 ms apart make 1033 ms, but the request latency is 4000 ms"),
        ({"mean_ttft_ms": 1_030_000.0}, "TTFT 1.03e+06 ms is longer than the whole request, 4000 ms"),
        ({"duration": 40_000.0}, "request_rps: 4/s x 40000 s = 160000 requests, but the file counts 160"),
        ({"total_output_tokens": 1_600}, "output_tps: 400/s x 40 s = 16000 output tokens, but the file counts 1600"),
        ({"median_ttft_ms": "fast"}, "median_ttft_ms: found 'fast', expected a number"),
        ({"max_concurrency": None, "request_rate": None}, "give --concurrency N"),
        ({"duration": -1}, "duration: found -1 s"),
        ({"date": "yesterday"}, "date: found 'yesterday', expected YYYYMMDD-HHMMSS"),
        ({"median_ttft_ms": -5.0}, "ttft_p50_ms: found -5, expected no negative latency"),
    ],
)  # fmt: skip
def test_a_vllm_result_that_cannot_be_true_is_refused_with_the_numbers(
    home: Home, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(ResultFileError) as error:
        imported(home, "vllm", saved(tmp_path / "r.json", vllm_result(**changes)))
    assert says in str(error.value)


def test_percentiles_that_fall_break_the_contract(home: Home, tmp_path: Path) -> None:
    (outcome,) = imported(home, "vllm", saved(tmp_path / "r.json", vllm_result(p99_ttft_ms=900.0)))
    assert outcome.status == "refused"
    assert "ttft_p99_ms: rises" in outcome.message


def detailed(**changes: Any) -> dict[str, Any]:
    """40 requests, 2 in flight, each 100 ms: as vLLM says them with --save-detailed."""
    return vllm_result(
        max_concurrency=2, num_prompts=40, completed=40, duration=2.05, request_throughput=40 / 2.05, output_throughput=160 / 2.05,
        total_input_tokens=2000, total_output_tokens=160, total_token_throughput=2160 / 2.05, mean_ttft_ms=40.0, median_ttft_ms=40.0,
        p99_ttft_ms=40.0, mean_tpot_ms=20.0, median_tpot_ms=20.0, mean_itl_ms=20.0, median_itl_ms=20.0, mean_e2el_ms=100.0,
        median_e2el_ms=100.0, input_lens=[50] * 40, output_lens=[4] * 40, ttfts=[0.04] * 40, itls=[[0.02] * 3] * 40,
        errors=[""] * 40, generated_texts=["a secret"] * 40, start_times=[5000 + (i // 2) * 0.1 + (i % 2) * 0.05 for i in range(40)],
    ) | changes  # fmt: skip


def test_vllm_lists_with_start_times_become_traces_without_their_texts(home: Home, tmp_path: Path) -> None:
    (outcome,) = imported(home, "vllm", saved(tmp_path / "r.json", detailed()))
    traces = rows(home)
    assert (outcome.status, traces.height, set(traces["clock_source"])) == ("landed", 40, {"imported"})
    assert (traces["gaps_us"].to_list()[0], traces["scheduled_ns"].null_count()) == ([20_000] * 3, 40)
    assert (traces["sent_ns"][1] - traces["sent_ns"][0]) == 50_000_000
    assert not any(b"a secret" in path.read_bytes() for path in home.root.rglob("*") if path.is_file())


def test_vllm_lists_without_start_times_are_held_against_the_summary_which_counts(home: Home, tmp_path: Path) -> None:
    older = detailed()
    del older["start_times"]
    (outcome,) = imported(home, "vllm", saved(tmp_path / "r.json", older))
    assert (rows(home, "summary_points").height, rows(home).height) == (1, 0)
    assert "no start_times" in outcome.notes[0]
    with pytest.raises(ResultFileError, match="mean ttft ms: the summary says 40, the records 50"):
        imported(home, "vllm", saved(tmp_path / "s.json", older | {"ttfts": [0.05] * 40}))


def test_a_vllm_summary_that_contradicts_its_lists_is_kept_aside_and_the_lists_land(home: Home, tmp_path: Path) -> None:
    (outcome,) = imported(home, "vllm", saved(tmp_path / "r.json", detailed(ttfts=[0.03] * 40)))
    assert (outcome.status, outcome.requests) == ("landed", 40)
    (aside,) = rejected(home)
    assert "mean ttft ms: the summary says 40, the records 30" in aside["reason"]


def test_sglang_needs_the_night_and_says_its_own_itl_through_its_native_api(home: Home, tmp_path: Path) -> None:
    path = saved(tmp_path / "s.jsonl", sglang_result())
    assert "give --night DATE" in imported(home, "sglang", path)[0].message
    (outcome,) = imported(home, "sglang", path, night=NIGHT)
    point = rows(home, "summary_points").row(0, named=True)
    assert (outcome.level.load_kind, outcome.level.request_rate, outcome.run_id[:28]) == (
        "open",
        8.0,
        "2023-12-19_e_isl1024-osl128_",
    )
    assert (point["itl_mean_ms"], point["chunk_gap_mean_ms"]) == (30.0, None)
    assert (point["e2e_to_close_p50_ms"], point["e2e_p50_ms"], point["mean_in_flight"]) == (3990.0, None, 32.0)


def test_infinity_which_sglang_writes_for_its_rate_is_no_rate(home: Home, tmp_path: Path) -> None:
    text = json.dumps(sglang_result(max_concurrency=64)).replace('"request_rate": 8.0', '"request_rate": Infinity')
    (tmp_path / "s.jsonl").write_text(text)
    assert imported(home, "sglang", tmp_path / "s.jsonl", night=NIGHT)[0].level.concurrency == 64


def test_genai_perf_summaries_of_two_shapes_of_its_configuration(home: Home, tmp_path: Path) -> None:
    old = aiperf_summary(
        input_config={"model": ["llama"], "concurrency": 2, "synthetic_input_tokens_mean": 50, "output_tokens_mean": 4}
    )
    new = aiperf_summary(input_config={"model_names": ["llama"], "perf_analyzer": {"stimulus": {"concurrency": 4}}}, benchmark_id="b2",
                         request_throughput={"unit": "requests/sec", "avg": 40 / 1.0}, benchmark_duration={"unit": "sec", "avg": 1.0})  # fmt: skip
    for document in (old, new):
        del document["aiperf_version"]
    paths = [saved(tmp_path / f"{name}_genai_perf.json", d) for name, d in (("old", old), ("new", new))]
    outcomes = imported(home, "genai-perf", *paths, night=NIGHT)
    assert sorted((o.level.concurrency, o.level.model, o.status) for o in outcomes) == [
        (2, "llama", "landed"),
        (4, "llama", "landed"),
    ]


def test_a_file_of_another_tool_is_told_as_such(home: Home, tmp_path: Path) -> None:
    with pytest.raises(ResultFileError, match=r"this is a result of aiperf, not of vllm: ratecard import aiperf"):
        imported(home, "vllm", saved(tmp_path / "r.json", aiperf_summary()))
    with pytest.raises(ResultFileError, match="result 2: this is a result of sglang, not of vllm"):
        imported(home, "vllm", saved(tmp_path / "mixed.json", vllm_result(), sglang_result()))
    with pytest.raises(ResultFileError, match=r"not a result of vllm \(found color\)"):
        imported(home, "vllm", saved(tmp_path / "x.json", {"color": "red"}))


def test_a_document_cut_short_is_told_with_its_length(home: Home, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(vllm_result())[:300])
    with pytest.raises(ResultFileError, match="ends in the middle after 300 bytes: the file is cut short"):
        imported(home, "vllm", tmp_path / "r.json")
    (tmp_path / "g.json").write_text("error: connection refused")
    with pytest.raises(ResultFileError, match=r"g.json: is not JSON"):
        imported(home, "guidellm", tmp_path / "g.json")


def llmperf_record(**changes: Any) -> dict[str, Any]:
    return {
        "error_code": None, "error_msg": "", "inter_token_latency_s": 0.02, "ttft_s": 0.2, "end_to_end_latency_s": 2.2,
        "request_output_throughput_token_per_s": 46.0, "number_total_tokens": 651, "number_output_tokens": 101, "number_input_tokens": 550,
    } | changes  # fmt: skip


def test_llmperfs_summary_beside_the_records_gives_model_load_and_length(home: Home, tmp_path: Path) -> None:
    records = tmp_path / "m_550_101_individual_responses.json"
    records.write_text(json.dumps([llmperf_record()] * 20))
    beside = {"model": "m", "num_concurrent_requests": 4, "results_num_completed_requests_per_min": 60.0, "timestamp": 1_703_000_020,
              "mean_input_tokens": 550, "mean_output_tokens": 101, "results_num_completed_requests": 20, "results_ttft_s_mean": 0.2}  # fmt: skip
    (tmp_path / "m_550_101_summary.json").write_text(json.dumps(beside))
    (outcome,) = imported(home, "llmperf", records)
    point = rows(home, "summary_points").row(0, named=True)
    # 60 a minute: 20 requests took 20 s; 2 s after the first token for 100 tokens more
    assert (point["request_rps"], point["duration_s"], point["tpot_p50_ms"]) == (1.0, 20.0, pytest.approx(20.0))
    assert (outcome.level.model, outcome.level.concurrency, str(point["started_at"])) == ("m", 4, "2023-12-19 15:33:20")
    (tmp_path / "m_550_101_summary.json").write_text(json.dumps(beside | {"results_ttft_s_mean": 0.5}))
    imported(home, "llmperf", records, endpoint="f")
    assert "mean ttft ms: the summary says 500, the records 200" in rejected(home)[0]["reason"]


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (llmperf_record(ttft_s=200.0), "ttft_s: found 200, expected more than 0 and at most end_to_end_latency_s, 2.2"),
        (llmperf_record(request_output_throughput_token_per_s=46_000.0), "latency or throughput is in another unit"),
        (llmperf_record(end_to_end_latency_s=2200.0, ttft_s=200.0), "latency or throughput is in another unit"),
        ({"ttft_s": 1}, "not a result of llmperf"),
    ],
)  # fmt: skip
def test_llmperf_records_that_cannot_be_true_are_refused(
    home: Home, tmp_path: Path, record: dict[str, Any], says: str
) -> None:
    (tmp_path / "r.json").write_text(json.dumps([record] * 20))
    with pytest.raises(ResultFileError) as error:
        imported(home, "llmperf", tmp_path / "r.json", concurrency=4, night=NIGHT)
    assert says in str(error.value)


def test_a_record_of_llmperf_among_others_that_cannot_be_true_is_kept_aside(home: Home, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps([llmperf_record()] * 20 + [llmperf_record(ttft_s=None)]))
    imported(home, "llmperf", tmp_path / "r.json", concurrency=4, night=NIGHT)
    assert [(r["where"], r["reason"].rpartition("record 20: ")[2]) for r in rejected(home)] == [
        ("record 20", "ttft_s: missing")
    ]
