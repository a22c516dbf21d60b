"""Sheets 'Results' and 'Ledger': nothing is typed here, every cell is a formula over 'Assumptions'."""

from reports.workbook.break_even_lines import AGAINST_API, AGAINST_RENT
from reports.workbook.calculation import FIRST, Calculation, number_format
from reports.workbook.cost_lines import BASES, BELOW, UNITS, basis_lines, fleet_at, served_at
from reports.workbook.fleet_lines import FLEET
from reports.workbook.formulas import ENDS, UNKNOWN
from reports.workbook.grid import Grid, address
from reports.workbook.ledger_lines import METHODS, WORK, ledger_lines
from reports.workbook.lines import CENTS, TINY
from reports.workbook.sections import finish, write_lines, write_section, write_top, write_words
from reports.workbook.sql_figures import Figures

RESULTS, LEDGER = "Results", "Ledger"


def of_plans() -> set[str]:
    """Names of the lines that each price plan has."""
    lines = [*UNITS, *BELOW, *WORK, *AGAINST_RENT, *AGAINST_API]
    lines += [line for end in ENDS for line in (*fleet_at(end), *(served_at(basis, end) for basis in BASES))]
    lines += [line for basis in BASES for line in basis_lines(basis)]
    lines += [line for method in METHODS for line in ledger_lines(method)]
    return {line.name for line in lines} | {"currency"}


def write_results(calculation: Calculation, figures: Figures, title: str) -> None:
    """Write the sheet 'Results': the fleet, what is paid for, three costs, break-even, and the interval's working."""
    grid = calculation.sheet(RESULTS)
    plans = [plan.name for plan in calculation.plans]
    row = write_top(grid, title, "Calculated from 'Assumptions'. n/a: not known; empty: not of this plan's kind.")
    row = write_section(
        grid, calculation, row, "Fleet (Servers)", ("At the measured rate", "At its 95 % high", "At its 95 % low")
    )
    for line in FLEET:
        write_words(grid, calculation, row, line)
        for column, end in enumerate(ENDS, FIRST):
            known = {} if end else {"sql": figures.of_fleet(line)}
            calculation.line(grid, row, column, line, end=end, **known)
        row += 1
    row = write_section(grid, calculation, row + 1, "What is paid for (Own, rent, or buy tokens)", plans)
    row = write_lines(grid, calculation, figures, row, (*UNITS, *fleet_at(""), *BELOW))
    ends = [line for end in ENDS[1:] for line in (*fleet_at(end), *(served_at(basis, end) for basis in BASES))]
    row = write_section(grid, calculation, row + 1, "The same at the ends of the rate's 95 % interval", plans)
    row = write_lines(grid, calculation, figures, row, ends)
    for basis, words in BASES.items():
        row = write_section(grid, calculation, row + 1, f"{words} (Three costs)", plans)
        row = write_lines(grid, calculation, figures, row, basis_lines(basis))
    row = write_section(
        grid, calculation, row + 1, "Break-even, with the plans picked on 'Assumptions' (Break-even)", plans
    )
    row = _compared(grid, calculation, figures, row)
    write_lines(grid, calculation, figures, row, (*AGAINST_RENT, *AGAINST_API))
    finish(grid, calculation)


def write_ledger(calculation: Calculation, figures: Figures, title: str) -> None:
    """Write the sheet 'Ledger': what the buckets are made of, then the buckets by each method, their sum, the check."""
    grid = calculation.sheet(LEDGER)
    plans = [plan.name for plan in calculation.plans]
    note = "Every dollar of the fleet's year in one bucket. Without a mean rate the year stands at the peak."
    row = write_section(grid, calculation, write_top(grid, title, note), "Working (The ledger)", plans)
    row = write_lines(grid, calculation, figures, row, WORK)
    for method, words in METHODS.items():
        row = write_section(grid, calculation, row + 1, f"The fleet's year, {words}", plans)
        row = write_lines(grid, calculation, figures, row, ledger_lines(method))
        row = _sum(grid, calculation, row, method)
    finish(grid, calculation)


def _compared(grid: Grid, calculation: Calculation, figures: Figures, row: int) -> int:
    """The figures of the plans to compare with, looked up by name."""
    for kind in ("rent", "api"):
        place = f"SUMPRODUCT(EXACT(plan_names,compared_{kind})*(COLUMN(plan_names)-{FIRST}))"
        for name, label, found in _LOOKED_UP[kind]:
            grid.text(row, 0, label)
            grid.text(row, 1, "currency" if "usd" in name else "", "unit")
            value = figures.compared(name)
            formula = f'=IF({place}=0,"{UNKNOWN}",{found.format(place=place)})'
            grid.formula(row, FIRST, formula, value, number_format(TINY, None) if "usd" in name else "")
            calculation.called(grid, name, row, FIRST, UNKNOWN if value is None else value)
            grid.text(row, calculation.last_column, f"of the plan picked as compared_{kind}", "note")
            row += 1
    return row


_HOUR, _GPUS = "INDEX(plans_usd_per_hour,{place})", "INDEX(plans_plan_gpus_per_server,{place})"
_LOOKED_UP: dict[str, tuple[tuple[str, str, str], ...]] = {
    "rent": (
        ("rent_usd_per_gpu_hour", "Rent of a GPU for an hour",
         f'IF(ISNUMBER({_HOUR}),IF(ISNUMBER(INDEX(plans_tokens_per_s,{{place}})),"{UNKNOWN}",'
         f'{_HOUR}/IF(ISNUMBER({_GPUS}),{_GPUS},1)),"{UNKNOWN}")'),
        ("rent_currency", "… in", "INDEX(plans_currency,{place})"),
    ),
    "api": (
        ("api_request_usd", "One request at the API",
         f'IF(ISNUMBER(INDEX(plans_request_usd,{{place}})),INDEX(plans_request_usd,{{place}}),"{UNKNOWN}")'),
        ("api_currency", "… in", "INDEX(plans_currency,{place})"),
    ),
}  # fmt: skip


def _sum(grid: Grid, calculation: Calculation, row: int, method: str) -> int:
    """The sum of the buckets, and whether it is the fleet's year to the cent."""
    lines = ledger_lines(method)
    for offset, (label, unit) in enumerate(
        (("Sum of the buckets", "currency"), ("Check: the sum is the fleet's year", ""))
    ):
        grid.text(row + offset, 0, label)
        grid.text(row + offset, 1, unit, "unit")
        note = "SUM of the buckets" if offset == 0 else "OK, or what is missing; half a cent is let go"
        grid.text(row + offset, calculation.last_column, note, "note")
    for plan in calculation.plans:
        if lines[0].of(plan.kind) is None:
            continue
        cells = f"{address(row - len(lines), plan.column)}:{address(row - 1, plan.column)}"
        buckets = [calculation.values[f"{line.name}_{plan.number}"] for line in lines]
        year, here = calculation.values[f"ledger_year_{plan.number}"], address(row, plan.column)
        is_known = not isinstance(year, str)
        total = sum(bucket for bucket in buckets if not isinstance(bucket, str)) if is_known else None
        name = f"ledger_year_{plan.number}"
        grid.formula(
            row,
            plan.column,
            f'=IF(COUNT({name})=0,"{UNKNOWN}",SUM({cells}))',
            total,
            number_format(CENTS, plan),
            "total",
        )
        check = f'=IF(COUNT({name})=0,"{UNKNOWN}",IF(ABS({here}-{name})<0.005,"OK",{here}-{name}))'
        grid.formula(row + 1, plan.column, check, "OK" if is_known else None, number_format(CENTS, plan), "total")
    return row + 2
