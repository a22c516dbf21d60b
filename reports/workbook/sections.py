"""What the calculating sheets are made of: a title, sections, and lines of formulas with their words beside them."""

from collections.abc import Sequence

from reports.workbook.calculation import FIRST, Calculation
from reports.workbook.grid import Grid
from reports.workbook.lines import Line
from reports.workbook.sql_figures import Figures

WORDS = 80
"""Width of the column of formulas in words."""


def write_top(grid: Grid, title: str, note: str) -> int:
    """Title and what the sheet is; returns the next free row."""
    grid.text(0, 0, title, "title")
    grid.text(1, 0, note, "subtitle")
    return 3


def write_section(grid: Grid, calculation: Calculation, row: int, title: str, columns: Sequence[str]) -> int:
    """A section's title and the heads of its columns; returns the next free row."""
    last = calculation.last_column
    grid.line(row, [title, *([""] * last)], "section")
    grid.text(row + 1, 0, "", "header")
    grid.text(row + 1, 1, "Unit", "header")
    for column in range(FIRST, last):
        grid.text(row + 1, column, columns[column - FIRST] if column - FIRST < len(columns) else "", "header_number")
    grid.text(row + 1, last, "Formula (docs/economics.md)", "header_note")
    return row + 2


def write_words(grid: Grid, calculation: Calculation, row: int, line: Line) -> None:
    """A line's label, unit and formula in words."""
    grid.text(row, 0, line.label)
    grid.text(row, 1, line.unit, "unit")
    grid.note(row, calculation.last_column, [in_words(line)], WORDS)


def in_words(line: Line) -> str:
    """A line's formula to be read: as in docs/economics.md, without what makes unknown figures n/a."""
    formulas = {"": line.formula} if isinstance(line.formula, str) else line.formula
    same: dict[str, list[str]] = {}
    for kind, formula in formulas.items():
        read = formula.replace("@", "").replace("ROUNDUP(ROUND(", "⌈").replace(",9),0)", "⌉").replace("1E+15", "∞")
        same.setdefault(read, []).append(kind)
    if len(same) == 1:
        return next(iter(same))
    return "; ".join(f"{', '.join(kinds)}: {read}" for read, kinds in same.items())


def write_lines(grid: Grid, calculation: Calculation, figures: Figures, row: int, lines: Sequence[Line]) -> int:
    """Lines with a cell for each plan; returns the next free row."""
    for line in lines:
        if line.name == "request_usd":
            calculation.book.define_name("plans_request_usd", calculation.across(grid, row))
        write_words(grid, calculation, row, line)
        for plan in calculation.plans:
            calculation.line(grid, row, plan.column, line, plan, **figures.of_plan(line, plan))
        row += 1
    return row


def finish(grid: Grid, calculation: Calculation) -> None:
    """Widths, frozen title, print settings."""
    grid.sheet.freeze_panes(3, 2)
    grid.sheet.set_column(0, 0, 58)
    grid.sheet.set_column(1, 1, 16)
    grid.sheet.set_column(FIRST, calculation.last_column - 1, 20)
    grid.sheet.set_column(calculation.last_column, calculation.last_column, WORDS)
    grid.printed(repeat=(0, 0))
