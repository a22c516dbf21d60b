"""The report over a long history: a year of nights of many endpoints, from a published warehouse to one file.

One night is made up and built by the nightly SQL files (`benchmarks.made_up_points`), then spread over the nights before
it with a little noise on its prices. The page is written in a process of its own, imports included, as a night does it.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.alone import alone
from benchmarks.made_up_points import Shape, build_from
from benchmarks.tables import Section
from schemas.columns import CURATED_TABLES, Table
from warehouse.home import Home
from warehouse.sources import fill

SHAPE = Shape(endpoints=20, levels=8, slos=2, demands=2, plans=5)
OWN_NAMES = {"series_id"}
"""Ids that are the same on all nights."""


@dataclass(frozen=True)
class Row:
    """One size: seconds of a fresh process, and of the page alone."""

    nights: int
    endpoints: int
    costs: int
    process_s: float
    page_s: float
    page_mb: float
    peak_mib: float


def run(quick: bool) -> list[Section]:
    """A tenth of the year, then all of it."""
    rows = [_row(nights) for nights in ((36,) if quick else (36, 365))]
    note = f"{SHAPE.slos} SLOs x {SHAPE.demands} demands x {SHAPE.plans} price plans, {SHAPE.levels} levels a night"
    return [Section("report", "a history to one HTML file; process_s has the start of Python in it", rows, (note,))]


def _row(nights: int) -> Row:
    with tempfile.TemporaryDirectory(prefix="ratecard-bench-") as folder:
        home = Home(Path(folder))
        home.prepare()
        costs = make(home, nights)
        before = time.perf_counter()
        done = alone("report", folder)
        took = time.perf_counter() - before
        return Row(nights, SHAPE.endpoints, costs, took, done.seconds, home.report.stat().st_size / 1e6, done.peak_mib)


def make(home: Home, nights: int) -> int:
    """A warehouse of so many nights; returns its number of cost rows."""
    with duckdb.connect(str(home.warehouse)) as con:
        build_from(con, 1, SHAPE)
        built = {name for (name,) in con.execute("select table_name from duckdb_tables() where schema_name = 'curated'").fetchall()}  # fmt: skip
        for table in CURATED_TABLES:
            if table.name not in built:
                fill(con, table, [])
            elif any(column.name == "night" for column in table.columns):
                con.execute(_spread(table), [nights - 1])
        found = con.execute("select count(*) from curated.cost_per_million_tokens").fetchone()
        return int(found[0]) if found else 0


def _spread(table: Table) -> str:
    """Older nights of a table: ids of their own, dates moved back, prices within 3 %."""
    changed = {}
    for column in table.columns:
        name = column.name
        if column.type in ("TIMESTAMP", "DATE") and name not in ("price_valid_from", "price_valid_to"):
            changed[name] = f"cast({name} - to_days(cast(age as integer)) as {column.type})"
        elif name.endswith("_id") and name not in OWN_NAMES:
            changed[name] = f"{name} || '@' || age"
        elif name.startswith(("usd_per_", "value_usd")):
            changed[name] = f"{name} * (1 + 0.03 * sin(age * 7.3 + hash({table.grain[0]}) % 1000))"
    columns = ", ".join(f"{expression} as {name}" for name, expression in changed.items())
    return (
        f"insert into curated.{table.name} select night.* replace ({columns}) "
        f"from curated.{table.name} as night, (select unnest(range(1, ? + 1)) as age)"
    )
