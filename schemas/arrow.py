"""Arrow schemas of the tables of `schemas.columns`."""

from typing import Any

import pyarrow as pa

from schemas.columns import Column, Table

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

_FILTERED = {"run_id", "attempt", "endpoint", "workload", "run_date", "level_index", "shard", "phase", "outcome"}

_PLAIN = {"BIGINT", "INTEGER", "BOOLEAN", "VARCHAR", "DATE"}
_VARIED = {"reads", "token_chunks", "target_input_tokens", "target_output_tokens", "error"}
"""Columns of these types with much to say, which does not come as differences."""


def arrow_type(duckdb_type: str) -> pa.DataType:
    """Arrow type of a DuckDB type name; `X[]` is a list without null elements. KeyError for a type not in use."""
    if duckdb_type.endswith("[]"):
        return pa.list_(pa.field("element", arrow_type(duckdb_type[:-2]), nullable=False))
    return _SCALARS[duckdb_type]


def arrow_schema(table: Table) -> pa.Schema:
    """Arrow schema of a table: same columns, same order, same nullability."""
    return pa.schema([pa.field(column.name, arrow_type(column.type), column.nullable) for column in table.columns])


def write_options(table: Table) -> dict[str, Any]:
    """Options of pyarrow's ParquetWriter for a table: the encoding that suits each column, and zstd where it pays.

    Times and counts hardly ever repeat: differences, packed to the bits they need. Gaps in whole microseconds do,
    within a row group of a level: a dictionary's places take 14 bits a gap of a jittery stream, where differences, which
    one late gap in 32 makes wide, take 16 and plain values 15.5, all with zstd. Byte-stream split would take 12, but
    DuckDB 1 does not read it for integers. Small pages: the places of the first ones need fewer bits, since the
    dictionary is still short. What a footer says again for every row group is what a reader needs: statistics of the
    columns that queries filter by, and no second schema, which Arrow finds in Parquet's own.

    Packed differences, and a column that says the same in most rows, zstd makes longer, and a third slower to read.
    """
    encoding = {_path(column): how for column in table.columns if (how := _encoding(column))}
    repeating = [path for path in map(_path, table.columns) if path not in encoding]
    compressed = {_path(column): _is_worth_compressing(column) for column in table.columns}
    return {
        "compression": {path: "zstd" if worth else "none" for path, worth in compressed.items()},
        "compression_level": {path: 3 for path, worth in compressed.items() if worth},
        "use_dictionary": repeating,
        "column_encoding": encoding,
        "data_page_size": 128 << 10,
        "write_statistics": [column.name for column in table.columns if column.name in _FILTERED],
        "store_schema": False,
    }


def _encoding(column: Column) -> str | None:
    """Encoding of a column; null: a dictionary."""
    if column.name.endswith("_sha256"):
        return "DELTA_LENGTH_BYTE_ARRAY"
    return "DELTA_BINARY_PACKED" if column.type == "BIGINT" else None


def _is_worth_compressing(column: Column) -> bool:
    return column.name in _VARIED or column.name.endswith("_sha256") or column.type not in _PLAIN


def _path(column: Column) -> str:
    """What Parquet calls a column: of a list, its elements."""
    return f"{column.name}.list.element" if column.type.endswith("[]") else column.name
