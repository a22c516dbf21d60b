"""Asking the published file, read-only."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from schemas.errors import UsageError, WarehouseError
from transforms.memory import spill_apart
from warehouse.home import Home


@dataclass(frozen=True)
class Answer:
    """Column names and rows of a query."""

    columns: list[str]
    rows: list[tuple[Any, ...]]

    def objects(self) -> list[dict[str, Any]]:
        """Rows as objects."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@contextmanager
def connect(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    """Read-only connection to the published warehouse, `curated` on the search path.

    Raises:
        WarehouseError: there is none yet, it cannot be opened, or is damaged, which may show only when it is read.

    """
    if not home.warehouse.exists():
        raise WarehouseError(
            f"no warehouse at {home.warehouse}: `ratecard demo` or `ratecard run` makes one, `ratecard build` rebuilds it from raw/"
        )
    try:
        con = duckdb.connect(str(home.warehouse), read_only=True)
    except duckdb.Error as error:
        if "Could not set lock" in str(error):  # a path may say lock, too
            raise WarehouseError(
                f"{home.warehouse} is open for writing in another program: close it there, or let that program open it "
                f"read-only, as all of ours do ({error})"
            ) from error
        raise WarehouseError(
            f"{home.warehouse} cannot be opened ({error}): `ratecard build` rebuilds it from raw/"
        ) from error
    with con:
        spill_apart(con)
        try:
            con.execute("set search_path = 'main,curated'")
            yield con
        except duckdb.Error as error:
            if reason := _unusable(home, error):
                raise WarehouseError(
                    f"{home.warehouse} {reason} ({str(error).splitlines()[0]}): `ratecard build --recompute` makes it anew "
                    "from raw/"
                ) from error
            raise


def _unusable(home: Home, error: duckdb.Error) -> str | None:
    """What the file is, where an error is the file's; a build that adds to it may not touch the broken block."""
    if "Corrupt database file" in str(error) or (
        isinstance(error, duckdb.IOException) and str(home.warehouse) in str(error)
    ):
        return "is damaged"
    if isinstance(error, duckdb.CatalogException) and "SET search_path" in str(error):
        return "is no warehouse of Ratecard's"
    return None


def ask(home: Home, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Answer:
    """Answer of one read-only query.

    Raises:
        WarehouseError: no warehouse, or a damaged one.
        UsageError: the query is wrong; the message is DuckDB's.

    """
    with connect(home) as con:
        try:
            count = len(con.extract_statements(query))
            if count != 1:
                raise UsageError(f"found {count} SQL statements, expected one")
            result = con.execute(query, parameters)
            columns = [column[0] for column in result.description or ()]
            return Answer(_distinct(columns), result.fetchall())
        except (duckdb.Error, OverflowError, ValueError) as error:
            if isinstance(error, duckdb.Error) and _unusable(home, error):
                raise
            raise UsageError(str(error)) from error


def own_rows(home: Home, query: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Rows of a query of ours, as objects. What is wrong with it then is wrong with the file. Raises WarehouseError."""
    try:
        return ask(home, query, parameters or {}).objects()
    except UsageError as error:
        raise WarehouseError(
            f"{home.warehouse} is not of this version of Ratecard ({error}): `ratecard build` makes it anew from raw/"
        ) from error


def _distinct(names: list[str]) -> list[str]:
    """Column names, a repeated one with a number behind it: an object cannot hold two fields of one name."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return distinct
