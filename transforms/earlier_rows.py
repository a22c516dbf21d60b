"""Rows that a table of the history already has, while it or what it reads is made anew.

A trend's earlier nights are its own rows: to make them again from what they followed from would take longer than the new
ones do. The order of the files cannot say so, since a table does not come before itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from schemas.arrow import arrow_schema
from schemas.columns import Table


@contextmanager
def earlier_rows(con: duckdb.DuckDBPyConnection, table: Table, *, while_made: bool = False) -> Iterator[str]:
    """What to read the rows of `table` from; it has none where all nights are new.

    `while_made`: the runner keeps them under another name while the table itself is made.
    """
    kept = f"{table.schema}.{table.name}{'__kept' if while_made else ''}"
    if _is_there(con, kept):
        yield kept
        return
    con.register("no_rows", pa.Table.from_pylist([], schema=arrow_schema(table)))
    yield "no_rows"
    con.unregister("no_rows")


def _is_there(con: duckdb.DuckDBPyConnection, name: str) -> bool:
    query = "select count(*) from duckdb_tables() where database_name = current_database() and concat(schema_name, '.', table_name) = ?"
    [(tables,)] = con.execute(query, [name]).fetchall()
    return bool(tables)
