"""The answer of a sizing: rows of the warehouse's tables, and what is read off them: the cheapest plan, what moves it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from warehouse.levers import Inputs, Lever, moved

Row = dict[str, Any]
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
    prices: str
    """Where the price plans are from, in words."""
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
            cost = self._compared(scenario_of(lever, direction)).get(plan)
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
            value: float = row[lever.columns[0]]
            return value / row["instances_measured"] if lever.name == "rps_per_instance" else value
        in_force = plan_in_force(inputs.plans, self.plan, self.best["run_date"])
        # nothing has no tenth
        return in_force.get(lever.columns[0]) or None if in_force else None


def plan_in_force(plans: Sequence[Row], name: str | None, day: Any) -> Row | None:
    """The row of `raw.price_plans` of a plan on a day."""
    for row in plans:
        if (
            row["price_plan"] == name
            and row["valid_from"] <= day
            and (row["valid_to"] is None or day <= row["valid_to"])
        ):
            return row
    return None


def scenario_of(lever: Lever, direction: int) -> str:
    """What the scenario is called in which an input is moved."""
    return f"{lever.name} {'+' if direction > 0 else '-'}"


def _sensitivity(lever: Lever, value: float | None) -> Row:
    ends = dict.fromkeys(("low", "cost_low", "effect_low", "high", "cost_high", "effect_high"))
    return {"input": lever.name, "unit": lever.unit, "value": value, **ends}


def _relative(cost: float | None, base: float) -> float | None:
    return None if cost is None or not base else cost / base - 1
