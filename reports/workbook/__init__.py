"""The calculator that finance opens: `ratecard size … --workbook tco.xlsx`, with live formulas.

Four sheets: assumptions, what was measured, results, and the ledger. Every figure is a formula over the assumptions, by
the names of docs/economics.md, and its cell holds the transforms' own figure for a reader that does not calculate.
"""

from pathlib import Path

from xlsxwriter import Workbook
from xlsxwriter.exceptions import XlsxWriterException

from reports.workbook import assumptions_sheet, inputs, points_sheet, result_sheets
from reports.workbook.calculation import Calculation, Plan
from reports.workbook.sql_figures import Figures
from schemas.errors import UsageError
from warehouse.sizing import Sizing

SHEETS = (assumptions_sheet.SHEET, result_sheets.RESULTS, result_sheets.LEDGER, points_sheet.SHEET)
_OPTIONS = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}


def write_workbook(sizing: Sizing, path: Path) -> Calculation:
    """Write `sizing` as a workbook to `path`; returns what was calculated.

    Raises:
        UsageError: no point was chosen, the endpoint is one pool of a disaggregated fleet, or `path` cannot be written.

    """
    if sizing.fleet is None or sizing.inputs is None:
        raise UsageError("--workbook: there is no chosen operating point to calculate with")
    if sizing.fleet["role"] not in (None, "aggregated"):
        raise UsageError(f"--workbook: a {sizing.fleet['role']} pool is half a fleet; size an aggregated endpoint")
    plans = _plans(sizing)
    against = {"rent": _cheapest(sizing, plans, "server", "gpu"), "api": _cheapest(sizing, plans, "api")}
    best = sizing.best
    title = f"{best['endpoint']}, {best['workload']}, SLO {best['slo']}"
    try:
        with Workbook(str(path), _OPTIONS) as book:
            book.set_properties({"title": f"Ratecard: {title}"[:255], "created": best["night"]})
            book.set_size(2400, 1500)
            calculation = Calculation(book, plans, inputs.of_plans() | result_sheets.of_plans())
            for name in SHEETS:
                book.add_worksheet(name)
            labels = points_sheet.write(calculation, sizing.points, best["operating_point_id"], title)
            assumptions_sheet.write(calculation, sizing, labels, against, title)
            figures = Figures(sizing, against)
            result_sheets.write_results(calculation, figures, title)
            result_sheets.write_ledger(calculation, figures, title)
    except (XlsxWriterException, OSError) as error:
        raise UsageError(f"--workbook {path}: cannot be written ({error}); choose another file") from error
    return calculation


def _plans(sizing: Sizing) -> list[Plan]:
    """The plans that apply, own first, then rent, then APIs, each kind by name."""
    offers = [row for row in sizing.rows("sized_offers") if row["rate_name"] == "rate"]
    order = {"own": 0, "rent": 1, "api": 2}
    offers.sort(key=lambda row: (order[row["kind"]], row["price_plan"]))
    kinds = {"instance": "gpu", "unit": "unit", "request": "api"}
    return [
        Plan(number, row["price_plan"], "own" if row["kind"] == "own" else kinds.get(row["unit"], "server"), row)
        for number, row in enumerate(offers, 1)
    ]


def _cheapest(sizing: Sizing, plans: list[Plan], *kinds: str) -> str | None:
    """The cheapest plan of its kind, to compare with."""
    names = [plan.name for plan in plans if plan.kind in kinds]
    return next((name for name in (*sizing.ranked, *names) if name in names), None)
