"""The published warehouse as the page reads it: what an older one lacks is empty, and is named."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import duckdb

from schemas.columns import CURATED_TABLES, Table
from warehouse.ask import connect
from warehouse.home import Home

Row = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """Queries of `reports/sql` over one published file; `lacking` names the tables and columns that it has not."""

    con: duckdb.DuckDBPyConnection
    lacking: tuple[str, ...]

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Rows of `reports/sql/<query>.sql`."""
        return self._asked(_sql(query), parameters)

    def shown(self) -> list[Row]:
        """Each endpoint x workload with its latest night, newest first."""
        return self._asked("from shown")

    def _asked(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        result = self.con.execute(sql, parameters)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@contextmanager
def opened(home: Home) -> Iterator[Source]:
    """The warehouse of `home`, with the temporary table `shown`: each endpoint x workload with its latest night, and the view `counted_runs`.

    Raises:
        WarehouseError: there is no warehouse.

    """
    with connect(home) as con:
        lacking = tuple(_fill_in(con))
        con.execute(f"create temp view counted_runs as {_sql('counted_runs')}")
        con.execute(f"create temp table shown as {_sql('shown')}")
        yield Source(con, lacking)


def _sql(query: str) -> str:
    return files("reports").joinpath("sql", f"{query}.sql").read_text(encoding="utf-8")


def _fill_in(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Lay a view over each table of another version: the columns that it lacks are null. Yields what is lacking."""
    there: dict[str, set[str]] = {}
    for table, column in con.execute(
        "select table_name, column_name from duckdb_columns() where schema_name = 'curated'"
    ).fetchall():
        there.setdefault(table, set()).add(column)
    for table in CURATED_TABLES:
        missing = [column.name for column in table.columns if column.name not in there.get(table.name, ())]
        if missing:
            con.execute(_view(table, there.get(table.name)))
            yield f"{table.name} ({', '.join(missing)})" if table.name in there else table.name


def _view(table: Table, present: set[str] | None) -> str:
    """The table as this version has it; the schema `temp` is looked through before the file's."""
    columns = ", ".join(
        f'"{column.name}"' if present and column.name in present else f'cast(null as {column.type}) as "{column.name}"'
        for column in table.columns
    )
    return f"create temp view {table.name} as select {columns} " + (
        f"from curated.{table.name}" if present else "where false"
    )
