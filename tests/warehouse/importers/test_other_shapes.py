"""Shapes of result files that versions, options and accidents make: what can be told lands, the rest is told."""

import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import ResultFileError
from tests.warehouse.importers.made import (
    BEGAN_NS,
    ENDPOINT,
    MS,
    aiperf_record,
    aiperf_summary,
    imported,
    jsonl,
    rejected,
    rows,
    sglang_result,
    starter,
    vllm_result,
)  # fmt: skip
from warehouse.home import Home
from warehouse.importers.land import land
from warehouse.importers.levels import Said
from warehouse.importers.readers import read

NIGHT = datetime(2026, 11, 20)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def saved(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


def packed(path: Path, document: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(document).encode(), mtime=0))
    return path


def point(home: Home) -> dict[str, Any]:
    return rows(home, "summary_points").row(0, named=True)


@pytest.mark.parametrize("tool", ["vllm", "sglang"])
def test_a_line_cut_short_or_of_something_else_keeps_no_other_result_out(home: Home, tmp_path: Path, tool: str) -> None:
    result = vllm_result if tool == "vllm" else sglang_result
    loads: list[dict[str, Any]] = [
        {"max_concurrency": None, "request_rate": 4.0},
        {"max_concurrency": 16, "request_rate": "inf"},
    ]
    good = [result(**load) for load in loads] if tool == "vllm" else [result(), result(tag="again")]
    path = jsonl(tmp_path / "r.jsonl", good[0], json.dumps(good[0])[:200], "[1]", good[1])
    home.prepare()
    said = Said("e", night=NIGHT)
    levels, errors = read(tool, [path], said)
    assert [str(error).removeprefix(str(path)) for error in errors] == [
        ":2: the JSON ends in the middle after 200 bytes: the file is cut short; copy it again",
        ": result 3: found a JSON list, expected an object",
    ]
    assert [o.status for o in land(home, levels, said, ENDPOINT, lambda _: starter())] == ["landed", "landed"]


def test_failures_that_sglang_tells_in_its_lists_alone_are_counted(home: Home, tmp_path: Path) -> None:
    answered = {
        "ttfts": [1.03] * 320 + [0.0] * 3,
        "errors": [""] * 320 + ["boom"] * 3,
        "output_lens": [100] * 320 + [0] * 3,
    }
    imported(home, "sglang", saved(tmp_path / "r.jsonl", sglang_result(**answered)), night=NIGHT)
    assert [point(home)[name] for name in ("requests", "completed_requests", "failed_requests")] == [323, 320, 3]


def test_neither_a_ramp_nor_a_recordings_pace_is_a_load_level(home: Home, tmp_path: Path) -> None:
    ramp = vllm_result(max_concurrency=None, ramp_up_strategy="linear", ramp_up_start_rps=1, ramp_up_end_rps=8)
    with pytest.raises(ResultFileError, match="found 'linear': a ramp from 1 to 8 requests/s is no load level"):
        imported(home, "vllm", saved(tmp_path / "r.json", ramp))
    with pytest.raises(ResultFileError, match="does not say under which load it was measured"):
        imported(home, "sglang", saved(tmp_path / "t.jsonl", sglang_result(request_rate="trace")), night=NIGHT)
    (outcome,) = imported(home, "vllm", saved(tmp_path / "r.json", ramp), request_rate=4.0)
    assert (outcome.level.load, outcome.status) == ("4 requests/s", "landed")


def in_seconds(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value / 1000 if name.endswith("_ms") else value for name, value in result.items()}


def test_seconds_under_names_in_ms_give_themselves_away_at_an_open_load_too(home: Home, tmp_path: Path) -> None:
    # SGLang counts what was in flight: 32, and not 8 a second x 4 ms
    with pytest.raises(ResultFileError, match=r"would be 0.032 in flight, and the file counted 32"):
        imported(home, "sglang", saved(tmp_path / "s.jsonl", in_seconds(sglang_result())), night=NIGHT)
    # vLLM does not; 30 ms a token, read as 0.03 ms
    lone = in_seconds(vllm_result(request_rate=4.0, max_concurrency=None))
    with pytest.raises(
        ResultFileError, match=r"tokens come 0.03 ms apart \(read as ms\), 33,333 a second to each user"
    ):
        imported(home, "vllm", saved(tmp_path / "v.json", lone))


def test_aiperfs_ttft_in_another_unit_is_refused_without_chunk_times_too(home: Home, tmp_path: Path) -> None:
    records = [aiperf_record(i, ms={"time_to_first_token": 0.04}) for i in range(40)]
    for record in records:
        del record["metrics"]["inter_chunk_latency"]
    # 100 ms for 4 tokens: 33 ms for each after the first
    (outcome,) = imported(home, "aiperf", jsonl(tmp_path / "profile_export.jsonl", *records))
    assert outcome.status == "refused"
    assert (
        "time_to_first_token: 0.04 ms by its unit, below a fiftieth of what each token after it takes, 33.32 ms"
        in outcome.message
    )


def test_a_failed_record_without_an_end_does_not_change_the_load(home: Home, tmp_path: Path) -> None:
    failed = aiperf_record(39, metadata={"request_end_ns": 0}) | {
        "metrics": None,
        "error": {"code": 500, "type": "E", "message": "m"},
    }
    (outcome,) = imported(
        home, "aiperf", jsonl(tmp_path / "profile_export.jsonl", *map(aiperf_record, range(39)), failed)
    )
    assert (outcome.level.concurrency, outcome.requests) == (2, 40)


def guidellm_of_0_3(**benchmark: Any) -> dict[str, Any]:
    """A benchmark as versions 0.2 and 0.3 laid it out: 40 requests of 9 tokens, 2 in flight for 20 s."""

    def figure(mean: float) -> dict[str, Any]:
        found = {"mean": mean, "median": mean, "max": mean, "count": 40, "percentiles": {"p50": mean, "p99": mean}}
        return {"successful": found, "errored": {"count": 0}, "incomplete": {"count": 0}, "total": found}

    return {"benchmarks": [{
        "type_": "generative_benchmark", "id_": "b1", "start_time": BEGAN_NS / 1e9, "end_time": BEGAN_NS / 1e9 + 20, "duration": 20.0,
        "args": {"strategy": {"type_": "concurrent", "streams": 2}}, "run_stats": {"start_time": BEGAN_NS / 1e9},
        "worker": {"backend_target": "http://h:8000", "backend_model": "org/model"},
        "request_totals": {"successful": 40, "errored": 0, "incomplete": 0, "total": 40},
        "requests": {"successful": [], "errored": [], "incomplete": []},
        "metrics": {
            "requests_per_second": figure(2.0), "request_concurrency": figure(2.0), "request_latency": figure(1.0),
            "prompt_token_count": figure(50), "output_token_count": figure(9), "time_to_first_token_ms": figure(200.0),
            "time_per_output_token_ms": figure(800 / 9), "inter_token_latency_ms": figure(100.0), "output_tokens_per_second": figure(18.0),
        },
    } | benchmark]}  # fmt: skip


def test_the_tpot_of_guidellm_before_0_4_which_has_no_ttft_in_it_is_not_taken_for_one_that_has(
    home: Home, tmp_path: Path
) -> None:
    (outcome,) = imported(home, "guidellm", saved(tmp_path / "r.json", guidellm_of_0_3()))
    found = point(home)
    assert (outcome.level.model, outcome.level.concurrency, found["tpot_mean_ms"]) == ("org/model", 2, 100.0)
    # 1000 ms / 9 would be 111; the file's 88.9 is (1000 - 200) / 9
    assert found["tpot_including_ttft_mean_ms"] is None and found["ntpot_mean_ms"] is None


def test_requests_of_guidellm_without_their_times_are_no_sample(home: Home, tmp_path: Path) -> None:
    untimed = [{"request_id": str(i), "prompt_tokens": 50, "output_tokens": 9} for i in range(40)]
    requests = {"successful": untimed, "errored": [], "incomplete": []}
    (outcome,) = imported(home, "guidellm", saved(tmp_path / "r.json", guidellm_of_0_3(requests=requests)))
    assert outcome.level.notes == [
        "not every answered request has its times (start, first token), so none has a place in a window: the statistics count"
    ]


def profile(requests: int = 40) -> dict[str, Any]:
    """Responses of two chats in flight, each of 1 s: text after 200, 300 and 400 ms, the finish after 500, the end after 600."""

    def event(**choice: Any) -> dict[str, str]:
        return {"response": "data: " + json.dumps({"choices": [choice]})}

    outputs = [
        *(event(delta={"content": text}) for text in "abc"),
        event(delta={}, finish_reason="stop"),
        {"response": "data: [DONE]"},
    ]
    starts = [BEGAN_NS + (i // 2) * 1000 * MS + (i % 2) * 500 * MS for i in range(requests)]
    return {"service_kind": "openai", "experiments": [{"experiment": {"mode": "concurrency", "value": 2}, "requests": [
        {"timestamp": start, "response_timestamps": [start + ms * MS for ms in (200, 300, 400, 500, 600)], "response_outputs": outputs}
        for start in starts
    ]}]}  # fmt: skip


def summary_of_profile(**changes: Any) -> dict[str, Any]:
    def figure(unit: str, mean: float) -> dict[str, Any]:
        return {"unit": unit, "avg": mean, "p50": mean}

    return {
        "request_throughput": figure("requests/sec", 2.0), "request_count": figure("count", 40), "request_latency": figure("ms", 500.0),
        "time_to_first_token": figure("ms", 200.0), "inter_token_latency": figure("ms", 150.0), "output_sequence_length": figure("tokens", 3),
        "input_sequence_length": figure("tokens", 50), "input_config": {"model": ["m"], "concurrency": 2},
    } | changes  # fmt: skip


def test_genai_perfs_summary_names_the_lengths_and_is_held_against_its_requests(home: Home, tmp_path: Path) -> None:
    export = saved(tmp_path / "profile_export.json", profile())
    beside = saved(tmp_path / "profile_export_genai_perf.json", summary_of_profile())
    (outcome,) = imported(home, "genai-perf", export, beside)
    # a latency of 500 ms lies between the last text, after 400, and the end, after 600
    assert (outcome.requests, outcome.level.notes) == (40, [])
    assert "isl50-osl3" in outcome.run_id and rejected(home) == []
    saved(beside, summary_of_profile(request_count={"unit": "count", "avg": 50}, request_throughput={"unit": "requests/sec", "avg": 2.5},
                                     time_to_first_token={"unit": "ms", "avg": 260.0}))  # fmt: skip
    (outcome,) = imported(home, "genai-perf", export, endpoint="f")
    assert outcome.status == "landed"
    [kept] = rejected(home)
    assert kept["reason"] == (
        "contradicts the requests of profile_export.json: request_count: the summary says 50, the records 40; "
        "time_to_first_token avg: the summary says 260, the records 200"
    )
    assert kept["content"]["ttft_mean_ms"] == 260.0


@pytest.mark.parametrize("experiments", [None, [], ["x"]])
def test_experiments_that_are_none_are_told(home: Home, tmp_path: Path, experiments: Any) -> None:
    with pytest.raises(
        ResultFileError, match=r"experiments: found none|experiments\[0\]: found a JSON str, expected an object"
    ):
        imported(home, "genai-perf", saved(tmp_path / "profile_export.json", {"experiments": experiments}))


def test_llmperfs_own_time_between_tokens_gives_milliseconds_away(home: Home, tmp_path: Path) -> None:
    record = {"error_code": None, "ttft_s": "0.2", "end_to_end_latency_s": 2.2, "inter_token_latency_s": 0.022,
              "number_output_tokens": 100, "number_input_tokens": 550}  # fmt: skip
    imported(home, "llmperf", saved(tmp_path / "a.json", [record] * 20), concurrency=4, night=NIGHT)
    assert point(home)["tpot_mean_ms"] == pytest.approx(2000 / 99), "numbers as text are numbers"
    wrong = record | {"ttft_s": 200, "end_to_end_latency_s": 2200}
    with pytest.raises(ResultFileError, match=r"inter_token_latency_s x number_output_tokens is 0\.001 times"):
        imported(home, "llmperf", saved(tmp_path / "b.json", [wrong] * 20), concurrency=4, night=NIGHT)


@pytest.mark.parametrize(
    ("tool", "name", "content"),
    [
        ("vllm", "r.json", vllm_result(itls=5)),
        ("vllm", "r.json", vllm_result(ttfts=[1.0] * 160, output_lens=[None] * 160)),
        ("aiperf", "x_aiperf.json", aiperf_summary(input_config="x")),
        ("guidellm", "r.json", {"benchmarks": ["x"]}),
        ("genai-perf", "profile_export.json", {"experiments": [{"experiment": "x", "requests": [{}]}]}),
        ("llmperf", "r.json", [{"error_code": None, "ttft_s": [1]}]),
    ],
)
def test_a_value_of_another_kind_is_a_mistake_of_the_file_and_no_traceback(
    home: Home, tmp_path: Path, tool: str, name: str, content: Any
) -> None:
    with pytest.raises(ResultFileError, match=r"is it of another version, or edited\?|not a result of llmperf"):
        imported(home, tool, saved(tmp_path / name, content), night=NIGHT, concurrency=2)


def test_a_length_that_is_no_number_refuses_its_level_alone(home: Home, tmp_path: Path) -> None:
    path = jsonl(tmp_path / "r.jsonl", sglang_result(), sglang_result(tag="b", random_input_len="long"))
    outcomes = imported(home, "sglang", path, night=NIGHT)
    assert sorted(o.status for o in outcomes) == ["landed", "refused"]


def test_json_that_is_nested_without_end_is_told(home: Home, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("[" * 100_000)
    with pytest.raises(ResultFileError, match="nested too deep"):
        imported(home, "vllm", tmp_path / "r.json")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_spreadsheets_own_separator_is_read_as_one(home: Home, tmp_path: Path, separator: str) -> None:
    lines = ["concurrency,request_rps,e2e_p50_ms", "4,4.0,1000"]
    (tmp_path / "points.csv").write_text("\n".join(lines).replace(",", separator) + "\n")
    imported(home, "csv", tmp_path / "points.csv", night=NIGHT)
    assert point(home)["request_rps"] == 4.0


def test_a_folder_of_packed_results_is_read_as_its_pairs(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "artifacts"
    packed(folder / "profile_export.json.gz", profile())
    packed(folder / "profile_export_genai_perf.json.gz", summary_of_profile())
    saved(folder / "inputs.json", {"data": []})
    (outcome,) = imported(home, "genai-perf", folder)
    assert (outcome.status, outcome.requests, outcome.level.notes) == ("landed", 40, [])
    assert "isl50-osl3" in outcome.run_id

    record = {
        "error_code": None,
        "ttft_s": 0.2,
        "end_to_end_latency_s": 2.2,
        "number_output_tokens": 100,
        "number_input_tokens": 550,
    }
    records = packed(tmp_path / "llmperf" / "m_individual_responses.json.gz", [record] * 20)
    packed(tmp_path / "llmperf" / "m_summary.json.gz", {"num_concurrent_requests": 4, "model": "m"})
    (outcome,) = imported(home, "llmperf", records.parent, night=NIGHT)
    assert (outcome.level.concurrency, outcome.level.model) == (4, "m")


def test_a_test_that_did_not_stream_is_told_to_come_by_its_summary(home: Home, tmp_path: Path) -> None:
    whole = aiperf_record(0)
    del whole["metrics"]["time_to_first_token"], whole["metrics"]["inter_chunk_latency"]
    with pytest.raises(ResultFileError, match="no record has a time_to_first_token: the test did not stream"):
        imported(home, "aiperf", jsonl(tmp_path / "profile_export.jsonl", whole))
    export = profile(1)
    [request] = export["experiments"][0]["requests"]
    answer = {"choices": [{"message": {"role": "assistant", "content": "abc"}, "finish_reason": "stop"}]}
    request |= {"response_timestamps": [BEGAN_NS + 100 * MS], "response_outputs": [{"response": json.dumps(answer)}]}
    with pytest.raises(ResultFileError, match=r"experiments\[0\]: the answers were not streamed"):
        imported(home, "genai-perf", saved(tmp_path / "profile_export.json", export))


def test_records_are_not_lost_to_a_broken_summary_beside_them(home: Home, tmp_path: Path) -> None:
    path = jsonl(tmp_path / "profile_export.jsonl", *map(aiperf_record, range(40)))
    summary = path.with_name("profile_export_aiperf.json")
    summary.write_text('{"aiperf_version": "0.13", "request_')
    with pytest.raises(ResultFileError, match=r"cut short.* without it: move profile_export_aiperf.json away"):
        imported(home, "aiperf", path)
    summary.rename(tmp_path / "aside.json")
    assert imported(home, "aiperf", path)[0].requests == 40
