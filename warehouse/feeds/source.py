"""What a feed reads: the published warehouse, and which of its curated tables."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb

from schemas.columns import CURATED_TABLES, Table
from schemas.errors import FeedError, UsageError
from warehouse import ask
from warehouse.home import Home


def chosen(names: Sequence[str] = ()) -> tuple[Table, ...]:
    """Curated tables of these names, or all.

    Raises:
        UsageError: there is no such table.

    """
    known = {table.name: table for table in CURATED_TABLES}
    unknown = sorted(set(names) - known.keys())
    if unknown:
        raise UsageError(f"no curated table is called {', '.join(unknown)}: choose from {', '.join(known)}")
    return tuple(table for name, table in known.items() if not names or name in names)


@contextmanager
def published(home: Home, tables: Sequence[Table]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published warehouse, read-only, in which these tables are as the schemas say.

    Raises:
        WarehouseError: there is none, or it cannot be opened.
        FeedError: it was built by another version of Ratecard, with other columns.

    """
    with ask.connect(home) as con:
        found: dict[str, list[tuple[str, str]]] = {}
        for name, column, kind in con.execute(
            "select table_name, column_name, data_type from duckdb_columns() "
            "where schema_name = 'curated' order by table_name, column_index"
        ).fetchall():
            found.setdefault(name, []).append((column, kind))
        other = [t.name for t in tables if found.get(t.name) != [(c.name, c.type) for c in t.columns]]
        if other:
            raise FeedError(
                f"{home.warehouse} was built by another version of Ratecard: {', '.join(other)} would have other columns. "
                "`ratecard build` makes it anew from raw/"
            )
        yield con


def quoted(name: str) -> str:
    """A name as SQL writes it, in DuckDB and in Postgres."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
