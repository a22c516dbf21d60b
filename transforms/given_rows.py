"""Rows of Python as a table of DuckDB.

As JSON: to take an Arrow table DuckDB 1 imports all of `pyarrow.dataset`, which takes longer than many a night's build.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import duckdb


def create(
    con: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Make the table `name` of `columns` (name to type), in place of one that is there; see `select`."""
    query, parameters = select(columns, rows)
    con.execute(f"create or replace table {name} as {query}", parameters)


def select(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """A query for `rows`, and its parameters. A column that a row lacks is null, and others than `columns` are left out.

    A time is an object or text of ISO 8601, and UTC where it does not say its zone.
    """
    timed = {name for name, type_ in columns.items() if type_ == "TIMESTAMP"}
    kept = [{name: _utc(row.get(name)) if name in timed else row.get(name) for name in columns} for row in rows]
    names = ", ".join(f'"{name}"' for name in columns)
    types = ", ".join(f'"{name}": "{type_}"' for name, type_ in columns.items())
    unnested = f"select unnest(from_json(?::json, '[{{{types}}}]'), max_depth := 2)"
    return f"select {names} from ({unnested})", [json.dumps(kept, default=_text)]


def _utc(value: Any) -> Any:
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    # DuckDB would pass over the zone of a text
    return at.astimezone(UTC).replace(tzinfo=None) if at and at.tzinfo else at


def _text(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a table: {value!r}")
