"""Many parts of one attempt's table as one file: all rows, or every n-th request of each level; read back before it counts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.arrow import arrow_schema, write_options
from schemas.columns import Table
from schemas.errors import LandingError
from warehouse.files import write_whole

_ROWS_PER_GROUP = 32_768
_BYTES_PER_GROUP = 32 << 20


def rewrite(table: Table, parts: Sequence[Path], target: Path, keep_share: float | None = None) -> int:
    """Write the rows of `parts` to `target`, in their order; returns how many. Memory holds a few row groups.

    With `keep_share` every n-th row of each level is kept, the first of each among them: the same ones each time.
    Columns that an older version lacked are null.

    Raises:
        LandingError: `target` cannot be written, or does not read back as it was meant; it is not there then.

    """
    rows = 0

    def write(temporary: Path) -> None:
        nonlocal rows
        with pq.ParquetWriter(temporary, arrow_schema(table), **write_options(table)) as writer:
            for group in _groups(table, parts, keep_share):
                writer.write_table(group, row_group_size=group.num_rows)
                rows += group.num_rows
        if not _reads_back(_groups(table, parts, keep_share), temporary):
            raise LandingError(
                f"{target} did not read back as it was written: check the disk; its parts are as they were"
            )

    write_whole(target, write)
    return rows


def _reads_back(groups: Iterator[pa.Table], written: Path) -> bool:
    with pq.ParquetFile(written) as file:
        stored = (file.read_row_group(index) for index in range(file.num_row_groups))
        return all(a is not None and b is not None and a.equals(b) for a, b in zip_longest(groups, stored))


def _groups(table: Table, parts: Sequence[Path], keep_share: float | None) -> Iterator[pa.Table]:
    """Rows to write, a row group at a time."""
    waiting: list[pa.Table] = []
    seen: Counter[int] = Counter()
    for batch in _batches(table, parts):
        waiting.append(batch if keep_share is None else batch.filter(_kept(batch, keep_share, seen)))
        if sum(t.num_rows for t in waiting) >= _ROWS_PER_GROUP or sum(t.nbytes for t in waiting) >= _BYTES_PER_GROUP:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if any(t.num_rows for t in waiting):
        yield pa.concat_tables(waiting).combine_chunks()


def _batches(table: Table, parts: Sequence[Path]) -> Iterator[pa.Table]:
    schema = arrow_schema(table)
    for part in parts:
        with pq.ParquetFile(part) as file:
            for index in range(file.num_row_groups):
                yield _of_this_version(file.read_row_group(index), schema)


def _of_this_version(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    if strange := sorted(set(rows.column_names) - set(schema.names)):
        raise LandingError(f"a part has the column {strange[0]}, of a newer Ratecard: upgrade ratecard to rewrite it")
    columns = [
        rows[field.name] if field.name in rows.column_names else pa.nulls(rows.num_rows, field.type) for field in schema
    ]
    return pa.table(columns, names=schema.names).cast(schema)


def _kept(rows: pa.Table, share: float, seen: Counter[int]) -> pa.BooleanArray:
    """Which rows to keep; `seen` counts those of each level so far."""
    kept = []
    levels: list[Any] = rows["level_index"].to_pylist()
    for level in levels:
        number = seen[level]
        kept.append(int(number * share) > int((number - 1) * share) if number else True)
        seen[level] += 1
    return pa.array(kept, pa.bool_())
