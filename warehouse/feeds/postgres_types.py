"""How a curated table stands in Postgres: types, and the SELECT that gives them (docs/feeds.md).

| DuckDB | Postgres |
|---|---|
| VARCHAR | text (a zero byte, which Postgres cannot hold, is left out) |
| BOOLEAN, DATE, DOUBLE, REAL | boolean, date, double precision, real |
| TINYINT, SMALLINT, INTEGER, BIGINT | smallint, smallint, integer, bigint |
| HUGEINT, UBIGINT and the other unsigned | numeric(38, 0) |
| DECIMAL(p, s) | numeric(p, s) |
| TIMESTAMP, TIMESTAMP WITH TIME ZONE | timestamp (UTC), timestamptz |
| lists of those | arrays |
| anything else: STRUCT, MAP, lists of lists | json |
"""

import re

from schemas.columns import Column
from warehouse.feeds.source import quoted

_SCALARS = {
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "DOUBLE": "double precision",
    "FLOAT": "real",
    "TINYINT": "smallint",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
}
_DECIMAL = re.compile(r"DECIMAL\((\d+), ?(\d+)\)")
_WIDE = ("HUGEINT", "UHUGEINT", "UBIGINT", "UINTEGER", "USMALLINT", "UTINYINT")


def postgres_type(duckdb_type: str) -> str:
    """Type of a column in Postgres."""
    kind = duckdb_type.upper()
    element = kind.removesuffix("[]")
    if element in _SCALARS:
        return _SCALARS[element] + kind[len(element) :]
    if kind in _WIDE:
        return "numeric(38, 0)"
    if found := _DECIMAL.fullmatch(kind):
        return f"numeric({found[1]}, {found[2]})"
    return "json"


def select_item(column: Column) -> str:
    """The column as DuckDB is to select it, so that its Arrow type is the one of its Postgres type."""
    name, kind = quoted(column.name), column.type.upper()
    if kind == "VARCHAR":
        value = f"replace({name}, chr(0), '')"
    elif kind == "VARCHAR[]":
        value = f"list_transform({name}, lambda x: replace(x, chr(0), ''))"
    elif kind in _WIDE:
        value = f"cast({name} as decimal(38, 0))"
    elif postgres_type(kind) == "json":
        value = f"cast(to_json({name}) as varchar)"
    else:
        return name
    return f"{value} as {name}"
