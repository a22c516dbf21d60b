"""Lists of `raw.request_traces`, taken from the Parquet files by Arrow.

Arrow decodes a list in less than half of the time that DuckDB takes to decode it and hand it over, and the lists are nearly
all that a trace is made of.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import BuildError
from transforms.folding import Integers, Lists


@contextmanager
def plain_memory() -> Iterator[None]:
    """Let Arrow take memory as the process does: its own pool clears huge pages, which takes longer than reading into them."""
    own = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(own)


def read(file: str, rows: Integers, columns: Sequence[str], most_values: int) -> Iterator[tuple[int, list[Lists]]]:
    """How many of `rows` (numbers in the file, which rise) come next, and their lists, by column; a null is an empty list.

    So many rows at a time that their first column has about `most_values`. A column that the file lacks is null. Raises
    BuildError.
    """
    try:
        with pq.ParquetFile(file, memory_map=True) as parquet:
            there = [name for name in columns if name in parquet.schema_arrow.names]
            groups, rows, many = _groups(parquet.metadata, columns[0], rows, most_values)
            first = 0
            for batch in parquet.iter_batches(many, groups, there, use_threads=False):
                end = first + batch.num_rows
                wanted = rows[np.searchsorted(rows, first) : np.searchsorted(rows, end)] - first
                first = end
                if len(wanted):
                    none = Lists.of_lengths(np.zeros(0, np.int32), np.zeros(batch.num_rows, np.int32))
                    yield (
                        len(wanted),
                        [(_lists(batch[name]) if name in there else none)[wanted] for name in columns],
                    )
    except (pa.ArrowException, OSError) as error:
        raise BuildError(f"{file} cannot be read: {error}") from error


def _groups(metadata: Any, column: str, rows: Integers, most_values: int) -> tuple[list[int], Integers, int]:
    """Row groups with any of `rows`, the numbers of `rows` in those alone, and how many of their rows have `most_values`."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    lengths = np.array([group.num_rows for group in groups])
    of_rows = np.searchsorted(np.cumsum(lengths), rows, side="right")
    is_read = np.bincount(of_rows, minlength=len(groups)) > 0
    passed_over = np.cumsum(np.where(is_read, 0, lengths))
    at = next(i for i in range(metadata.num_columns) if metadata.schema.column(i).path.split(".")[0] == column)
    wanted = np.flatnonzero(is_read).tolist()
    values = sum(groups[number].column(at).num_values for number in wanted)
    return wanted, rows - passed_over[of_rows], max(1, most_values * int(lengths[is_read].sum()) // max(1, values))


def _lists(column: Any) -> Lists:
    # Parquet keeps nothing of a null, so that it ends where it begins; a batch may be a part of what was decoded
    offsets = column.offsets.to_numpy()
    return Lists(column.values.to_numpy()[offsets[0] : offsets[-1]], offsets - offsets[0])
