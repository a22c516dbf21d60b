"""The key tables of the report as rows for Prefect's UI: rate card, ledger, regressions. Knows nothing of Prefect."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reports.card import read_card
from reports.moved import standing
from reports.source import Row
from reports.words import BUCKETS
from warehouse.ask import ask
from warehouse.home import Home

MOST_ROWS = 200
"""Rows of a table; its description counts what is left out."""
_LEDGER = """
select endpoint, workload, demand, price_plan, allocation_method, currency, bucket, usd_shown, fleet_year_usd
from curated.cost_ledger
where list_contains($runs, run_id)
order by demand, fleet_year_usd, endpoint, price_plan, allocation_method
"""
_FLEET = ("endpoint", "workload", "demand", "price_plan", "allocation_method", "currency")
_MOVED = (
    "endpoint", "workload", "slo", "direction", "cause", "step_night", "first_night", "demand", "price_plan", "cost_basis",
    "reference_usd", "value_usd", "change_share", "performance_change_share", "confidence", "suspects",
)  # fmt: skip


@dataclass(frozen=True)
class KeyTable:
    """A table by its key; rows are named as in the warehouse."""

    key: str
    rows: list[Row]
    description: str


def key_tables(home: Home, run_ids: Sequence[str]) -> list[KeyTable]:
    """The tables of what these runs measured; one without rows is among them, and says so.

    Raises:
        WarehouseError: there is no warehouse.

    """
    named = ", ".join(run_ids)
    ledger = ask(home, _LEDGER, {"runs": list(run_ids)}).objects()
    moved = [change.main for change in standing(home, run_ids)]
    return [
        _table("rate-card", read_card(home, run_ids).costs.objects(), f"Rate card of {named}"),
        _table("ledger", list(_by_fleet(ledger)), f"Where the year's money goes, fleets of {named}"),
        _table("moved", [{name: row[name] for name in _MOVED} for row in moved], f"What moved the costs of {named}"),
    ]


def _table(key: str, rows: list[Row], description: str) -> KeyTable:
    left_out = f"; {len(rows) - MOST_ROWS} more rows in the warehouse" if len(rows) > MOST_ROWS else ""
    return KeyTable(key, rows[:MOST_ROWS], f"{description}{left_out or '' if rows else ': none'}")


def _by_fleet(ledger: Sequence[Row]) -> Iterator[Row]:
    """A row for each fleet, plan and method, its buckets side by side in whole cents."""
    fleets: dict[tuple[str, ...], Row] = {}
    for row in ledger:
        key = tuple(row[name] for name in _FLEET)
        buckets = dict.fromkeys(BUCKETS)
        of_fleet = fleets.setdefault(
            key, {name: row[name] for name in _FLEET} | {"fleet_year_usd": row["fleet_year_usd"]} | buckets
        )
        of_fleet[row["bucket"]] = row["usd_shown"]
    yield from fleets.values()
