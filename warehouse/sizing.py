"""What a fleet for a demand would cost, by the night's own SQL files and prices (`ratecard size`)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from schemas.catalog import Catalog, Demand
from schemas.errors import UsageError
from warehouse import manifests, scenarios, sources
from warehouse.ask import ask
from warehouse.home import Home
from warehouse.levers import Inputs, Lever, moved

Row = dict[str, Any]
DEMAND = "asked"
"""Name of the demand that is asked about."""
_COMPARED = ("usd_per_mtok", "usd_per_request")


@dataclass(frozen=True)
class Question:
    """Which fleet: the operating point of an endpoint's night under an SLO, and the fields of a demand for it."""

    endpoint: str
    slo: str
    demand: Row
    workload: str | None = None
    night: str = "latest"


@dataclass(frozen=True)
class Point:
    """A measured point: its rows of operating_points, slo_attainment and time_shares."""

    row: Row
    attainment: Row
    shares: Row | None


@dataclass(frozen=True)
class Sizing:
    """The answer, as rows of the warehouse's tables. Without a chosen point there is no fleet and no cost."""

    question: Question
    best: Row
    points: list[Point]
    """Current and valid points of the night, the lightest load first."""
    inputs: Inputs | None = None
    results: dict[str, dict[str, list[Row]]] = field(default_factory=dict)
    """Rows of server_counts, cost_per_million_tokens … by table and scenario."""

    def rows(self, table: str, scenario: str | None = None) -> list[Row]:
        """Rows of a result, as asked or in another scenario."""
        return self.results.get(table, {}).get(scenario or self.best["catalog_hash"], [])

    @property
    def fleet(self) -> Row | None:
        """The row of server_counts."""
        return next(iter(self.rows("server_counts")), None)

    @property
    def cost_basis(self) -> str:
        """What plans are compared on: demand where a mean rate is known, else capacity."""
        return "capacity" if self.fleet is None or self.fleet["mean_rps"] is None else "demand"

    @property
    def ranked(self) -> list[str]:
        """Plans whose cost is known, the cheapest first; own and rent before APIs, one currency after the other."""
        costs = self._compared(None)
        first = {row["price_plan"]: (row["price_kind"] == "api", row["currency"]) for row in self._priced()}
        return sorted(costs, key=lambda plan: (*first[plan], costs[plan], plan))

    @property
    def plan(self) -> str | None:
        """The plan in the foreground: the first that was named, else the first in rank."""
        named = self.inputs.demand["price_plans"] if self.inputs else []
        return next((plan for plan in (*named, *self.ranked) if plan in self.ranked), None)

    def sensitivity(self) -> list[Row]:
        """What a tenth more or less of each input does to the plan in the foreground, the largest effect first."""
        plan = self.plan
        if plan is None or self.inputs is None or len(self.results["server_counts"]) == 1:
            return []
        found: dict[str, Row] = {}
        base = self._compared(None)[plan]
        for lever, direction, other in moved(self.inputs):
            cost = self._compared(_name(lever, direction)).get(plan)
            row = found.setdefault(lever.name, _sensitivity(lever, self._value(self.inputs, lever)))
            end = "low" if direction < 0 else "high"
            row |= {end: self._value(other, lever), f"cost_{end}": cost, f"effect_{end}": _relative(cost, base)}
        # an input of another plan moves nothing here
        known = [row for row in found.values() if row["value"] is not None]
        return sorted(known, key=lambda row: -max(abs(row[end] or 0) for end in ("effect_low", "effect_high")))

    @property
    def compared(self) -> str:
        """The column that plans are compared by: per 1M tokens, or per request where tokens were not counted."""
        first, second = _COMPARED
        return first if any(row[first] is not None for row in self._priced()) else second

    def _priced(self, scenario: str | None = None) -> list[Row]:
        rows = self.rows("cost_per_million_tokens", scenario)
        return [r for r in rows if r["cost_basis"] == self.cost_basis and r["allocation_method"] != "processor_sharing"]

    def _compared(self, scenario: str | None) -> dict[str, float]:
        column = self.compared
        return {r["price_plan"]: r[column] for r in self._priced(scenario) if r[column] is not None}

    def _value(self, inputs: Inputs, lever: Lever) -> float | None:
        if lever.part != "plans":
            row = getattr(inputs, lever.part)
            divisor = row["instances_measured"] if lever.name == "rps_per_instance" else 1
            return row[lever.columns[0]] / divisor
        in_force = plan_in_force(inputs.plans, self.plan, self.best["run_date"])
        value: float | None = in_force.get(lever.columns[0]) if in_force else None
        return value or None


def plan_in_force(plans: Sequence[Row], name: str | None, day: Any) -> Row | None:
    """The row of `raw.price_plans` of a plan on a day."""
    for row in plans:
        if row["price_plan"] == name and row["valid_from"] <= day and (row["valid_to"] is None or day <= row["valid_to"]):
            return row
    return None


def size(home: Home, question: Question, catalog: Catalog | None = None, *, what_ifs: bool = True) -> Sizing:
    """Answer `question` with the prices of its night, or with those of `catalog`.

    Without `what_ifs` nothing is said of what moves the answer.

    Raises:
        UsageError: there is no such endpoint, SLO, workload, night or price plan, or the demand contradicts itself.
        WarehouseError: there is no warehouse, or it cannot be asked.

    """
    best = _best(home, question)
    if catalog is None:
        catalog = manifests.read_catalog(home, best["catalog_hash"])
    demand = _demand(question, best, catalog)
    points = _points(home, best)
    chosen = next((p for p in points if p.row["operating_point_id"] == best["operating_point_id"]), None)
    if best["status"] != "chosen" or chosen is None:
        return Sizing(question, best, points)
    plans = tuple(sources.price_rows(best["catalog_hash"], catalog))
    inputs = Inputs(demand, plans, chosen.row, chosen.attainment, chosen.shares)
    asked = {best["catalog_hash"]: inputs}
    if what_ifs:
        asked |= {_name(lever, direction): other for lever, direction, other in moved(inputs)}
    return Sizing(question, best, points, inputs, scenarios.run(best, _runs(home, best), asked))


def _best(home: Home, question: Question) -> Row:
    """The row of best_operating_points that the question is about."""
    found = ask(home, "select * from curated.best_operating_points order by night, workload").objects()
    for name, wanted in (("endpoint", question.endpoint), ("slo", question.slo), ("workload", question.workload)):
        there = sorted({row[name] for row in found})
        if wanted is None and len(there) > 1:
            raise UsageError(f"--workload is needed: {question.endpoint} was measured with {', '.join(there)}")
        found = [row for row in found if wanted in (None, row[name])]
        if not found:
            known = ", ".join(there) or "none; `ratecard run` measures one"
            raise UsageError(f"--{name} {wanted}: nothing measured for it, expected one of {known}")
    if question.night != "latest":
        nights = list(dict.fromkeys(f"{row['night']:%Y-%m-%dT%H:%M:%S}" for row in found))
        found = [row for row in found if f"{row['night']:%Y-%m-%dT%H:%M:%S}".startswith(question.night)]
        if not found:
            raise UsageError(f"--night {question.night}: expected latest or one of {', '.join(nights[-10:])}")
    return found[-1]


def _demand(question: Question, best: Row, catalog: Catalog) -> Row:
    fields = {"application": "ratecard size", "workload": best["workload"], "slo": best["slo"]}
    missing = [name for name in question.demand.get("price_plans", ()) if name not in catalog.prices]
    if missing:
        known = ", ".join(sorted(catalog.prices)) or "none"
        raise UsageError(f"--price-plan {missing[0]}: expected one of {known}")
    try:
        demand = Demand.model_validate(fields | question.demand)
    except ValidationError as error:
        raise UsageError("; ".join(str(item.get("ctx", {}).get("error", item["msg"])) for item in error.errors())) from None
    [row] = sources.demand_rows(best["catalog_hash"], Catalog.model_construct(demands={DEMAND: demand}))
    return row


def _points(home: Home, best: Row) -> list[Point]:
    at = {name: best[name] for name in ("endpoint", "workload", "night")}
    same = "endpoint = $endpoint and workload = $workload and night = $night"

    def by_point(table: str) -> dict[str, Row]:
        found = ask(home, f"select * from curated.{table} where {same} and slo = $slo", at | {"slo": best["slo"]})
        return {row["operating_point_id"]: row for row in found.objects()}

    load = "load_kind, concurrency, request_rate, run_id, level_index"
    query = f"select * from curated.operating_points where {same} and is_current and is_valid order by {load}"
    attained, shares = by_point("slo_attainment"), by_point("time_shares")
    return [
        Point(row, attained[row["operating_point_id"]], shares.get(row["operating_point_id"]))
        for row in ask(home, query, at).objects()
        if row["operating_point_id"] in attained
    ]


def _runs(home: Home, best: Row) -> list[Row]:
    at = {name: best[name] for name in ("endpoint", "workload", "night")}
    return ask(
        home, "select * from curated.runs where endpoint = $endpoint and workload = $workload and night = $night", at
    ).objects()


def _name(lever: Lever, direction: int) -> str:
    return f"{lever.name} {'+' if direction > 0 else '-'}"


def _sensitivity(lever: Lever, value: float | None) -> Row:
    ends = dict.fromkeys(("low", "cost_low", "effect_low", "high", "cost_high", "effect_high"))
    return {"input": lever.name, "unit": lever.unit, "value": value, **ends}


def _relative(cost: float | None, base: float) -> float | None:
    return None if cost is None or not base else cost / base - 1
