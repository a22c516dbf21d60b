"""Arrow schemas of the tables of `schemas.columns`."""

from typing import Any

import pyarrow as pa

from schemas.columns import Table

_SCALARS: dict[str, pa.DataType] = {
    "VARCHAR": pa.string(),
    "BOOLEAN": pa.bool_(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "DATE": pa.date32(),
    # DuckDB's TIMESTAMP has no zone: UTC by convention, as the column's comment says
    "TIMESTAMP": pa.timestamp("us"),
}


def arrow_type(duckdb_type: str) -> pa.DataType:
    """Arrow type of a DuckDB type name; `X[]` is a list without null elements. KeyError for a type not in use."""
    if duckdb_type.endswith("[]"):
        return pa.list_(pa.field("element", arrow_type(duckdb_type[:-2]), nullable=False))
    return _SCALARS[duckdb_type]


def arrow_schema(table: Table) -> pa.Schema:
    """Arrow schema of a table: same columns, same order, same nullability."""
    return pa.schema([pa.field(column.name, arrow_type(column.type), column.nullable) for column in table.columns])


def write_options(table: Table) -> dict[str, Any]:
    """Options of pyarrow's ParquetWriter for a table: zstd, and the encoding that suits each column.

    Times and gaps hardly ever repeat: differences packed to the bits they need beat a dictionary (15 bits a gap of a
    jittery stream, 13 of a steady one, against 17 for plain values, all with zstd). Byte-stream split would take 14
    and 8, but DuckDB does not read it for integers.
    """
    packed = {
        c.name: f"{c.name}.list.element" if c.type.endswith("[]") else c.name
        for c in table.columns
        if c.unit in ("us", "ns")
    }
    return {
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": [c.name for c in table.columns if c.name not in packed],
        "column_encoding": dict.fromkeys(packed.values(), "DELTA_BINARY_PACKED"),
    }
