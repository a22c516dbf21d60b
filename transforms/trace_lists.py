"""Lists of `raw.request_traces`, taken from the Parquet files by Arrow.

Arrow decodes a list in less than half of the time that DuckDB takes to decode it and hand it over, and the lists are nearly
all that a trace is made of.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
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

    So many row groups at a time that their first column has about `most_values`. A column that the file lacks is null.
    Raises BuildError.
    """
    try:
        with pq.ParquetFile(file, memory_map=True) as parquet:
            names = parquet.schema_arrow.names
            there = [name for name in columns if name in names]
            for groups, first, end in _spans(parquet.metadata, columns[0], most_values):
                wanted = rows[np.searchsorted(rows, first) : np.searchsorted(rows, end)] - first
                if len(wanted):
                    found = parquet.read_row_groups(groups, columns=there, use_threads=False)
                    none = Lists.of_lengths(np.zeros(0, np.int32), np.zeros(end - first, np.int32))
                    yield (
                        len(wanted),
                        [(_lists(found[name]) if name in there else none)[wanted] for name in columns],
                    )
    except (pa.ArrowException, OSError) as error:
        raise BuildError(f"{file} cannot be read: {error}") from error


def _spans(metadata: Any, column: str, most_values: int) -> Iterator[tuple[list[int], int, int]]:
    """Numbers of neighbouring row groups, their first row and the one after their last."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    starts = [0, *accumulate(group.num_rows for group in groups)]
    at = next(i for i in range(metadata.num_columns) if metadata.schema.column(i).path.split(".")[0] == column)
    together: list[int] = []
    values = 0
    for number, group in enumerate(groups):
        together.append(number)
        values += group.column(at).num_values
        if values >= most_values or number + 1 == len(groups):
            yield together, starts[together[0]], starts[number + 1]
            together, values = [], 0


def _lists(column: Any) -> Lists:
    lists = column.combine_chunks()
    # Parquet keeps nothing of a null, so that it ends where it begins
    return Lists(lists.values.to_numpy(), lists.offsets.to_numpy())
