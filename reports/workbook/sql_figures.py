"""The transforms' own figure for a line, from the rows of a sizing; those are what a cell shows before it is calculated."""

from typing import Any

from reports.workbook.break_even_lines import LARGER, NEVER
from reports.workbook.calculation import Plan, Row
from reports.workbook.lines import Line
from warehouse.sizing import Sizing


class Figures:
    """Looks a line's `source` up in a sizing."""

    def __init__(self, sizing: Sizing, against: dict[str, str | None]) -> None:
        self._fleet = sizing.fleet or {}
        self._costs = {
            (r["price_plan"], r["cost_basis"], r["allocation_method"]): r
            for r in sizing.rows("cost_per_million_tokens")
        }
        self._ledger = {(r["price_plan"], r["bucket"], r["allocation_method"]): r for r in sizing.rows("cost_ledger")}
        self._even = {(r["price_plan"], r["other_plan"]): r for r in sizing.rows("break_even")}
        self._offers = {r["price_plan"]: r for r in sizing.rows("sized_offers") if r["rate_name"] == "rate"}
        self._against = against

    def of_fleet(self, line: Line) -> Any:
        """A figure of server_counts."""
        value = self._fleet.get(line.source[1])
        return ("yes" if value else "no") if isinstance(value, bool) else value

    def of_plan(self, line: Line, plan: Plan) -> dict[str, Any]:
        """`{"sql": figure}` of a plan; nothing where the transforms show no such step."""
        if not line.source:
            return {}
        table, column, *more = line.source
        if table == "sized_offers":
            return {"sql": plan.offer.get(column)}
        if table == "cost_per_million_tokens":
            basis, method = more
            return {"sql": self._costs.get((plan.name, basis, method), {}).get(column)}
        if table == "cost_ledger":
            return self._of_ledger(column, *more, plan=plan)
        return self._of_break_even(column, more[0], plan)

    def compared(self, name: str) -> Any:
        """A figure of a plan to compare with: of the rent or the API."""
        offer = self._offers.get(self._against[name.partition("_")[0]] or "")
        if offer is None:
            return None
        if name == "rent_usd_per_gpu_hour":
            return offer["usd_per_hour"] / (offer["gpus_per_server"] if offer["rent_unit"] == "server" else 1)
        return offer["request_usd" if name == "api_request_usd" else "currency"]

    def _of_ledger(self, column: str, bucket: str, method: str, *, plan: Plan) -> dict[str, Any]:
        row = self._ledger.get((plan.name, bucket or "stranded", method))
        if row is None and bucket == "unallocated" and (plan.name, "stranded", method) in self._ledger:
            return {"sql": 0}
        return {"sql": row[column] if row else None}

    def _of_break_even(self, column: str, other: str, plan: Plan) -> dict[str, Any]:
        row: Row = self._even.get((plan.name, self._against[other] or ""), {})
        value = row.get(column)
        if not row or column in ("hours_per_year", "utilisation"):
            return {"sql": value}
        if row["verdict"] == "never":
            beyond = other == "rent" or (row["utilisation"] or 0) > 1
            return {"sql": NEVER if beyond else LARGER}
        is_larger = other == "api" and value is not None and row["units"] > plan.offer["units"]
        return {"sql": LARGER if is_larger else value}
