"""In which order the SQL files run, derived from the SQL itself.

`json_serialize_sql` is a pure parse (it binds nothing), so it also reads queries on tables that do not exist yet.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import duckdb

from schemas.errors import OrderError


def tables_read(con: duckdb.DuckDBPyConnection, queries: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """By name, the tables (`schema.table`) that its SELECTs read, their common table expressions left out.

    Raises OrderError where one of them is not exactly one SELECT.
    """
    # a search builds again and again from the same files
    unread = [(name, sql) for name, selects in queries.items() for sql in selects if sql not in _READ]
    if unread:
        # one statement: each has a cost of its own, which is that of a parse
        parses = "select json_serialize_sql(sql) from (select unnest(?::varchar[]) as sql)"
        serialised = con.execute(parses, [[sql for _, sql in unread]]).fetchall()
        _READ.update({sql: _tables(name, tree) for (name, sql), (tree,) in zip(unread, serialised, strict=True)})
    return {name: {table for sql in selects for table in _READ[sql]} for name, selects in queries.items()}


_READ: dict[str, frozenset[str]] = {}


def _tables(name: str, serialised: str) -> frozenset[str]:
    tables: list[tuple[str, str]] = []
    ctes: set[str] = set()

    def note(node: dict[str, Any]) -> dict[str, Any]:
        if node.get("type") == "BASE_TABLE":
            tables.append((node.get("schema_name", ""), node["table_name"]))
        ctes.update(entry["key"] for entry in (node.get("cte_map") or {}).get("map", ()))
        return node

    # the decoder hands over every object on its way: a walk through the tree afterwards takes longer than to decode it
    parsed: dict[str, Any] = json.loads(serialised, object_hook=note)
    if len(parsed.get("statements", ())) != 1:
        reason = parsed.get("error_message", "several statements")
        raise OrderError(f"{name}: a SQL file holds exactly one SELECT, this one does not parse as such: {reason}")
    return frozenset(
        f"{schema}.{table}" if schema else table for schema, table in tables if schema or table not in ctes
    )


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
