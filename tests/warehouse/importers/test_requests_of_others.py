"""Requests inside GuideLLM's reports and perf_analyzer's exports become traces."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import ResultFileError
from tests.warehouse.importers.made import BEGAN_NS, MS, imported, rejected, rows
from warehouse.home import Home

BEGAN_S = BEGAN_NS / 1e9


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def saved(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


def guidellm_request(index: int, **changes: Any) -> dict[str, Any]:
    start = BEGAN_S + (index // 2) * 0.1 + (index % 2) * 0.05
    timings = {
        "request_start": start, "first_token_iteration": start + 0.04, "last_token_iteration": start + 0.1, "request_end": start + 0.101,
    }  # fmt: skip
    return {
        "request_id": f"id-{index}", "request_args": "a secret", "output": "another", "info": {"timings": timings}, "prompt_tokens": 50,
        "output_tokens": 4, "time_to_first_token_ms": 40.0, "request_latency": 0.101,
    } | changes  # fmt: skip


def guidellm_report(requests: list[dict[str, Any]], **metrics: Any) -> dict[str, Any]:
    def of(value: float) -> dict[str, Any]:
        return {"successful": {"mean": value, "max": value, "count": 40, "percentiles": {"p50": value}}}

    return {
        "metadata": {"guidellm_version": "0.8.1"},
        "benchmarks": [{
            "config": {"id_": "b1", "strategy": {"type_": "concurrent", "streams": 2}, "backend": {"model": "llama", "target": "http://h:1"}},
            "metrics": {
                "request_totals": {"successful": 40, "errored": 0, "incomplete": 0}, "requests_per_second": of(40 / 2.05),
                "request_latency": of(0.101), "time_to_first_token_ms": of(40.0), "inter_token_latency_ms": of(20.0),
                "output_token_count": of(4), "prompt_token_count": of(50), "request_concurrency": of(1.97),
            } | metrics,
            "requests": {"successful": requests, "errored": [], "incomplete": []}, "start_time": BEGAN_S, "duration": 2.05,
        }],
    }  # fmt: skip


def test_all_requests_of_a_guidellm_report_become_traces_without_gaps_or_texts(home: Home, tmp_path: Path) -> None:
    path = saved(tmp_path / "r.json", guidellm_report([guidellm_request(i) for i in range(40)]))
    (outcome,) = imported(home, "guidellm", path)
    traces = rows(home)
    assert (outcome.status, traces.height, traces["gaps_us"].null_count(), set(traces["model"])) == (
        "landed",
        40,
        40,
        {"llama"},
    )
    # wall clock in double seconds: exact to a quarter of a microsecond
    assert (traces["first_token_ns"] - traces["sent_ns"]).to_list() == pytest.approx([40 * MS] * 40, abs=1000)
    assert not any(b"a secret" in path.read_bytes() for path in home.root.rglob("*") if path.is_file())


def test_statistics_that_contradict_their_requests_are_kept_aside_and_the_requests_land(
    home: Home, tmp_path: Path
) -> None:
    slow = {"successful": {"mean": 50.0, "max": 50.0, "count": 40, "percentiles": {"p50": 50.0}}}
    report = guidellm_report([guidellm_request(i) for i in range(40)], time_to_first_token_ms=slow)
    (outcome,) = imported(home, "guidellm", saved(tmp_path / "r.json", report))
    assert (outcome.status, outcome.requests) == ("landed", 40)
    assert "mean ttft ms: the summary says 50, the records 40" in rejected(home)[0]["reason"]


def test_a_sample_beyond_the_largest_of_the_statistics_is_refused_with_both(home: Home, tmp_path: Path) -> None:
    report = guidellm_report([guidellm_request(0, time_to_first_token_ms=45.0)])
    with pytest.raises(ResultFileError, match="the statistics have a largest of 40, a request has 45"):
        imported(home, "guidellm", saved(tmp_path / "r.json", report))


def test_a_guidellm_request_id_that_comes_twice_is_kept_aside(home: Home, tmp_path: Path) -> None:
    requests = [guidellm_request(i) for i in range(39)] + [guidellm_request(39, request_id="id-3")]
    (outcome,) = imported(home, "guidellm", saved(tmp_path / "r.json", guidellm_report(requests)))
    assert (outcome.requests, rejected(home)[0]["reason"]) == (39, "request id id-3 is there twice")


def test_a_guidellm_benchmark_that_is_not_as_it_writes_it_is_told(home: Home, tmp_path: Path) -> None:
    with pytest.raises(
        ResultFileError, match=r"benchmarks\[0\]: KeyError 'metrics': not as GuideLLM 0.2 to 0.8 writes it"
    ):
        imported(home, "guidellm", saved(tmp_path / "r.json", {"benchmarks": [{}]}))
    with pytest.raises(ResultFileError, match="benchmarks: found none"):
        imported(home, "guidellm", saved(tmp_path / "r.json", {"benchmarks": []}))


def event(**body: Any) -> dict[str, str]:
    return {"response": f"data: {json.dumps(body)}\n\n"}


def exported(timestamp: Any = BEGAN_NS) -> dict[str, Any]:
    """One chat of three events with text among a role, a usage and [DONE]."""
    stamps = [BEGAN_NS + ms * MS for ms in (38, 40, 60, 80, 81, 82)]
    outputs = [
        event(choices=[{"delta": {"role": "assistant", "content": ""}}]), event(choices=[{"delta": {"content": "a"}}]),
        event(choices=[{"delta": {"content": "b"}}]), event(choices=[{"delta": {"content": "c"}, "finish_reason": "length"}]),
        event(choices=[], usage={"prompt_tokens": 50, "completion_tokens": 3}), {"response": "data: [DONE]\n\n"},
    ]  # fmt: skip
    request = {
        "timestamp": timestamp, "request_inputs": {"payload": json.dumps({"model": "llama"})}, "response_timestamps": stamps,
        "response_outputs": outputs,
    }  # fmt: skip
    return {
        "service_kind": "openai",
        "experiments": [{"experiment": {"mode": "concurrency", "value": 1}, "requests": [request]}],
    }


def test_perf_analyzers_responses_are_read_for_text_usage_and_finish(home: Home, tmp_path: Path) -> None:
    imported(home, "genai-perf", saved(tmp_path / "profile_export.json", exported()))
    row = rows(home).row(0, named=True)
    # text came after 40, 60 and 80 ms; the stream ended at 82
    assert (row["first_token_ns"] - row["sent_ns"], row["gaps_us"]) == (40 * MS, [20_000, 20_000])
    assert (row["closed_ns"] - row["sent_ns"], row["token_chunks"], row["finish_reason"]) == (82 * MS, 3, "length")
    assert (row["input_tokens"], row["output_tokens"], row["output_token_source"], row["model"]) == (
        50,
        3,
        "usage",
        "llama",
    )


def test_perf_analyzers_times_in_another_unit_or_absent_are_refused(home: Home, tmp_path: Path) -> None:
    with pytest.raises(ResultFileError, match="timestamp: 1795166448 is in 1970 as nanoseconds"):
        imported(home, "genai-perf", saved(tmp_path / "profile_export.json", exported(1_795_166_448)))
    with pytest.raises(ResultFileError, match="no request has a timestamp: without them there is no window"):
        imported(home, "genai-perf", saved(tmp_path / "profile_export.json", exported(None)))
