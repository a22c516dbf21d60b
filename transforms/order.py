"""In which order the SQL files run, derived from the SQL itself.

`json_serialize_sql` is a pure parse (it binds nothing), so it also reads queries on tables that do not exist yet.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

import duckdb

from schemas.errors import OrderError


def tables_read(con: duckdb.DuckDBPyConnection, queries: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """By name, the tables (`schema.table`) that its SELECTs read, their common table expressions left out.

    Raises OrderError where one of them is not exactly one SELECT.
    """
    # a search builds again and again from the same files
    unread = [(name, sql) for name, selects in queries.items() for sql in selects if sql not in _READ]
    if unread:
        # in one text: of each value of a list DuckDB asks anew whether pandas is installed
        found = con.execute(_PARSED, [json.dumps([sql for _, sql in unread])]).fetchall()
        for (name, sql), (tables, ctes, statements, error) in zip(unread, found, strict=True):
            if statements != 1:
                why = error or "several statements"
                raise OrderError(f"{name}: a SQL file holds exactly one SELECT, this one does not parse as such: {why}")
            _READ[sql] = frozenset(
                f"{schema}.{table}" if schema else table for schema, table in tables if schema or table not in ctes
            )
    return {name: {table for sql in selects for table in _READ[sql]} for name, selects in queries.items()}


_READ: dict[str, frozenset[str]] = {}
_PARSED = """
with parsed as (
    select json_serialize_sql(sql) as tree,
    from (select unnest(from_json(?::json, '["VARCHAR"]')) as sql)
)

select
    -- of a table that is read, wherever it is in the tree; nothing else has the two
    list_zip(tree ->> '$..schema_name', tree ->> '$..table_name') as tables,
    tree ->> '$..cte_map.map[*].key' as ctes,
    len(tree -> '$.statements[*]') as statements,
    tree ->> '$.error_message' as error,
from parsed
"""


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
