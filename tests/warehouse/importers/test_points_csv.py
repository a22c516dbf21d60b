"""A CSV of operating points, by the names of operating_points."""

from pathlib import Path

import pytest

from schemas.errors import ResultFileError
from tests.warehouse.importers.made import imported, rows
from warehouse.home import Home

HEADER = "night,concurrency,request_rps,output_tps,input_tokens_mean,output_tokens_mean,ttft_p50_ms,tpot_p50_ms,e2e_mean_ms,remark"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def table(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "points.csv"
    path.write_text("\n".join(lines))
    return path


def test_rows_are_levels_of_a_run_and_columns_of_others_are_left_alone(home: Home, tmp_path: Path) -> None:
    path = table(
        tmp_path, HEADER, "2026-11-20,4,2,200,1000,100,500,15,2000,by hand", "2026-11-20,8,4,400,1000,100,,,2000,"
    )
    outcomes = imported(home, "csv", path)
    assert [(o.level.concurrency, o.status) for o in outcomes] == [(4, "landed"), (8, "landed")]
    assert {o.run_id.rpartition("_")[0] for o in outcomes} == {"2026-11-20_e_isl1000-osl100"}
    assert [o.notes for o in outcomes] == [["columns that are none of ours are left alone: remark"], []]
    first, second = rows(home, "summary_points").rows(named=True)
    assert (first["ttft_p50_ms"], first["requests"], first["failed_requests"]) == (500.0, None, 0)
    assert (second["ttft_p50_ms"], second["request_rps"]) == (None, 4.0)


def test_counts_follow_from_each_other(home: Home, tmp_path: Path) -> None:
    header = "run_date,request_rate,request_rps,window_s,requests_in_window,error_share,total_tps,output_tps"
    imported(home, "csv", table(tmp_path, header, "2026-11-20,2.5,1.9,100,200,0.05,380,190"))
    point = rows(home, "summary_points").row(0, named=True)
    # 5 % of 200 failed; 190 completed in 100 s; 380 tokens/s of which 190 are output
    assert (point["requests"], point["failed_requests"], point["completed_requests"]) == (200, 10, 190)
    assert (point["duration_s"], point["input_tps"], point["request_rate"]) == (100.0, 190.0, 2.5)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (("concurrency,ttft_p50_s", "4,0.5"), "line 1: column ttft_p50_s: expected ttft_p50_ms, in milliseconds"),
        (("concurrency,ttft_p50", "4,500"), "line 1: column ttft_p50: expected ttft_p50_ms"),
        (("concurrency,median_ttft_ms", "4,500"), "column median_ttft_ms: expected <metric>_<statistic>_ms, as ttft_p50_ms"),
        (("concurrency,TTFT_P50_MS", "4,500"), "column TTFT_P50_MS: expected ttft_p50_ms, in small letters"),
        (("when,what", "1,2"), "no column of ours in it (found when, what)"),
        (("concurrency,concurrency", "1,2"), "column concurrency is there twice"),
        (("concurrency,request_rps",), "has a header and no rows"),
        (("concurrency,request_rps", "4"), "line 2: found another number of cells than the header has names (2)"),
        (("concurrency,request_rps", '4,"1,5"'), "line 2: request_rps: found '1,5', expected a number with a point"),
        (("concurrency,request_rps", "4,nan"), "request_rps: found nan, expected a number of 0 or more; leave it empty if unknown"),
        (("concurrency,request_rps", "4.5,1"), "concurrency: found 4.5, expected a whole number"),
        (("request_rps,output_tps", "4,1"), "give --concurrency N"),
        (("night,concurrency,request_rps", "20th,4,1"), "night: found '20th', expected ISO 8601"),
        # 4 requests/s x 0.002 s
        (("night,concurrency,request_rps,e2e_mean_ms", "2026-11-20,8,4,2"), "would be 0.008 in flight, at a concurrency of 8"),
        (("night,concurrency,request_rps,duration_s,requests", "2026-11-20,8,4,10,4000"), "4/s x 10 s = 40 requests, but the file counts 4000"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_told_with_line_column_and_what_was_expected(
    home: Home, tmp_path: Path, lines: tuple[str, ...], says: str
) -> None:
    with pytest.raises(ResultFileError) as error:
        imported(home, "csv", table(tmp_path, *lines))
    assert says in str(error.value)


def test_a_row_that_is_there_with_other_values_is_a_conflict(home: Home, tmp_path: Path) -> None:
    path = table(tmp_path, "night,concurrency,request_rps", "2026-11-20,4,2", "2026-11-20,4,2", "2026-11-20,4,3")
    assert [o.status for o in imported(home, "csv", path)] == ["landed", "already there", "conflict"]
