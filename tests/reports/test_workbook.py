"""The workbook says what SQL says: as it is written, calculated anew by LibreOffice, and after somebody typed in it."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from reports.workbook import write_workbook
from reports.workbook.calculation import Calculation, same
from schemas.catalog import Catalog
from schemas.errors import UsageError
from tests.reports.houses import (
    NVIDIA,
    measured_home,
    nvidia_home,
    rich_home,
    uncounted_nvidia_home,
    wide_home,
)
from tests.reports.spreadsheets import SOFFICE, formulas, recalculated, texts, typed_over, value
from warehouse.ask import ask
from warehouse.home import Home
from warehouse.size import size
from warehouse.sizing import Question, Sizing

needs_libreoffice = pytest.mark.skipif(SOFFICE is None, reason="LibreOffice is not installed")


@dataclass(frozen=True)
class Case:
    """A home and what is asked of it."""

    home: Callable[[Path], Home]
    demand: dict[str, Any]
    endpoint: str = "endpoint"
    slo: str = "offline"


CASES = {
    "nvidia": Case(nvidia_home, {"peak_rps": 95.0, "mean_rps": 40.0}),
    "full": Case(nvidia_home, {"peak_rps": 95.0, "mean_rps": 40.0, "headroom": 0.2, "spares": 2, "uptime": 0.97}),
    "peak-alone": Case(nvidia_home, {"peak_rps": 95.0}),
    "budget": Case(
        nvidia_home, {"peak_rps": 95.0, "peak_to_average": 3.0, "headroom": 0.3, "spares": 1, "max_gpus": 19}
    ),
    "rich": Case(rich_home, {"peak_rps": 95.0, "mean_rps": 31.0, "headroom": 0.1, "spares": 1, "uptime": 0.99}),
    "wide": Case(wide_home, {"peak_rps": 95.0, "mean_rps": 40.0}),
    "uncounted": Case(uncounted_nvidia_home, {"peak_rps": 95.0, "mean_rps": 40.0}),
    "measured": Case(measured_home, {"peak_rps": 95.0, "mean_rps": 40.0, "spares": 1}, "llama-8b-h200", "interactive"),
}


@dataclass(frozen=True)
class Written:
    """A workbook, what it was written from, and what it gives."""

    path: Path
    home: Home
    sizing: Sizing
    calculation: Calculation


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    found: dict[str, Written] = {}
    homes: dict[Callable[[Path], Home], Home] = {}
    for name, case in CASES.items():
        folder = tmp_path_factory.mktemp(name)
        if case.home not in homes:
            homes[case.home] = case.home(folder)
        home = homes[case.home]
        sizing = size(home, Question(case.endpoint, case.slo, case.demand), what_ifs=False)
        path = folder / f"{name}.xlsx"
        found[name] = Written(path, home, sizing, write_workbook(sizing, path))
    return found


@pytest.fixture(scope="module")
def retyped(written: dict[str, Written], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Copies in which somebody typed another peak, price, headroom or operating point."""
    folder = tmp_path_factory.mktemp("retyped")

    def copy(name: str, base: str, **cells: float | str) -> Path:
        places = written[base].calculation.places
        return typed_over(written[base].path, folder / f"{name}.xlsx", {places[cell]: to for cell, to in cells.items()})

    return {
        "peak": copy("peak", "nvidia", peak_rps=205.0),
        "price": copy("price", "nvidia", server_price_1=400_000.0),
        "more": copy("more", "rich", peak_rps=333.0, headroom=0.25, mean_rps=222.0),
        "point": copy("point", "measured", operating_point="c=4 · tuesday-a1-l3"),
        "none-good": copy("none-good", "measured", operating_point="c=32 · tuesday-a1-l6"),
    }


@pytest.fixture(scope="module")
def sheets(
    written: dict[str, Written], retyped: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    books = [*(book.path for book in written.values()), *retyped.values()]
    return recalculated(books, tmp_path_factory.mktemp("libreoffice"))


def test_the_nvidia_chain_in_cells(written: dict[str, Written]) -> None:
    # 95 / 10: 10 instances of 2 GPUs, 3 servers of 8, 3 x 87,500 a year; 40 of 120 rps are used
    cells = written["nvidia"].calculation.values
    plan = {p.name: p.number for p in written["nvidia"].calculation.plans}["own"]
    assert (cells["instances"], cells["servers"], cells["stranded_gpus"]) == (10, 3, 4)
    assert cells[f"fleet_year_{plan}"] == 262_500
    assert cells[f"usd_per_1k_capacity_{plan}"] == pytest.approx(0.0693652, abs=5e-8)
    assert cells[f"usd_per_1k_demand_{plan}"] == pytest.approx(0.208096, abs=5e-7)
    buckets = {"stranded": 43_750, "idle": 131_250, "input": 21_875, "output": 65_625, "spare": 0, "unallocated": 0}
    assert {name: cells[f"bucket_{name}_{plan}"] for name in buckets} == pytest.approx(buckets)
    assert cells[f"even_requests_{plan}"] == pytest.approx(65_625_000)
    assert cells[f"even_hours_{plan}"] == pytest.approx(4_375)


@pytest.mark.parametrize("name", CASES)
def test_every_formula_gives_what_the_warehouse_says(written: dict[str, Written], name: str) -> None:
    calculation = written[name].calculation
    assert calculation.check() == {}
    assert sum(sql is not None for sql in calculation.sources.values()) > 80


@needs_libreoffice
@pytest.mark.parametrize("name", CASES)
def test_libreoffice_calculates_the_same(written: dict[str, Written], sheets: dict[str, Any], name: str) -> None:
    book = written[name]
    differing = {
        cell: (found, expected)
        for cell, expected in book.calculation.values.items()
        if not same(found := value(sheets[name], book.calculation.places[cell]), expected)
        and not (found is None and expected is None)
    }
    assert differing == {}
    assert errors(sheets[name]) == []


@needs_libreoffice
@pytest.mark.parametrize(
    ("name", "base", "demand", "server_price"),
    [
        ("peak", "nvidia", {"peak_rps": 205.0}, None),
        ("price", "nvidia", {}, 400_000.0),
        ("more", "rich", {"peak_rps": 333.0, "headroom": 0.25, "mean_rps": 222.0}, None),
    ],
)
def test_what_is_typed_over_gives_what_sql_gives_for_it(
    written: dict[str, Written], sheets: dict[str, Any], tmp_path: Path, name: str, base: str,
    demand: dict[str, Any], server_price: float | None,
) -> None:  # fmt: skip
    book, case, catalog = written[base], CASES[base], None
    if server_price is not None:
        raw = NVIDIA.model_dump()
        raw["prices"]["own"]["periods"][0]["server_price"] = server_price
        catalog = Catalog.model_validate(raw)
    asked = size(book.home, Question(case.endpoint, case.slo, case.demand | demand), catalog, what_ifs=False)
    expected = write_workbook(asked, tmp_path / "asked.xlsx").sources
    assert expected != book.calculation.sources
    found = {cell: value(sheets[name], book.calculation.places[cell]) for cell in expected}
    assert {cell: (found[cell], sql) for cell, sql in expected.items() if not same(found[cell], sql)} == {}


@needs_libreoffice
def test_another_operating_point_can_be_picked(written: dict[str, Written], sheets: dict[str, Any]) -> None:
    book, cells = written["measured"], sheets["point"]
    at = book.calculation.places
    [rate] = [p.row["request_rps"] for p in book.sizing.points if p.row["operating_point_id"] == "tuesday-a1-l3"]
    [fleet] = ask(book.home, "from size_fleet(95, ?, 1, 8, spares := 1)", [rate]).objects()
    assert value(cells, at["instances"]) == fleet["instances"]
    assert value(cells, at["utilisation"]) == pytest.approx(fleet["utilisation"])
    # the time shares of a point that was not chosen are not known: no bucket is made up, and the year still adds up
    assert value(cells, at["bucket_input_by_time_1"]) == "n/a"
    assert [row[2] for row in cells["Ledger"] if row[0].startswith("Check")] == ["OK", "OK"]


@needs_libreoffice
def test_a_point_without_a_good_request_has_no_price_of_one(
    written: dict[str, Written], sheets: dict[str, Any]
) -> None:
    at, cells = written["measured"].calculation.places, sheets["none-good"]
    assert (value(cells, at["good_share"]), value(cells, at["usd_per_1k_slo_1"])) == (0, "n/a")
    assert errors(cells) == []


def errors(cells: dict[str, list[list[str]]]) -> list[str]:
    """Cells that show an error."""
    return [text for sheet in cells.values() for row in sheet for text in row if text.startswith(("#", "Err:"))]


def test_what_is_not_known_is_no_number(written: dict[str, Written]) -> None:
    cells = written["uncounted"].calculation.values
    names = ("usd_per_mtok_capacity_1", "usd_per_mtok_input_demand_1", "bucket_input_1", "input_tokens")
    assert [cells[name] for name in names] == ["n/a"] * 4
    assert cells["usd_per_1k_capacity_1"] == pytest.approx(0.0693652, abs=5e-8)  # a request has its price
    without_mean = written["peak-alone"].calculation.values
    assert (without_mean["mean_rps"], without_mean["usd_per_1k_demand_1"]) == (None, "n/a")


def test_names_are_never_formulas(written: dict[str, Written], tmp_path: Path) -> None:
    hostile = '=HYPERLINK("http://x","y")&\'🚀\'*?~'
    book = written["nvidia"]

    def renamed(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
        names = {"own": hostile}
        return {
            scenario: [
                row
                | {c: names.get(row[c], row[c]) for c in ("price_plan", "other_plan") if c in row}
                | {"source": hostile}
                for row in found
            ]
            for scenario, found in rows.items()
        }

    [point] = book.sizing.points
    ids = {"operating_point_id": hostile, "run_id": hostile}
    sizing = replace(
        book.sizing,
        best=book.sizing.best | {"endpoint": hostile, "slo": "+1", "workload": "@x"} | ids,
        points=[replace(point, row=point.row | ids)],
        results={table: renamed(rows) for table, rows in book.sizing.results.items()},
    )
    path = tmp_path / "hostile.xlsx"
    calculation = write_workbook(sizing, path)
    assert [text for text in formulas(path) if "HYPERLINK" in text or "🚀" in text] == []
    assert {hostile, f"{hostile}, @x, SLO +1", f"c=10 · {hostile}"} <= set(texts(path))
    if SOFFICE is not None:
        cells = recalculated([path], tmp_path / "libreoffice")["hostile"]
        assert value(cells, calculation.places["point_row"]) == 1
        assert value(cells, calculation.places["fleet_year_1"]) == 262_500


def test_without_a_chosen_point_there_is_no_workbook(written: dict[str, Written], tmp_path: Path) -> None:
    sizing = size(written["nvidia"].home, Question("endpoint", "quick", {"peak_rps": 95.0}))
    with pytest.raises(UsageError, match="no chosen operating point"):
        write_workbook(sizing, tmp_path / "none.xlsx")
    assert not (tmp_path / "none.xlsx").exists()


def test_a_file_that_cannot_be_written_is_said_so(written: dict[str, Written], tmp_path: Path) -> None:
    with warnings.catch_warnings(), pytest.raises(UsageError, match=r"--workbook .*cannot be written"):
        write_workbook(written["nvidia"].sizing, tmp_path / "missing" / "tco.xlsx")
