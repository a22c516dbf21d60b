"""In which order the SQL files run, derived from the SQL itself.

`json_serialize_sql` is a pure parse (it binds nothing), so it also reads queries on tables that do not exist yet.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

import duckdb

from schemas.errors import OrderError


def tables_read(con: duckdb.DuckDBPyConnection, name: str, sql: str) -> set[str]:
    """Tables (`schema.table`) that a SELECT reads, its common table expressions left out.

    Raises OrderError where `sql` is not exactly one SELECT.
    """
    # a search builds again and again from the same files
    if sql not in _READ:
        _READ[sql] = frozenset(_parsed(con, name, sql))
    return set(_READ[sql])


_READ: dict[str, frozenset[str]] = {}


def _parsed(con: duckdb.DuckDBPyConnection, name: str, sql: str) -> set[str]:
    row = con.execute("select json_serialize_sql(?::varchar)", [sql]).fetchone()
    parsed: dict[str, Any] = json.loads(row[0]) if row else {}
    if len(parsed.get("statements", ())) != 1:
        reason = parsed.get("error_message", "several statements")
        raise OrderError(f"{name}: a SQL file holds exactly one SELECT, this one does not parse as such: {reason}")
    nodes = list(_nodes(parsed["statements"]))
    ctes = {entry["key"] for node in nodes for entry in (node.get("cte_map") or {}).get("map", ())}
    tables = [(node.get("schema_name"), node["table_name"]) for node in nodes if node.get("type") == "BASE_TABLE"]
    return {f"{schema}.{table}" if schema else table for schema, table in tables if schema or table not in ctes}


def build_order(reads: Mapping[str, Collection[str]], sources: Collection[str]) -> list[str]:
    """Order the tables so that each comes after those it reads; equal candidates go by name.

    `reads` maps a table to the tables it reads, `sources` are those that exist before the build. Raises OrderError.
    """
    for table, needed in sorted(reads.items()):
        unknown = sorted(set(needed) - set(reads) - set(sources))
        if unknown:
            raise OrderError(
                f"{table} reads {', '.join(unknown)}, which no SQL file makes and no source provides; "
                f"known: {', '.join(sorted({*reads, *sources}))}"
            )
    sorter = TopologicalSorter({table: sorted(set(needed) & set(reads)) for table, needed in sorted(reads.items())})
    try:
        return list(sorter.static_order())
    except CycleError as error:
        raise OrderError(f"the SQL files read each other in a circle: {' -> '.join(error.args[1])}") from error


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for branch in tree:
            yield from _nodes(branch)
