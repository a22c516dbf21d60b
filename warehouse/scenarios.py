"""The economics transforms over inputs of the asker's, many at once, in memory: no formula is written twice.

Each scenario is a catalog snapshot of its own with one demand, and an operating point of its own, so that any number of
them go through one run of the night's own SQL files side by side.
"""

from collections.abc import Mapping
from typing import Any

import duckdb

from schemas.columns import (
    BEST_OPERATING_POINTS,
    BREAK_EVEN,
    COST_LEDGER,
    COST_PER_MILLION_TOKENS,
    OPERATING_POINTS,
    RUNS,
    SERVER_COUNTS,
    SLO_ATTAINMENT,
    SOURCE_TABLES,
    TIME_SHARES,
)
from schemas.errors import BuildError, WarehouseError
from transforms.memory import in_memory
from transforms.runner import build
from warehouse import sources
from warehouse.levers import Inputs

Row = dict[str, Any]
Results = dict[str, dict[str, list[Row]]]
MEASURED = (RUNS, OPERATING_POINTS, SLO_ATTAINMENT, TIME_SHARES, BEST_OPERATING_POINTS)
"""What was measured, and is given."""
_WANTED = (SERVER_COUNTS, COST_PER_MILLION_TOKENS, COST_LEDGER, BREAK_EVEN)
_BY_FLEET = tuple(table.name for table in _WANTED[1:])


def run(best: Row, runs: list[Row], scenarios: Mapping[str, Inputs]) -> Results:
    """Rows by table and scenario: server_counts, sized_offers, cost_per_million_tokens, cost_ledger, break_even.

    `best` is the row of `best_operating_points` that all stand on, `runs` are those of its endpoint, workload and
    night. The scenario called as `best`'s catalog snapshot keeps the true names of endpoint and point.

    Raises:
        WarehouseError: the transforms do not accept the rows.

    """
    rows: dict[str, list[Row]] = {table.name: [] for table in (*SOURCE_TABLES, *MEASURED)}
    given: dict[str, list[Row]] = {table.name: [] for table in MEASURED}
    for name, inputs in scenarios.items():
        _add(rows, given, name, inputs, best, runs)
    try:
        with in_memory(threads=1) as con:
            con.execute("attach ':memory:' as raw; attach ':memory:' as staging; create schema curated")
            for table in SOURCE_TABLES:
                sources.fill(con, table, rows[table.name])
            for table in MEASURED:
                sources.fill(con, table, given[table.name])
            con.execute("create table staging.attempts as from curated.runs")
            measured = {"staging.attempts", *(f"curated.{table.name}" for table in MEASURED)}
            build(con, wanted=[f"curated.{table.name}" for table in _WANTED], given=measured)
            return _results(con)
    except (BuildError, duckdb.Error) as error:
        raise WarehouseError(f"this cannot be sized: {error}") from error


def _add(
    rows: dict[str, list[Row]], given: dict[str, list[Row]], name: str, inputs: Inputs, best: Row, runs: list[Row]
) -> None:
    """The rows of one scenario, under names of its own."""
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
    if inputs.shares is not None:
        given["time_shares"].append(inputs.shares | there | point)


def _results(con: duckdb.DuckDBPyConnection) -> Results:
    """What was built, the rows of a scenario together."""
    queries = {
        name: f"select catalog_hash, {name}.* from curated.{name} inner join curated.server_counts using (fleet_id)"
        for name in _BY_FLEET
    }
    queries["server_counts"] = "from curated.server_counts"
    queries["sized_offers"] = "from staging.sized_offers"
    return {name: _by_scenario(con.execute(f"{query} order by all")) for name, query in queries.items()}


def _by_scenario(result: duckdb.DuckDBPyConnection) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    names = [column[0] for column in result.description or ()]
    for values in result.fetchall():
        row = dict(zip(names, values, strict=True))
        found.setdefault(row["catalog_hash"], []).append(row)
    return found
