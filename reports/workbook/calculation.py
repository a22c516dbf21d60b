"""The workbook while it is written: cells that other cells call by name, with the values that they have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.format import Format

from reports.workbook.evaluate import evaluate
from reports.workbook.formulas import UNKNOWN, spell
from reports.workbook.grid import Grid, address
from reports.workbook.lines import CENTS, MONEY, TINY, Line

Row = dict[str, Any]
FIRST = 2
"""Column of the first value: words and unit stand before it."""


@dataclass(frozen=True)
class Plan:
    """A price plan and its place in the sheets: what it charges for, and its row of staging.sized_offers."""

    number: int
    name: str
    kind: str
    offer: Row

    @property
    def column(self) -> int:
        """Its column on every sheet."""
        return FIRST + self.number - 1

    @property
    def sign(self) -> str:
        """Its currency before an amount."""
        return "$" if self.offer["currency"] == "USD" else f"{self.offer['currency']} "


class Calculation:
    """Writes values, inputs and formulas, and remembers what they are called and worth."""

    def __init__(self, book: Workbook, plans: list[Plan], of_plans: set[str]) -> None:
        self.book, self.plans, self.of_plans = book, plans, of_plans
        self.values: dict[str, Any] = {}
        self.places: dict[str, tuple[str, int, int]] = {}
        """Sheet, row and column of each name."""
        self.sources: dict[str, Any] = {}
        """What the transforms say of a cell, for those that they know."""
        self._styles: dict[tuple[str, str], Format] = {}

    def sheet(self, name: str) -> Grid:
        """A sheet of the book."""
        return Grid(self.book, name, self._styles)

    @property
    def last_column(self) -> int:
        """The column after the values: sources and formulas in words."""
        return FIRST + max(3, len(self.plans))

    def across(self, grid: Grid, row: int) -> str:
        """The cells of all plans in a row, for a name."""
        last = FIRST + max(1, len(self.plans)) - 1
        return f"='{grid.name}'!{address(row, FIRST)}:{address(row, last)}"

    def called(self, grid: Grid, name: str, row: int, column: int, value: Any) -> None:
        """Give a cell its name and its value."""
        grid.name_cell(name, row, column)
        self.values[name], self.places[name] = value, (grid.name, row, column)

    def line(
        self, grid: Grid, row: int, column: int, line: Line, plan: Plan | None = None, end: str = "", **known: Any
    ) -> None:
        """A cell of a line: of a plan, or at an end of the rate's interval; `known` is `sql`, the transforms' figure."""
        text = line.of(plan.kind if plan else "")
        if text is None:
            grid.text(row, column, "", "formula")
            return
        number = plan.number if plan else None
        formula = spell(text, plan=number, of_plans=self.of_plans, end=end, optional=line.optional, needs=line.needs)
        value = evaluate(formula, self.values)
        name = line.name.replace("@", end)
        name = f"{name}_{number}" if plan else name
        shown = value
        if "sql" in known:
            self.sources[name] = known["sql"]
            shown = UNKNOWN if known["sql"] is None else known["sql"]
        style = "total" if line.is_total else "formula"
        grid.formula(row, column, formula, shown, number_format(line.number, plan), style)
        self.called(grid, name, row, column, value)

    def check(self) -> Mapping[str, tuple[Any, Any]]:
        """Cells whose formula gives something else than the transforms: what it gives, what they say."""
        return {
            name: (self.values[name], sql) for name, sql in self.sources.items() if not same(self.values[name], sql)
        }


def same(cell: Any, sql: Any) -> bool:
    """Whether a cell shows what the transforms say: unknown as n/a, numbers alike but for rounding."""
    if sql is None or isinstance(sql, str) or isinstance(cell, str):
        return bool((UNKNOWN if sql is None else sql) == cell)
    return bool(abs(cell - sql) <= 1e-9 * max(1.0, abs(sql)))


def number_format(number: str, plan: Plan | None) -> str:
    """A number format, with the plan's currency where it is money."""
    decimals = {CENTS: 2, MONEY: 6, TINY: 9}.get(number)
    return number if decimals is None else f'"{plan.sign if plan else ""}"#,##0.{"0" * decimals}'
