"""Sheet 'Assumptions': every input with its unit and where it is from; what is coloured may be changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reports.workbook import points_sheet
from reports.workbook.calculation import FIRST, Calculation, Plan, Row, number_format
from reports.workbook.formulas import UNKNOWN
from reports.workbook.grid import Grid, address
from reports.workbook.lines import CENTS, COUNT, MONEY, RATE, SHARE, Line
from warehouse.sizing import Point, Sizing

SHEET = "Assumptions"
_VALUES, _NOTES = 20, 52
"""Widths of a plan's column and of the column of sources."""
_POSITIVE = {"validate": "decimal", "criteria": ">", "value": 0, "error_message": "A number above 0"}
_BETWEEN = {"validate": "custom", "error_message": "A number above 0, and the mean not above the peak"}
_PEAK = {**_BETWEEN, "value": "=AND(peak_rps>0,peak_rps>=MAX(0,mean_rps))"}
_MEAN = {**_BETWEEN, "value": "=AND(mean_rps>0,mean_rps<=peak_rps)"}
_AT_LEAST_0 = {"validate": "decimal", "criteria": ">=", "value": 0, "error_message": "0 or more"}
_UP_TO_1 = {"validate": "decimal", "criteria": "between", "minimum": 1e-9, "maximum": 1, "error_message": "Above 0, up to 1"}


@dataclass(frozen=True)
class Input:
    """One input: its name in formulas, words, unit, number format, and what may be typed."""

    name: str
    label: str
    unit: str
    number: str
    allowed: dict[str, Any]


DEMAND = (
    Input("peak_rps", "Peak request rate", "requests/s", "#,##0.####", _PEAK),
    Input("mean_rps", "Mean request rate (empty: not known)", "requests/s", "#,##0.####", _MEAN),
    Input("headroom", "Headroom: capacity above the peak", "of the peak", "0.0%", _AT_LEAST_0),
    Input("spares", "Spare instances (N+1 is 1)", "instances", COUNT, _AT_LEAST_0),
    Input("uptime", "Uptime: share of the year that the fleet serves", "of the year", "0.00%", _UP_TO_1),
    Input("max_instances", "Budget of instances (empty: none)", "instances", COUNT, _POSITIVE),
    Input("max_gpus", "Budget of GPUs (empty: none)", "GPUs", COUNT, _POSITIVE),
)
HARDWARE = (
    Input("gpus_per_instance", "GPUs that one instance takes", "GPUs", COUNT, _POSITIVE),
    Input("gpus_per_server", "GPUs in one server of the endpoint", "GPUs", COUNT, _POSITIVE),
)
_OWN, _SERVERS = ("own",), ("own", "server")
PLAN: tuple[tuple[Input, tuple[str, ...]], ...] = (
    (Input("plan_gpus_per_server", "GPUs in a server of the plan", "GPUs", COUNT, _POSITIVE), _SERVERS),
    (Input("server_price", "Price of a server", "currency", CENTS, _POSITIVE), _OWN),
    (Input("salvage", "Worth of a server at the end", "currency", CENTS, _AT_LEAST_0), _OWN),
    (Input("depreciation_years", "Depreciation", "years", "0.##", _POSITIVE), _OWN),
    (Input("hosting_year", "Hosting a server", "currency a year", CENTS, _AT_LEAST_0), _OWN),
    (Input("software_year", "Licences", "currency a year", CENTS, _AT_LEAST_0), _OWN),
    (Input("licence_basis", "… for each", "per_server, per_gpu", "@",
           {"validate": "list", "source": ["per_server", "per_gpu"]}), _OWN),
    (Input("power_kw", "Power of a server", "kW", "0.###", _AT_LEAST_0), _OWN),
    (Input("pue", "Power usage effectiveness (PUE)", "", "0.00", {**_AT_LEAST_0, "value": 1}), _OWN),
    (Input("usd_per_kwh", "Electricity", "currency/kWh", MONEY, _AT_LEAST_0), _OWN),
    (Input("staff_year", "Staff for a server", "currency a year", CENTS, _AT_LEAST_0), _OWN),
    (Input("other_year", "Anything else for a server", "currency a year", CENTS, _AT_LEAST_0), _OWN),
    (Input("usd_per_hour", "Rent of one GPU, server or unit", "currency/h", MONEY, _POSITIVE), ("server", "gpu", "unit")),
    (Input("tokens_per_s", "Tokens that a provisioned unit serves", "tokens/s", "#,##0.##", _POSITIVE), ("unit",)),
    (Input("price_in", "1M input tokens (own, rent: reference)", "currency", MONEY, _POSITIVE), ()),
    (Input("price_cached", "1M cached input tokens (empty: as input)", "currency", MONEY, _AT_LEAST_0), ()),
    (Input("price_out", "1M output tokens", "currency", MONEY, _POSITIVE), ()),
    (Input("price_reasoning", "1M reasoning tokens (empty: as output)", "currency", MONEY, _AT_LEAST_0), ()),
)  # fmt: skip
"""Inputs of a price plan and the kinds that have them; none named: all."""
_IN_SQL = {"plan_gpus_per_server": "gpus_per_server", "price_out": "price_plain_out"}
_LEFT_OUT = {"salvage": 0, "pue": 1, "staff_year": 0, "other_year": 0, "licence_basis": "per_server"}
"""What an own plan that does not state it has: not part of it."""
_MEASURED = {
    "request_rps": ("Request rate", "requests/s", RATE),
    "request_rps_at_hi": ("… upper end of its 95 % interval", "requests/s", RATE),
    "request_rps_at_lo": ("… lower end", "requests/s", RATE),
    "good_rps": ("Good requests", "requests/s", RATE),
    "instances_measured": ("Instances that served it", "instances", COUNT),
    "input_tokens": ("ISL: mean input", "tokens", "#,##0.00"),
    "cached_tokens": ("CSL: mean cached part of it", "tokens", "#,##0.00"),
    "output_tokens": ("OSL: mean output", "tokens", "#,##0.00"),
    "reasoning_tokens": ("RSL: mean reasoning part of it", "tokens", "#,##0.00"),
    "idle_share": ("x_idle: no request in flight", "of the time", SHARE),
    "failed_share": ("x_f: time of failed requests", "of the work", SHARE),
    "missed_share": ("x_m: time of requests that miss the SLO", "of the work", SHARE),
    "input_share": ("s_in: good requests before their first token", "of good work", SHARE),
    "output_share": ("s_out: after it", "of good work", SHARE),
}


def write(
    calculation: Calculation, sizing: Sizing, labels: Sequence[str], against: dict[str, str | None], title: str
) -> None:
    """Write the sheet; the points' labels are those of 'Operating points', `against` the plans to compare with."""
    grid = calculation.sheet(SHEET)
    row = _head(grid, sizing, title)
    row = _section(grid, calculation, row, "Demand", "Value")
    row = _inputs(grid, calculation, row, DEMAND, _demand(sizing))
    row = _section(grid, calculation, row, "Hardware", "Value")
    row = _inputs(grid, calculation, row, HARDWARE, _hardware(sizing))
    row = _section(grid, calculation, row, "Operating point, measured", "Value")
    row = _point(grid, calculation, row, sizing, labels)
    grid.sheet.set_h_pagebreaks([row])
    row = _section(grid, calculation, row, "Price plans", *(plan.name for plan in calculation.plans))
    row = _plans(grid, calculation, row)
    row = _section(grid, calculation, row, "Break-even: what to compare with", "Value")
    _compared(grid, calculation, row, against)
    grid.sheet.freeze_panes(4, 2)
    grid.sheet.set_column(0, 0, 46)
    grid.sheet.set_column(1, 1, 18)
    grid.sheet.set_column(FIRST, calculation.last_column - 1, _VALUES)
    grid.sheet.set_column(calculation.last_column, calculation.last_column, _NOTES)
    grid.printed()


def _head(grid: Grid, sizing: Sizing, title: str) -> int:
    best = sizing.best
    grid.text(0, 0, title, "title")
    grid.text(1, 0, f"Night {best['night']:%Y-%m-%d %H:%M} UTC, metric version {best['metric_version']}, prices of the "
              f"catalog snapshot {best['catalog_hash'][:12]}. Formulas: docs/economics.md.", "subtitle")  # fmt: skip
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
    budget = Line("budget", "Budget in instances", "instances",
                  "IF(COUNT(max_instances,max_gpus)=0, \"none\", MIN(IF(COUNT(max_instances)=1, max_instances, 1E+15),"
                  " IF(COUNT(max_gpus)=1, INT(max_gpus/gpus_per_instance), 1E+15)))", COUNT,
                  optional=("max_instances", "max_gpus"))  # fmt: skip
    if inputs is HARDWARE:
        grid.text(row, 0, budget.label)
        grid.text(row, 1, budget.unit, "unit")
        calculation.line(grid, row, FIRST, budget)
        _source(grid, calculation, row, "the smaller of the two budgets; headroom is cut first, then spares")
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
    source = f"endpoint {sizing.best['endpoint']} of the catalog, {sizing.fleet['accelerator'] or 'accelerator unknown'}"
    return {entry.name: (sizing.fleet[entry.name], source) for entry in HARDWARE}


def _point(grid: Grid, calculation: Calculation, row: int, sizing: Sizing, labels: Sequence[str]) -> int:
    best = sizing.best
    [index] = [i for i, p in enumerate(sizing.points) if p.row["operating_point_id"] == best["operating_point_id"]]
    point, last = sizing.points[index], calculation.last_column
    grid.text(row, 0, "Operating point (pick one)")
    grid.text(row, 1, "", "unit")
    grid.value(row, FIRST, labels[index], "input")
    cells = f"='{points_sheet.SHEET}'!{address(points_sheet.FIRST_ROW, 0)}:{address(points_sheet.FIRST_ROW + len(labels) - 1, 0)}"
    grid.sheet.data_validation(row, FIRST, row, FIRST, {"validate": "list", "source": cells})
    calculation.called(grid, "operating_point", row, FIRST, labels[index])
    _source(grid, calculation, row, f"highest request rate a GPU of those that meet SLO {best['slo']} (run {best['run_id']})")
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
    share = Line("good_share", "Good requests of those served", "of requests", "good_rps/request_rps", SHARE)
    grid.text(row, 0, share.label)
    grid.text(row, 1, share.unit, "unit")
    calculation.line(grid, row, FIRST, share)
    _source(grid, calculation, row, "good_rps / request_rps")
    return row + 2


def _measured(grid: Grid, calculation: Calculation, row: int, name: str, column: str, point: Point) -> int:
    words = name.replace("_tokens", "").replace("_", " ")
    label, unit, number = _MEASURED.get(name, (f"Σ tokens: {words}", "tokens", COUNT))
    if "requests" in name:
        label, unit = name.replace("_", " ").capitalize(), "requests"
    value = points_sheet.value_of(point, column)
    value = UNKNOWN if value is None else value
    found = f"INDEX(points_{column},point_row)"
    grid.text(row, 0, label)
    grid.text(row, 1, unit, "unit")
    grid.formula(row, FIRST, f'=IF(point_row=0,"{UNKNOWN}",IF(ISNUMBER({found}),{found},"{UNKNOWN}"))', value, number, "measured")
    calculation.called(grid, name, row, FIRST, value)
    _source(grid, calculation, row, f"column {column} of the measured point")
    return row + 1


def _plans(grid: Grid, calculation: Calculation, row: int) -> int:
    across = calculation.across(grid, row - 1)
    calculation.book.define_name("plan_names", across)
    for label, of in (("Kind", _kind), ("Prices from", _dates), ("Source", lambda plan: plan.offer["source"]),
                      ("Currency", lambda plan: plan.offer["currency"])):  # fmt: skip
        grid.text(row, 0, label)
        grid.text(row, 1, "", "unit")
        grid.note(row, FIRST, [of(plan) for plan in calculation.plans], _VALUES, "plan_note")
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
        grid.note(row, calculation.last_column, [_note(entry.name)], _NOTES)
        row += 1
    return row + 1


def _compared(grid: Grid, calculation: Calculation, row: int, against: dict[str, str | None]) -> None:
    words = {"rent": "Rent by the server or GPU (owning against renting)", "api": "API (a fleet against buying tokens)"}
    for kind, label in words.items():
        grid.text(row, 0, label)
        grid.text(row, 1, "a plan above", "unit")
        grid.value(row, FIRST, against[kind], "input")
        grid.sheet.data_validation(row, FIRST, row, FIRST, {"validate": "list", "source": "=plan_names"})
        calculation.called(grid, f"compared_{kind}", row, FIRST, against[kind])
        _source(grid, calculation, row, "the first of its kind" if against[kind] else "no such plan")
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
    words = {"own": "own", "server": "rent, by the server", "gpu": "rent, by the GPU", "unit": "rent, provisioned", "api": "API"}
    category = plan.offer["pricing_category"]
    return f"{words[plan.kind]}, {category.replace('_', ' ')}" if category else words[plan.kind]


def _dates(plan: Plan) -> str:
    until = plan.offer["valid_to"]
    return f"{plan.offer['valid_from']}" + (f" to {until}" if until else "")


def of_plans() -> Iterator[str]:
    """Names that each price plan has."""
    yield from (entry.name for entry, _ in PLAN)


__all__ = ["SHEET", "Row", "of_plans", "write"]
