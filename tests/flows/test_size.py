"""`ratecard size` as a user calls it: the answer, JSON, the workbook, and what is wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flows.cli import cli
from tests.reports.houses import nvidia_home

Call = Callable[..., Result]
ASKED = ("--endpoint", "endpoint", "--slo", "offline", "--peak-rps", "95")


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Call:
    home = nvidia_home(tmp_path_factory.mktemp("nvidia"))
    return lambda *arguments: CliRunner().invoke(cli, ["size", "--home", str(home.root), *arguments])


def words(text: str, start: str) -> list[str]:
    """The words of the first line that begins so."""
    return next(line.split() for line in text.splitlines() if line.split()[: len(start.split())] == start.split())


def test_the_nvidia_chain_in_a_terminal(call: Call) -> None:
    result = call(*ASKED, "--mean-rps", "40", "--price-plan", "own", "--price-plan", "rent", "--price-plan", "api")
    assert result.exit_code == 0, result.output
    said = result.output
    assert "Run at concurrency 10 (run-a1-l1): 10 requests/s" in said
    assert words(said, "instances")[1:] == ["10", "10", "for", "the", "peak,", "0", "headroom,", "0", "spare"]
    assert words(said, "servers")[1:] == ["3", "of", "8", "GPUs;", "4", "of", "24", "GPUs", "stranded"]
    # to three figures both ends of the interval are the price itself, and it is left out
    assert words(said, "own capacity") == [
        "own", "capacity", "$262,500", "120", "$0.06937", "$0.00006937", "$0.03468", "$0.01734", "$0.01734", "$0.05202",
    ]  # fmt: skip
    assert words(said, "own demand")[2:6] == ["$262,500", "40", "$0.2081", "$0.0002081"]
    # the same instances work 40 of 100: 87,500, a quarter of it input by price; by time nine tenths are output
    assert words(said, "stranded")[1] == "$43,750.00"
    assert words(said, "idle")[1] == "$131,250.00"
    assert words(said, "input")[1] == "$21,875.00"
    assert words(said, "output")[1] == "$65,625.00"
    assert words(said, "sum") == ["sum", "$262,500.00", "100", "%", "$262,500.00", "100", "%"]
    assert "Break-even of own with api: 65,625,000 requests a year (2.081 requests/s" in said
    assert "Break-even of own with rent: 4,375 hours a year, 49.9 % of it." in said
    # a mean of 36 instead of 40 costs 1 / 0.9 of it
    assert words(said, "mean_rps")[-6:] == ["36", "$0.1156", "+11.1%", "44", "$0.09459", "-9.1%"]


def test_json_has_rows_as_the_warehouse_names_them(call: Call) -> None:
    answer = json.loads(call(*ASKED, "--mean-rps", "40", "--json").output)
    assert (answer["fleet"]["servers"], answer["price_plan"], answer["compared_by"]) == (
        3,
        "own",
        "usd_per_mtok, demand",
    )
    assert answer["asked"] == {
        "endpoint": "endpoint", "slo": "offline", "peak_rps": 95.0, "mean_rps": 40.0, "price_plans": [],
    }  # fmt: skip
    assert {row["cost_basis"] for row in answer["cost_per_million_tokens"]} == {"capacity", "slo", "demand"}
    shown = [row["usd_shown"] for row in answer["cost_ledger"] if row["price_plan"] == "own"]
    assert sum(usd or 0 for usd in shown) == pytest.approx(2 * 262_500)  # by two methods
    assert answer["sensitivity"][0]["input"] in ("mean_rps", "depreciation_years", "server_price", "output_tokens_mean")


def test_the_workbook_is_written(call: Call, tmp_path: Path) -> None:
    result = call(*ASKED, "--workbook", str(tmp_path / "tco.xlsx"))
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, f"wrote {tmp_path / 'tco.xlsx'}")
    assert (tmp_path / "tco.xlsx").read_bytes()[:2] == b"PK"


def test_without_a_mean_it_says_what_the_answer_stands_on(call: Call) -> None:
    said = call(*ASKED).output
    assert "the mean is not known: --mean-rps or --peak-to-average" in said
    assert "at the peak: the mean rate is not known" in said
    assert words(said, "own demand")[2:5] == ["$262,500", "–", "–"]


def test_an_slo_that_nothing_meets_is_an_answer_with_exit_code_1(call: Call) -> None:
    asked = ("--endpoint", "endpoint", "--slo", "quick", "--peak-rps", "95")
    result = call(*asked, "--workbook", "never.xlsx")
    assert result.exit_code == 1
    assert (
        "Infeasible: none of 1 valid points meets the SLO. The nearest miss is run-a1-l1: TTFT p50 100 against 1"
        in result.output
    )
    assert result.output.endswith("ratecard: no fleet\n")
    answer = call(*asked, "--json")
    assert (answer.exit_code, json.loads(answer.stdout)["best_operating_point"]["status"]) == (1, "infeasible")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--endpoint", "x", "--slo", "offline", "--peak-rps", "9"), "--endpoint x: nothing measured for it"),
        ((*ASKED, "--mean-rps", "99"), "mean_rps (99) is above peak_rps (95)"),
        ((*ASKED, "--mean-rps", "9", "--peak-to-average", "2"), "give mean_rps or peak_to_average, not both"),
        ((*ASKED, "--price-plan", "nope"), "--price-plan nope: expected one of api, own, rent"),
        ((*ASKED, "--night", "1999"), "--night 1999: expected latest or one of 2026-06-01T02:00:00"),
        ((*ASKED, "--catalog", "/nowhere"), "no catalog folder at /nowhere"),
        (("--slo", "offline", "--peak-rps", "9"), "Missing option '--endpoint'"),
        ((*ASKED, "--uptime", "1.5"), "1.5 is not in the range 0<x<=1"),
        ((*ASKED, "--workbook", "/nowhere/tco.xlsx"), "--workbook /nowhere/tco.xlsx: cannot be written"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(call: Call, arguments: tuple[str, ...], says: str) -> None:
    result = call(*arguments)
    assert (result.exit_code, says in result.output) == (2, True), result.output
