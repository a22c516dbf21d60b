"""The economics transforms over inputs of the asker's, many at once, in memory: no formula is written twice.

Each scenario is a catalog snapshot of its own with one demand, and an operating point of its own, so that any number of
them go through one run of the night's own SQL files side by side.
"""

from collections.abc import Mapping
from typing import Any

import duckdb

from schemas.columns import (
    BEST_OPERATING_POINTS,
    COST_PER_MILLION_TOKENS,
    OPERATING_POINTS,
    RUNS,
    SERVER_COUNTS,
    SLO_ATTAINMENT,
    SOURCE_TABLES,
    Table,
)
from schemas.errors import BuildError, WarehouseError
from transforms.runner import build
from warehouse import sources
from warehouse.levers import Inputs

Row = dict[str, Any]
RESULTS: tuple[Table, ...] = (SERVER_COUNTS, COST_PER_MILLION_TOKENS)
"""What is computed."""
MEASURED = (RUNS, OPERATING_POINTS, SLO_ATTAINMENT, BEST_OPERATING_POINTS)
"""What was measured, and is given."""


def run(best: Row, runs: list[Row], scenarios: Mapping[str, Inputs]) -> dict[str, dict[str, list[Row]]]:
    """Rows of each table of RESULTS, by table and scenario.

    `best` is the row of `best_operating_points` that all stand on, `runs` are those of its endpoint, workload and
    night.

    Raises:
        WarehouseError: the transforms do not accept the rows.

    """
    with duckdb.connect(":memory:") as con:
        con.execute("attach ':memory:' as raw; attach ':memory:' as staging; create schema curated")
        rows: dict[str, list[Row]] = {table.name: [] for table in SOURCE_TABLES}
        given: dict[str, list[Row]] = {table.name: [] for table in MEASURED}
        for name, inputs in scenarios.items():
            _add(rows, given, name, inputs, best, runs)
        try:
            for table in SOURCE_TABLES:
                sources.fill(con, table, rows[table.name])
            for table in MEASURED:
                sources.fill(con, table, given[table.name])
            con.execute("create table staging.attempts as from curated.runs")
            measured = {"staging.attempts", *(f"curated.{table.name}" for table in MEASURED)}
            build(con, wanted=[f"curated.{table.name}" for table in RESULTS], given=measured)
            return {table.name: _by_scenario(con, table) for table in RESULTS}
        except (BuildError, duckdb.Error) as error:
            raise WarehouseError(f"this cannot be sized: {error}") from error


def _add(
    rows: dict[str, list[Row]], given: dict[str, list[Row]], name: str, inputs: Inputs, best: Row, runs: list[Row]
) -> None:
    """The rows of one scenario, under names of its own; the one of `best`'s own snapshot keeps the true names."""
    mark = "" if name == best["catalog_hash"] else f" ({name})"
    snapshot = {"catalog_hash": name}
    there = {"endpoint": f"{best['endpoint']}{mark}"}
    point = {"operating_point_id": f"{inputs.point['operating_point_id']}{mark}"}
    rows["demands"].append(inputs.demand | snapshot)
    rows["price_plans"] += [plan | snapshot for plan in inputs.plans]
    given["runs"] += [run | snapshot | there for run in runs]
    given["operating_points"].append(inputs.point | snapshot | there | point)
    given["slo_attainment"].append(inputs.attainment | there | point)
    given["best_operating_points"].append(best | snapshot | there | point)


def _by_scenario(con: duckdb.DuckDBPyConnection, table: Table) -> dict[str, list[Row]]:
    """Rows of a result, those of a scenario together; the names that only this batch knows are left out."""
    found: dict[str, list[Row]] = {}
    query = f"select fleets.catalog_hash as scenario, results.* from curated.{table.name} as results"
    if table is SERVER_COUNTS:
        query = "select catalog_hash as scenario, * from curated.server_counts"
    else:
        query += " inner join (select fleet_id, catalog_hash from curated.server_counts) as fleets using (fleet_id)"
    result = con.execute(f"{query} order by all")
    names = [column[0] for column in result.description or ()]
    for values in result.fetchall():
        row = dict(zip(names, values, strict=True))
        found.setdefault(row.pop("scenario"), []).append(row)
    return found
