"""Sheet 'Operating points': what was measured in the night, one row a valid point; nothing here is to be changed."""

from collections.abc import Sequence
from typing import Any

from reports.loads import load_label
from reports.workbook.calculation import Calculation, Row
from reports.workbook.grid import address
from warehouse.sizing import Point

SHEET = "Operating points"
FIRST_ROW = 4
_CLASSES = ("failed", "missed", "good")
_TOKENS = {"input": "input", "cached_input": "cached", "output": "output", "reasoning": "reasoning"}

SHOWN: tuple[tuple[str, str, str, str, str], ...] = (
    ("verdict", "SLO", "", "attainment", ""),
    ("request_rps", "Request rate", "requests/s", "point", "0.0000"),
    ("request_rps_lo", "… 95 % low", "requests/s", "point", "0.0000"),
    ("request_rps_hi", "… 95 % high", "requests/s", "point", "0.0000"),
    ("good_rps", "Good requests", "requests/s", "attainment", "0.0000"),
    ("instances_measured", "Instances measured", "", "point", "0"),
    ("attainment", "Attainment", "of requests", "attainment", "0.0%"),
    ("attainment_lo", "… 95 % low", "of requests", "attainment", "0.0%"),
    ("attainment_hi", "… 95 % high", "of requests", "attainment", "0.0%"),
    ("error_share", "Errors", "of requests", "point", "0.0%"),
    ("input_tokens_mean", "ISL, input", "tokens", "point", "#,##0.0"),
    ("cached_input_tokens_mean", "CSL, of it cached", "tokens", "point", "#,##0.0"),
    ("output_tokens_mean", "OSL, output", "tokens", "point", "#,##0.0"),
    ("reasoning_tokens_mean", "RSL, of it reasoning", "tokens", "point", "#,##0.0"),
    ("output_tps", "Output", "tokens/s", "point", "#,##0.0"),
    *(
        (f"{metric}_{statistic}_ms", f"{metric.upper()} {statistic}", "ms", "point", "#,##0.0")
        for metric in ("ttft", "tpot", "e2e")
        for statistic in ("p50", "p90", "p99")
    ),
    ("idle_share", "Idle, x_idle", "of the time", "shares", "0.0%"),
    ("failed_share", "Failed, x_f", "of the work", "shares", "0.0%"),
    ("missed_share", "Missing the SLO, x_m", "of the work", "shares", "0.0%"),
    ("input_share", "Input, s_in", "of good work", "shares", "0.0%"),
    ("output_share", "Output, s_out", "of good work", "shares", "0.0%"),
    ("judged_requests", "Requests judged", "", "shares", "#,##0"),
    ("failed_requests", "Requests failed", "", "shares", "#,##0"),
)
_SUMS = tuple(
    (f"{kind}_{column}_tokens", f"Σ {column.replace('_', ' ')}, {kind} requests", "tokens", "shares", "#,##0")
    for kind in _CLASSES
    for column in _TOKENS
)
COLUMNS = (*SHOWN, *_SUMS)
"""Column of the warehouse, words, unit, which row of a point has it, number format."""


def write(calculation: Calculation, points: Sequence[Point], chosen: str, title: str) -> list[str]:
    """Write the sheet; returns what its points are called, in its order."""
    grid = calculation.sheet(SHEET)
    labels = [f"{load_label(point.row)} · {point.row['operating_point_id']}" for point in points]
    grid.text(0, 0, title, "title")
    grid.text(1, 0, "Measured, valid points of the night. What is not known is empty; time shares are known of the "
              "chosen point. Pick another one on the sheet 'Assumptions'.", "subtitle")  # fmt: skip
    for column, (words, unit) in enumerate(
        (("Point", ""), ("Run", ""), ("Chosen", ""), *((c[1], c[2]) for c in COLUMNS))
    ):
        grid.text(2, column, words, "header")
        grid.text(3, column, unit, "header")
    for row, (label, point) in enumerate(zip(labels, points, strict=True), FIRST_ROW):
        is_chosen = "chosen" if point.row["operating_point_id"] == chosen else ""
        for column, text in enumerate((label, point.row["run_id"], is_chosen)):
            grid.text(row, column, text)
        for column, (name, _, _, part, number) in enumerate(COLUMNS, 3):
            grid.value(row, column, _of(point, part).get(name), "measured", number)
    _names(calculation, len(points))
    sheet = grid.sheet
    sheet.freeze_panes(FIRST_ROW, 1)
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 1, 26)
    sheet.set_column(2, len(SHOWN) + 2, 11)
    sheet.set_column(len(SHOWN) + 3, len(COLUMNS) + 2, 14, None, {"level": 1, "hidden": True, "collapsed": False})
    sheet.set_row(2, 32)
    grid.printed(repeat=(2, 3), pages_wide=2)
    sheet.repeat_columns(0)
    return labels


def _of(point: Point, part: str) -> Row:
    rows: dict[str, Row | None] = {"point": point.row, "attainment": point.attainment, "shares": point.shares}
    return rows[part] or {}


def _names(calculation: Calculation, count: int) -> None:
    """Columns of the sheet by name, for the sheet 'Assumptions' to look up."""
    last = FIRST_ROW + count - 1
    for column, name in enumerate(("label", None, None, *(entry[0] for entry in COLUMNS))):
        if name:
            cells = f"{address(FIRST_ROW, column)}:{address(last, column)}"
            calculation.book.define_name(f"points_{name}", f"='{SHEET}'!{cells}")


def looked_up() -> dict[str, str]:
    """What a sizing calls the measured figures: name in formulas, column of the sheet."""
    shares = ("idle_share", "failed_share", "missed_share", "input_share", "output_share")
    counts = ("judged_requests", "failed_requests")
    sums = {
        f"{kind}_{short}_tokens": f"{kind}_{column}_tokens" for kind in _CLASSES for column, short in _TOKENS.items()
    }
    return {
        "request_rps": "request_rps",
        "request_rps_at_hi": "request_rps_hi",
        "request_rps_at_lo": "request_rps_lo",
        "instances_measured": "instances_measured",
        "good_rps": "good_rps",
        "input_tokens": "input_tokens_mean",
        "cached_tokens": "cached_input_tokens_mean",
        "output_tokens": "output_tokens_mean",
        "reasoning_tokens": "reasoning_tokens_mean",
        **{name: name for name in (*shares, *counts)},
        **sums,
    }


def value_of(point: Point, column: str) -> Any:
    """A measured figure of a point."""
    part = next(entry[3] for entry in COLUMNS if entry[0] == column)
    return _of(point, part).get(column)
