"""The price plans on the sheet 'Assumptions', a column each, and which of them to compare with."""

from typing import Any

from reports.workbook.calculation import FIRST, Calculation, Plan, number_format
from reports.workbook.grid import Grid
from reports.workbook.inputs import PLAN

NOTES, VALUES = 52, 20
"""Widths of the column of sources and of a plan's."""
_IN_SQL = {"plan_gpus_per_server": "gpus_per_server", "price_out": "price_plain_out"}
_LEFT_OUT = {"salvage": 0, "pue": 1, "staff_year": 0, "other_year": 0, "licence_basis": "per_server"}
"""What an own plan that does not state it has: not part of it."""


def write_plans(grid: Grid, calculation: Calculation, row: int) -> int:
    """Write the plans below the line of their names; returns the next free row."""
    across = calculation.across(grid, row - 1)
    calculation.book.define_name("plan_names", across)
    for label, of in (("Kind", _kind), ("Prices from", _dates), ("Source", lambda plan: plan.offer["source"]),
                      ("Currency", lambda plan: plan.offer["currency"])):  # fmt: skip
        grid.text(row, 0, label)
        grid.text(row, 1, "", "unit")
        grid.note(row, FIRST, [of(plan) for plan in calculation.plans], VALUES, "plan_note")
        for plan in calculation.plans if label == "Currency" else ():
            calculation.called(grid, f"currency_{plan.number}", row, plan.column, of(plan))
        row += 1
    calculation.book.define_name("plans_currency", calculation.across(grid, row - 1))
    for entry, kinds in PLAN:
        grid.text(row, 0, entry.label)
        grid.text(row, 1, entry.unit, "unit")
        calculation.book.define_name(f"plans_{entry.name}", calculation.across(grid, row))
        for plan in calculation.plans:
            if kinds and plan.kind not in kinds:
                grid.text(row, plan.column, "", "formula")
                continue
            value = _figure(plan, entry.name)
            grid.value(row, plan.column, value, "input", number_format(entry.number, plan))
            grid.sheet.data_validation(row, plan.column, row, plan.column, entry.allowed)
            calculation.called(grid, f"{entry.name}_{plan.number}", row, plan.column, value)
        grid.note(row, calculation.last_column, [_note(entry.name)], NOTES)
        row += 1
    return row + 1


def write_compared(grid: Grid, calculation: Calculation, row: int, against: dict[str, str | None]) -> None:
    """Write which rent and which API the break-even is with."""
    words = {"rent": "Rent by the server or GPU (owning against renting)", "api": "API (a fleet against buying tokens)"}
    for kind, label in words.items():
        grid.text(row, 0, label)
        grid.text(row, 1, "a plan above", "unit")
        grid.value(row, FIRST, against[kind], "input")
        grid.sheet.data_validation(row, FIRST, row, FIRST, {"validate": "list", "source": "=plan_names"})
        calculation.called(grid, f"compared_{kind}", row, FIRST, against[kind])
        note = "the cheapest of its kind" if against[kind] else "no such plan"
        grid.wide_note(row, FIRST + 1, calculation.last_column, note)
        row += 1


def _figure(plan: Plan, name: str) -> Any:
    """An input of a plan; what an own plan leaves out is no part of it, but a power without its price is unknown."""
    value = plan.offer[_IN_SQL.get(name, name)]
    if value is not None or plan.kind != "own":
        return value
    if name in ("power_kw", "usd_per_kwh") and plan.offer["power_kw"] is None and plan.offer["usd_per_kwh"] is None:
        return 0
    return _LEFT_OUT.get(name)


def _note(name: str) -> str:
    if name.startswith("price_"):
        return "own and rent: of the reference plan, of which only the ratios count"
    return "price plan, see its source above"


def _kind(plan: Plan) -> str:
    words = {
        "own": "own",
        "server": "rent, by the server",
        "gpu": "rent, by the GPU",
        "unit": "rent, provisioned",
        "api": "API",
    }
    category = plan.offer["pricing_category"]
    return f"{words[plan.kind]}, {category.replace('_', ' ')}" if category else words[plan.kind]


def _dates(plan: Plan) -> str:
    until = plan.offer["valid_to"]
    return f"{plan.offer['valid_from']}" + (f" to {until}" if until else "")
