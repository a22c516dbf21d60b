"""Curated rows: a published warehouse of chosen ones, where the rest of a row is made up, and all that is published."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from schemas.columns import CURATED_TABLES, Column
from transforms.runner import comments
from warehouse.ask import connect
from warehouse.home import Home

NIGHT = datetime(2026, 11, 20, 2)
DAY = NIGHT.date()
MADE_UP: dict[str, Any] = {
    "VARCHAR": "x", "DOUBLE": 1.5, "BIGINT": 1, "INTEGER": 1, "BOOLEAN": True, "DATE": DAY, "TIMESTAMP": NIGHT,
}  # fmt: skip
Rows = Mapping[str, Sequence[Mapping[str, Any]]]
Content = dict[str, list[tuple[Any, ...]]]


def publish(root: Path, rows: Rows, *, whole: bool = False) -> Home:
    """Publish these rows in a home at `root`, in the place of what is there; `whole`: also the tables without rows."""
    root.mkdir(parents=True, exist_ok=True)
    home = Home(root)
    new = root / "new.duckdb"
    with duckdb.connect(str(new)) as con:
        con.execute("begin; create schema curated")
        for table in CURATED_TABLES:
            if table.name not in rows and not whole:
                continue
            columns = ", ".join(f'"{c.name}" {c.type}' for c in table.columns)
            con.execute(f"create table curated.{table.name} ({columns})")
            for row in rows.get(table.name, ()):
                values = [_value(column, row) for column in table.columns]
                con.execute(f"insert into curated.{table.name} values ({', '.join('?' for _ in values)})", values)
            con.execute(";".join(comments(table)))
        con.execute("commit")
    new.replace(home.warehouse)
    return home


def content(home: Home) -> Content:
    """Every curated table that is published, sorted."""
    with connect(home) as con:
        found = {t.name: con.execute(f"select * from curated.{t.name}").fetchall() for t in CURATED_TABLES}
    # here: DuckDB takes longer to plan the sort by a hundred columns than for all else
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def _value(column: Column, row: Mapping[str, Any]) -> Any:
    if column.name in row:
        return row[column.name]
    return None if column.nullable else MADE_UP.get(column.type, [])


def fleet(
    day: date = DAY, *, endpoint: str = "llama", demand: str = "chat", hour: int = 2
) -> dict[str, list[dict[str, Any]]]:
    """Rows of the worked fleet of docs/economics.md at a mean of 40 rps: $262,500 a year, 3 servers at $87,500.

    Its ledger: stranded 43,750, idle 131,250, input 21,875, output 65,625. Of 1,000 requests sent 900 were served,
    all good, with 1000 tokens in, of which a quarter was cached, and 1000 out.
    """
    night = datetime(day.year, day.month, day.day, hour)
    fleet_id = f"{demand}/{endpoint}/{night.isoformat()}"
    common = {
        "fleet_id": fleet_id, "price_plan": "own", "demand": demand, "endpoint": endpoint, "slo": "s", "night": night,
        "run_date": day, "operating_point_id": f"p-{fleet_id}", "price_kind": "own", "currency": "USD",
        "served_rps": 40.0, "fleet_year_usd": 262_500.0,
    }  # fmt: skip
    amounts = {
        "stranded": 43_750.0, "spare": 0.0, "headroom": 0.0, "idle": 131_250.0, "failed": 0.0, "slo_missed": 0.0,
        "input": 21_875.0, "cached_input": 0.0, "output": 65_625.0,
    }  # fmt: skip
    return {
        "server_counts": [{**common, "application": "assistant", "model": "llama-70b"}],
        "time_shares": [{
            "operating_point_id": common["operating_point_id"], "slo": "s", "night": night, "judged_requests": 1000,
            "failed_requests": 100, "missed_requests": 0, "good_requests": 900, "good_input_tokens": 900_000.0,
            "good_cached_input_tokens": 225_000.0, "good_output_tokens": 900_000.0,
        }],
        "cost_per_million_tokens": [
            {**common, "cost_basis": basis, "allocation_method": "price_ratio", "priced_unit": "server", "priced_units": 3,
             "unit_year_usd": 87_500.0, "price_source": "NVIDIA TCO post, 2025"}
            for basis in ("capacity", "slo", "demand")
        ],
        "cost_ledger": [
            {**common, "allocation_method": "price_ratio", "bucket": bucket, "usd": usd} for bucket, usd in amounts.items()
        ],
    }  # fmt: skip


def together(*rows: Rows) -> dict[str, list[Mapping[str, Any]]]:
    """Rows of several, table by table."""
    return {name: [row for part in rows for row in part.get(name, ())] for part in rows for name in part}
