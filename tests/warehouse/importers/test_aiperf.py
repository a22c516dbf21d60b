"""AIPerf's records become request traces that keep the contract; what cannot be true does not."""

import gzip
import json
from pathlib import Path

import pytest

from schemas.errors import ResultFileError
from tests.warehouse.importers.made import (
    DATA,
    aiperf_record,
    aiperf_summary,
    imported,
    jsonl,
    real,
    rejected,
    rows,
)
from warehouse.home import Home

RECORDS = [aiperf_record(index) for index in range(40)]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@real
def test_the_real_records_land_with_every_time_and_gap_that_they_have(home: Home) -> None:
    (outcome,) = imported(home, "aiperf", DATA / "aiperf" / "profile_export.jsonl")
    assert (outcome.status, outcome.requests, outcome.level.concurrency) == ("landed", 32, 32)
    traces = rows(home)
    assert set(traces["clock_source"]) == {"imported"}
    assert set(traces["client_version"]) == {"aiperf 0.13.0"}
    # by hand: of the 32 values of time_to_first_token, sorted, the 16th is 210.317458 and the 17th 210.549664 ms
    ttft = ((traces["first_token_ns"] - traces["sent_ns"]) / 1e6).sort()
    assert (ttft[15] + ttft[16]) / 2 == pytest.approx(210.433561, abs=1e-6)
    assert ttft.mean() == pytest.approx(213.068963, abs=1e-6)
    # 32 answers of 100 tokens in 100 chunks: 3168 gaps, the longest 139.621839 ms
    gaps = traces["gaps_us"].explode()
    assert (len(gaps), gaps.max(), set(traces["token_chunks"])) == (3168, 139_622, {100})
    assert (traces["output_tokens"].sum(), set(traces["output_token_source"])) == (3200, {"usage"})
    # the first was sent at 1795166448.800355912 s, the 51 649 s since midnight of the epoch before
    assert str(traces["epoch_wall_at"][0]) == "2026-11-20 00:00:00"
    assert traces["sent_ns"][0] == 1_795_166_448_800_355_912 - 1_795_132_800_000_000_000


@real
def test_the_real_summary_counts_128_where_its_records_are_32_and_is_kept_aside_with_both(home: Home) -> None:
    (outcome,) = imported(home, "aiperf", *sorted((DATA / "aiperf").glob("profile_export*")))
    assert outcome.status == "landed"
    (aside,) = rejected(home)
    assert "request_count: the summary says 128, the records 32" in aside["reason"]
    assert aside["content"]["ttft_mean_ms"] == pytest.approx(207.744646)
    assert any("contradicts" in note for note in outcome.notes)


@real
def test_the_real_summary_alone_is_a_point_of_128_requests(home: Home) -> None:
    (outcome,) = imported(home, "aiperf", DATA / "aiperf" / "profile_export_aiperf.json")
    point = rows(home, "summary_points").row(0, named=True)
    assert (outcome.level.concurrency, point["requests"], point["failed_requests"]) == (32, 128, 0)
    # by hand: 128 / 8.971590912 s is 14.267258, which AIPerf says as 14.259407, 0.06 % less; 10,901 input tokens / 128
    assert (point["request_rps"], point["duration_s"]) == (14.259407372416801, 8.971590912)
    assert point["request_rps"] == pytest.approx(128 / 8.971590912, rel=1e-3)
    assert point["output_tps"] == pytest.approx(100 * point["request_rps"])
    assert point["input_tokens_mean"] == pytest.approx(10_901 / 128)
    assert (point["ttft_p50_ms"], point["tpot_p50_ms"]) == (205.695971, pytest.approx(20.108662, abs=1e-6))
    assert point["chunk_gap_max_ms"] == pytest.approx(139.621839)


def test_a_summary_that_says_what_its_records_say_names_model_load_and_lengths(home: Home, tmp_path: Path) -> None:
    path = jsonl(tmp_path / "profile_export.jsonl", *RECORDS)
    path.with_name("profile_export_aiperf.json").write_text(json.dumps(aiperf_summary()))
    (outcome,) = imported(home, "aiperf", path)
    assert (outcome.status, outcome.notes, rejected(home)) == ("landed", [], [])
    assert outcome.run_id.startswith("2026-11-20_e_isl50-osl4_")
    assert set(rows(home).select("model", "concurrency", "target_output_tokens").row(0)) == {"llama", 2, 4}


def test_without_the_summary_the_load_is_the_most_requests_in_flight_at_once_and_that_is_said(
    home: Home, tmp_path: Path
) -> None:
    (outcome,) = imported(home, "aiperf", jsonl(tmp_path / "profile_export.jsonl", *RECORDS))
    assert outcome.level.concurrency == 2  # each lasts 100 ms and one starts every 50 ms
    assert "the most requests in flight at once" in outcome.notes[0]
    (said,) = imported(home, "aiperf", tmp_path / "profile_export.jsonl", concurrency=3, endpoint="other")
    assert (said.level.concurrency, said.notes) == (3, [])


def test_records_without_chunk_times_have_none(home: Home, tmp_path: Path) -> None:
    record = aiperf_record()
    del record["metrics"]["inter_chunk_latency"]
    imported(home, "aiperf", jsonl(tmp_path / "profile_export.jsonl", record))
    assert rows(home).select("gaps_us", "token_chunks", "chunk_token_source").row(0) == (None, None, None)


def test_failed_requests_are_rows_that_say_how(home: Home, tmp_path: Path) -> None:
    errors = {
        "http_error": {"code": 503, "type": "HTTPError", "message": "busy"},
        "timeout": {"code": None, "type": "RequestTimeout", "message": "after 5 s"},
        "connect_error": {"type": "ClientConnectorError", "message": "refused"},
        "malformed": "no dict at all",
    }
    failed = [
        aiperf_record(i, metrics={"error_isl": {"value": 7, "unit": "tokens"}}, error=e)
        for i, e in enumerate(errors.values())
    ]
    cancelled = aiperf_record(
        9, metadata={"was_cancelled": True}, metrics=None, error={"type": "RequestCancellationError", "code": 499}
    )
    imported(home, "aiperf", jsonl(tmp_path / "profile_export.jsonl", *failed, cancelled, aiperf_record(20)))
    assert rows(home)["outcome"].to_list() == [*errors, "cancelled", "ok"]
    assert rows(home)["http_status"].to_list() == [503, None, None, None, None, None]
    assert rows(home)["input_tokens"].to_list() == [7, 7, 7, 7, None, 50]


def test_units_are_read_as_they_are_named(home: Home, tmp_path: Path) -> None:
    seconds = aiperf_record(
        ms={"time_to_first_token": 0.04, "request_latency": 0.1, "inter_chunk_latency": [0.02] * 3}, unit="s"
    )
    imported(home, "aiperf", jsonl(tmp_path / "profile_export.jsonl", seconds))
    assert rows(home)["gaps_us"].to_list() == [[20_000] * 3]
    assert (rows(home)["first_token_ns"] - rows(home)["sent_ns"]).to_list() == [40_000_000]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        # 40 records of 100 ms: 4 s in flight by the nanoseconds, 0.004 s or 4000 s by the metric
        ({"ms": {"time_to_first_token": 0.04, "request_latency": 0.1, "inter_chunk_latency": [0.02] * 3}}, "request_latency: sums to 0.004 s"),
        ({"unit": "s"}, "request_latency: sums to 4000 s by its unit, while request_start_ns to request_end_ns sum to 4"),
        ({"ms": {"inter_chunk_latency": [0.02] * 3}}, "inter_chunk_latency: sums to 2.4 ms"),
        ({"ms": {"time_to_first_token": 4000.0}}, "time_to_first_token: sums to 160000 ms by its unit, more than request_latency, 4000 ms"),
        ({"unit": "fortnights"}, "time_to_first_token: found unit 'fortnights', expected one of ns, us"),
    ],
)  # fmt: skip
def test_a_wrong_unit_is_refused_with_the_numbers_that_gave_it_away(
    home: Home, tmp_path: Path, wrong: dict[str, object], says: str
) -> None:
    path = jsonl(tmp_path / "profile_export.jsonl", *(aiperf_record(i, **wrong) for i in range(40)))
    (outcome,) = imported(home, "aiperf", path)
    assert outcome.status == "refused"
    assert says in outcome.message
    assert rows(home).is_empty()
    assert list(home.incoming.iterdir()) == []


def test_a_file_cut_short_in_a_record_lands_all_the_others_and_keeps_the_rest_of_the_line(
    home: Home, tmp_path: Path
) -> None:
    path = jsonl(tmp_path / "profile_export.jsonl", *RECORDS)
    path.write_bytes(path.read_bytes()[:-200])
    (outcome,) = imported(home, "aiperf", path)
    assert (outcome.requests, outcome.quarantined) == (39, 1)
    (aside,) = rejected(home)
    assert (aside["where"], aside["reason"].split(":")[0]) == ("line 40", "no record of AIPerf, or cut short")
    assert aside["content"]["line"].startswith('{"metadata": {"x_request_id": "id-39"')


def test_lines_of_something_else_are_kept_aside_with_line_and_field(home: Home, tmp_path: Path) -> None:
    without_time = aiperf_record(5)
    del without_time["metadata"]["request_start_ns"]
    text_time = aiperf_record(6, metadata={"request_start_ns": "yesterday"})
    path = jsonl(
        tmp_path / "profile_export.jsonl", *RECORDS[:4], "WARNING: not JSON", {"ttft_s": 1}, without_time, text_time, ""
    )
    (outcome,) = imported(home, "aiperf", path)
    assert (outcome.requests, outcome.quarantined) == (4, 4)
    assert [(r["where"], r["reason"].partition(": ")[2]) for r in rejected(home)] == [
        ("line 5", "Expecting value: line 1 column 1 (char 0)"),
        ("line 6", "Object missing required field `metadata`"),
        ("line 7", "Object missing required field `request_start_ns` - at `$.metadata`"),
        ("line 8", "Expected `int`, got `str` - at `$.metadata.request_start_ns`"),
    ]


def test_a_request_id_that_comes_twice_counts_once_and_both_lines_are_kept(home: Home, tmp_path: Path) -> None:
    again = aiperf_record(2, ms={"time_to_first_token": 39.0})
    (outcome,) = imported(home, "aiperf", jsonl(tmp_path / "profile_export.jsonl", *RECORDS, again))
    assert (outcome.requests, outcome.quarantined) == (40, 1)
    (aside,) = rejected(home)
    assert aside["reason"] == "request id id-2 was on line 3 already"
    both = [json.loads(aside["content"][name])["metrics"]["time_to_first_token"]["value"] for name in ("first", "line")]
    assert both == [40.0, 39.0]


def test_what_breaks_the_contract_goes_to_quarantine_and_the_rest_lands(home: Home, tmp_path: Path) -> None:
    unstreamed = aiperf_record(40)
    del unstreamed["metrics"]["time_to_first_token"], unstreamed["metrics"]["inter_chunk_latency"]
    (outcome,) = imported(home, "aiperf", jsonl(tmp_path / "profile_export.jsonl", *RECORDS, unstreamed))
    assert (outcome.requests, outcome.quarantined) == (40, 1)
    assert len(list((home.quarantine / "request_traces").rglob("*.parquet"))) == 1


def test_records_none_of_which_keep_the_contract_are_refused(home: Home, tmp_path: Path) -> None:
    more_cached_than_sent = aiperf_record(0)
    more_cached_than_sent["metrics"]["usage_prompt_cache_read_tokens"] = {"value": 51, "unit": "tokens"}
    (outcome,) = imported(home, "aiperf", jsonl(tmp_path / "profile_export.jsonl", more_cached_than_sent))
    assert outcome.status == "refused"
    assert "nothing of it keeps the contract (cached_input_tokens: " in outcome.message


def test_nan_which_json_has_not_is_read_as_unknown(home: Home, tmp_path: Path) -> None:
    record = json.dumps(aiperf_record()).replace('"value": 50', '"value": NaN')
    imported(home, "aiperf", jsonl(tmp_path / "profile_export.jsonl", record))
    assert rows(home).select("input_tokens", "input_token_source", "output_tokens").row(0) == (None, None, 4)


def test_gzip_and_a_byte_order_mark_change_nothing(home: Home, tmp_path: Path) -> None:
    plain = jsonl(tmp_path / "profile_export.jsonl", *RECORDS)
    packed = tmp_path / "gz" / "profile_export.jsonl.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbf" + plain.read_bytes(), mtime=0))
    assert [o.status for o in imported(home, "aiperf", plain)] == ["landed"]
    assert [o.status for o in imported(home, "aiperf", packed)] == ["already there"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        ("{}\n".encode("utf-16"), "is UTF-16, expected UTF-8: iconv -f UTF-16"),
        (b"\n\n", "no AIPerf record in it (only empty lines)"),
        (b'{"end_to_end_latency_s": 1}\n', "line 1: Object missing required field `metadata`"),
        (gzip.compress(b'{"metadata"' * 9000, mtime=0)[:40], "the gzip stream is damaged or cut short"),
        (json.dumps(aiperf_record(metadata={"request_start_ns": 1_795_166_448})).encode(), "found 1795166448, expected nanoseconds since 1970"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_refused_with_what_was_expected(
    home: Home, tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / "profile_export.jsonl").write_bytes(content)
    with pytest.raises(ResultFileError) as error:
        imported(home, "aiperf", tmp_path / "profile_export.jsonl")
    assert says in str(error.value)
    assert str(tmp_path / "profile_export.jsonl") in str(error.value)


def test_a_folder_stands_for_the_result_files_in_it_and_one_without_any_is_told(home: Home, tmp_path: Path) -> None:
    (tmp_path / "run" / "deep").mkdir(parents=True)
    jsonl(tmp_path / "run" / "deep" / "profile_export.jsonl", *RECORDS)
    (tmp_path / "run" / "inputs.json").write_text("{}")
    assert [o.status for o in imported(home, "aiperf", tmp_path / "run")] == ["landed"]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ResultFileError, match="is a directory without a result file"):
        imported(home, "aiperf", tmp_path / "nothing")
