"""Parquet: a folder of the curated tables, by day, that DuckDB, polars and Spark read (docs/feeds.md).

`DIR/TABLE/run_date=2026-11-20/part-….parquet`, or `DIR/TABLE/part-….parquet` for a table without nights. A file is
named for what is in it: what did not change since the last export keeps its file, and a reader that listed the folder
before it was swapped finds either the file that it listed or none, never another's content.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.columns import Table
from warehouse.feeds.folder import Folder, replacing
from warehouse.feeds.source import chosen, published, quoted
from warehouse.home import Home

PARTITION = "run_date"
LAYOUT = 1
"""Counted up when the same rows would be written in another way: nothing older is then kept."""
_BATCH_ROWS = 50_000


@dataclass(frozen=True)
class ParquetTable:
    """What was exported of a table; of its files, those that had not changed were kept."""

    table: str
    rows: int
    files: int
    files_kept: int
    bytes: int


@dataclass(frozen=True)
class _Part:
    """Rows of a table that are one file: `day` is the value of its partition, empty for a table without any."""

    day: str
    path: str
    rows: int


def export(home: Home, target: Path, names: Sequence[str] = ()) -> list[ParquetTable]:
    """Write curated tables, or those named, below `target`, and swap it in; returns what each became.

    Raises:
        UsageError: no such table.
        WarehouseError: no warehouse.
        FeedError: `target` is not an export of ours, or cannot be written; it is as it was.

    """
    tables = chosen(names)
    with published(home, tables) as con, replacing(target) as folder:
        made = [_export(con, table, folder) for table in tables]
        folder.about = {"ratecard": version("ratecard"), "partition": PARTITION, "tables": [asdict(t) for t in made]}
    return made


def day_of(table: Table) -> str:
    """SQL of the partition that a row of the table is filed under; an empty text for a table without nights."""
    columns = {column.name for column in table.columns}
    if PARTITION in columns:
        day = PARTITION
    elif "night" in columns:
        day = "cast(night as date)"
    else:
        return "''"
    return f"coalesce(cast({day} as varchar), '__HIVE_DEFAULT_PARTITION__')"


def _export(con: duckdb.DuckDBPyConnection, table: Table, folder: Folder) -> ParquetTable:
    parts = _parts(con, table)
    missing = {part.day: part for part in parts if not folder.keep(part.path)}
    if missing:
        _write(con, table, missing, folder)
    size = sum((folder.path / part.path).stat().st_size for part in parts)
    return ParquetTable(table.name, sum(part.rows for part in parts), len(parts), len(parts) - len(missing), size)


def _parts(con: duckdb.DuckDBPyConnection, table: Table) -> list[_Part]:
    """The files of the table, each named for its rows; an empty table is one empty file, so that it has columns."""
    columns = ", ".join(quoted(column.name) for column in table.columns)
    rows = con.execute(
        "select day, count(*), bit_xor(row_hash), sum(row_hash) from ("
        f"select {day_of(table)} as day, hash({columns}) as row_hash from curated.{table.name}"
        ") group by day order by day"
    ).fetchall()
    look = json.dumps([LAYOUT, duckdb.__version__, _description(table)])
    parts = []
    for day, count, *hashes in rows or [("", 0, 0, 0)]:
        name = f"part-{sha256(f'{look} {day} {count} {hashes}'.encode()).hexdigest()[:16]}.parquet"
        parts.append(_Part(day, f"{table.name}/{f'{PARTITION}={day}/' if day else ''}{name}", count))
    return parts


def _write(con: duckdb.DuckDBPyConnection, table: Table, parts: dict[str, _Part], folder: Folder) -> None:
    """Write the missing files, the rows of each in the order of the grain."""
    columns = ", ".join(quoted(c.name) for c in table.columns if not (c.name == PARTITION and "" not in parts))
    grain = ", ".join(quoted(name) for name in table.grain)
    reader = con.sql(
        f"select {columns}, {day_of(table)} as partition_day from curated.{table.name} "
        f"where partition_day in (select unnest($days)) order by partition_day, {grain}",
        params={"days": list(parts)},
    ).to_arrow_reader(_BATCH_ROWS)
    schema = _described(pa.schema([field for field in reader.schema if field.name != "partition_day"]), table)
    writers: dict[str, pq.ParquetWriter] = {}
    try:
        for day, rows in _by_day(reader):
            if day not in writers:
                _close(writers)
                writers[day] = _writer(folder, parts[day], schema)
            writers[day].write_batch(rows.cast(schema))
        if "" in parts and not writers:
            writers[""] = _writer(folder, parts[""], schema)
    finally:
        _close(writers)


def _close(writers: dict[str, pq.ParquetWriter]) -> None:
    """Close the only writer there may be: the rows are sorted by day."""
    while writers:
        writers.popitem()[1].close()


def _by_day(reader: pa.RecordBatchReader) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Batches that are sorted by day, cut where a day ends."""
    for batch in reader:
        days = batch.column("partition_day")
        rows = batch.drop_columns(["partition_day"])
        start = 0
        for day, same in groupby(days.to_pylist()):
            count = len(list(same))
            yield str(day), rows.slice(start, count)
            start += count


def _writer(folder: Folder, part: _Part, schema: pa.Schema) -> pq.ParquetWriter:
    path = folder.path / part.path
    path.parent.mkdir(parents=True, exist_ok=True)
    return pq.ParquetWriter(path, schema, compression="zstd", compression_level=3)


def _described(schema: pa.Schema, table: Table) -> pa.Schema:
    """The schema with comments on its fields, and on the file what the table is."""
    comments = {column.name: column.description for column in table.columns}
    fields = [field.with_metadata({"comment": comments[field.name]}) for field in schema]
    return pa.schema(fields, metadata={"comment": table.description, "ratecard": json.dumps(_description(table))})


def _description(table: Table) -> dict[str, Any]:
    return {
        "table": table.name,
        "grain": list(table.grain),
        "columns": {column.name: {"type": column.type, "comment": column.description} for column in table.columns},
    }
