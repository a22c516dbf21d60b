"""Sheet 'Assumptions': every input with its unit and where it is from; what is coloured may be changed."""

from collections.abc import Sequence
from typing import Any

from reports.workbook import points_sheet
from reports.workbook.calculation import FIRST, Calculation
from reports.workbook.formulas import UNKNOWN
from reports.workbook.grid import Grid, address
from reports.workbook.inputs import DEMAND, HARDWARE, MEASURED, Input
from reports.workbook.lines import COUNT, SHARE, Line
from reports.workbook.plan_inputs import NOTES, VALUES, write_compared, write_plans
from warehouse.sizing import Point, Sizing

SHEET = "Assumptions"
_BUDGET = Line(
    "budget",
    "Budget in instances",
    "instances",
    'IF(COUNT(max_instances,max_gpus)=0, "none", MIN(IF(COUNT(max_instances)=1, max_instances, 1E+15),'
    " IF(COUNT(max_gpus)=1, INT(max_gpus/gpus_per_instance), 1E+15)))",
    COUNT,
    optional=("max_instances", "max_gpus"),
)
_GOOD_SHARE = Line("good_share", "Good requests of those served", "of requests", "good_rps/request_rps", SHARE)


def write(
    calculation: Calculation, sizing: Sizing, labels: Sequence[str], against: dict[str, str | None], title: str
) -> None:
    """Write the sheet; the points' labels are those of 'Operating points', `against` the plans to compare with."""
    grid = calculation.sheet(SHEET)
    row = _head(grid, sizing, title)
    row = _section(grid, calculation, row, "Demand", "Value")
    row = _inputs(grid, calculation, row, DEMAND, _demand(sizing))
    row = _section(grid, calculation, row, "Hardware", "Value")
    row = _inputs(grid, calculation, row, HARDWARE, _hardware(sizing)) - 1
    row = _calculated(grid, calculation, row, _BUDGET, "the smaller of the two; headroom is cut first, then spares") + 1
    row = _section(grid, calculation, row, "Operating point, measured", "Value")
    row = _point(grid, calculation, row, sizing, labels)
    grid.sheet.set_h_pagebreaks([row])
    row = _section(grid, calculation, row, "Price plans", *(plan.name for plan in calculation.plans))
    row = write_plans(grid, calculation, row)
    row = _section(grid, calculation, row, "Break-even: what to compare with", "Value")
    write_compared(grid, calculation, row, against)
    grid.sheet.freeze_panes(4, 2)
    grid.sheet.set_column(0, 0, 46)
    grid.sheet.set_column(1, 1, 18)
    grid.sheet.set_column(FIRST, calculation.last_column - 1, VALUES)
    grid.sheet.set_column(calculation.last_column, calculation.last_column, NOTES)
    grid.printed()


def _head(grid: Grid, sizing: Sizing, title: str) -> int:
    best = sizing.best
    grid.text(0, 0, title, "title")
    grid.text(1, 0, f"Night {best['night']:%Y-%m-%d %H:%M} UTC, metric version {best['metric_version']}, prices of "
              f"{sizing.prices}. Formulas: docs/economics.md.", "subtitle")  # fmt: skip
    for column, (text, style) in enumerate(
        (("Change what is coloured like this", "legend"), ("measured", "measured"), ("calculated", "formula"))
    ):
        grid.text(2, column, text, style)
    return 4


def _section(grid: Grid, calculation: Calculation, row: int, title: str, *values: str) -> int:
    """A section of one value a line, or of one for each plan."""
    last = calculation.last_column
    grid.line(row, [title, *([""] * last)], "section")
    grid.line(row + 1, ["Input", "Unit"], "header")
    if values == ("Value",):
        grid.text(row + 1, FIRST, "Value", "header_number")
        grid.wide_note(row + 1, FIRST + 1, last, "Source", "header_note")
        return row + 2
    for column in range(FIRST, last):
        grid.text(row + 1, column, values[column - FIRST] if column - FIRST < len(values) else "", "header_number")
    grid.text(row + 1, last, "Source", "header_note")
    return row + 2


def _source(grid: Grid, calculation: Calculation, row: int, text: str) -> None:
    """Where a single value is from."""
    grid.wide_note(row, FIRST + 1, calculation.last_column, text)


def _inputs(
    grid: Grid, calculation: Calculation, row: int, inputs: Sequence[Input], values: dict[str, tuple[Any, str]]
) -> int:
    for entry in inputs:
        value, source = values[entry.name]
        grid.text(row, 0, entry.label)
        grid.text(row, 1, entry.unit, "unit")
        grid.value(row, FIRST, value, "input", entry.number)
        grid.sheet.data_validation(row, FIRST, row, FIRST, entry.allowed)
        calculation.called(grid, entry.name, row, FIRST, value)
        _source(grid, calculation, row, source)
        row += 1
    return row + 1


def _demand(sizing: Sizing) -> dict[str, tuple[Any, str]]:
    assert sizing.inputs is not None
    row, asked = sizing.inputs.demand, sizing.question.demand
    by_average = {"mean_rps": "peak_to_average"}

    def source(name: str) -> str:
        option = name if name in asked else by_average.get(name, name)
        return f"ratecard size --{option.replace('_', '-')}" if option in asked else "default"

    return {entry.name: (row[entry.name], source(entry.name)) for entry in DEMAND}


def _hardware(sizing: Sizing) -> dict[str, tuple[Any, str]]:
    assert sizing.fleet is not None
    source = (
        f"endpoint {sizing.best['endpoint']} of the catalog, {sizing.fleet['accelerator'] or 'accelerator unknown'}"
    )
    return {entry.name: (sizing.fleet[entry.name], source) for entry in HARDWARE}


def _point(grid: Grid, calculation: Calculation, row: int, sizing: Sizing, labels: Sequence[str]) -> int:
    best = sizing.best
    [index] = [i for i, p in enumerate(sizing.points) if p.row["operating_point_id"] == best["operating_point_id"]]
    point = sizing.points[index]
    grid.text(row, 0, "Operating point (pick one)")
    grid.text(row, 1, "", "unit")
    grid.value(row, FIRST, labels[index], "input")
    cells = f"='{points_sheet.SHEET}'!{address(points_sheet.FIRST_ROW, 0)}:{address(points_sheet.FIRST_ROW + len(labels) - 1, 0)}"
    grid.sheet.data_validation(row, FIRST, row, FIRST, {"validate": "list", "source": cells})
    calculation.called(grid, "operating_point", row, FIRST, labels[index])
    _source(
        grid,
        calculation,
        row,
        f"highest request rate a GPU of those that meet SLO {best['slo']} (run {best['run_id']})",
    )
    row += 1
    grid.text(row, 0, "… its row on the sheet 'Operating points'")
    grid.text(row, 1, "", "unit")
    # EXACT, since a search would take * and ? for patterns
    where = "=SUMPRODUCT(EXACT(points_label,operating_point)*(ROW(points_label)-MIN(ROW(points_label))+1))"
    first = points_sheet.FIRST_ROW + 1
    where = where.replace("MIN(ROW(points_label))", str(first))
    grid.formula(row, FIRST, where, index + 1, COUNT)
    calculation.called(grid, "point_row", row, FIRST, index + 1)
    _source(grid, calculation, row, "")
    row += 1
    for name, column in points_sheet.looked_up().items():
        row = _measured(grid, calculation, row, name, column, point)
    return _calculated(grid, calculation, row, _GOOD_SHARE, "good_rps / request_rps") + 1


def _calculated(grid: Grid, calculation: Calculation, row: int, line: Line, note: str) -> int:
    grid.text(row, 0, line.label)
    grid.text(row, 1, line.unit, "unit")
    calculation.line(grid, row, FIRST, line)
    _source(grid, calculation, row, note)
    return row + 1


def _measured(grid: Grid, calculation: Calculation, row: int, name: str, column: str, point: Point) -> int:
    words = name.replace("_tokens", "").replace("_", " ")
    label, unit, number = MEASURED.get(name, (f"Σ tokens: {words}", "tokens", COUNT))
    if "requests" in name:
        label, unit = name.replace("_", " ").capitalize(), "requests"
    value = points_sheet.value_of(point, column)
    value = UNKNOWN if value is None else value
    found = f"INDEX(points_{column},point_row)"
    grid.text(row, 0, label)
    grid.text(row, 1, unit, "unit")
    grid.formula(
        row, FIRST, f'=IF(point_row=0,"{UNKNOWN}",IF(ISNUMBER({found}),{found},"{UNKNOWN}"))', value, number, "measured"
    )
    calculation.called(grid, name, row, FIRST, value)
    _source(grid, calculation, row, f"column {column} of the measured point")
    return row + 1
