"""Lists are read from Parquet files by the number of their row, some rows at a time."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import BuildError
from transforms.trace_lists import read

GAPS = [[1, 2], None, [3], [], [4, 5, 6], [7]]


def written(folder: Path, *, rows_a_group: int = 2) -> str:
    """A part of six rows in three row groups, as a version without tokens by the chunk wrote it; nothing and none count as a gap."""
    path = folder / "part.parquet"
    pq.write_table(pa.table({"request_index": range(6), "gaps_us": GAPS}), path, row_group_size=rows_a_group)
    return str(path)


@pytest.mark.parametrize(
    ("most", "expected"),
    # six rows with nine values: one row, two rows, all at a time
    [(1, [[[1, 2]], [[3]], [[]], [[7]]]), (4, [[[1, 2]], [[3], []], [[7]]]), (99, [[[1, 2], [3], [], [7]]])],
)
def test_the_lists_of_the_rows_that_are_wanted_come_in_order(
    tmp_path: Path, most: int, expected: list[list[list[int]]]
) -> None:
    found = read(written(tmp_path), np.array([0, 2, 3, 5]), ("gaps_us",), most)
    assert [
        [lists.values[a:b].tolist() for a, b in zip(lists.offsets, lists.offsets[1:], strict=False)]
        for _, [lists] in found
    ] == expected


def test_a_null_and_a_column_that_the_file_lacks_are_empty_lists(tmp_path: Path) -> None:
    [(many, [gaps, tokens])] = read(written(tmp_path), np.array([1, 4]), ("gaps_us", "chunk_tokens"), 99)
    assert (many, gaps.lengths.tolist(), gaps.values.tolist()) == (2, [0, 3], [4, 5, 6])
    assert (tokens.lengths.tolist(), tokens.values.tolist()) == ([0, 0], [])


def test_row_groups_without_a_wanted_row_are_passed_over(tmp_path: Path) -> None:
    # what the first group holds cannot be read
    path = Path(written(tmp_path))
    group = pq.read_metadata(path).row_group(0).column(1)
    end = group.data_page_offset + group.total_compressed_size
    spoiled = bytearray(path.read_bytes())
    spoiled[4:end] = bytes(end - 4)
    path.write_bytes(spoiled)
    found = read(str(path), np.array([2, 5]), ("gaps_us",), 99)
    assert [(many, lists.values.tolist()) for many, [lists] in found] == [(2, [3, 7])]
    with pytest.raises(BuildError):
        list(read(str(path), np.array([1]), ("gaps_us",), 99))


def test_a_few_huge_lists_come_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    pq.write_table(pa.table({"gaps_us": [list(range(1000))] * 3}), path)
    assert [len(lists.values) for _, [lists] in read(str(path), np.arange(3), ("gaps_us",), 1500)] == [1000] * 3


def test_a_file_that_was_cut_short_is_named(tmp_path: Path) -> None:
    path = Path(written(tmp_path))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BuildError, match=r"part\.parquet cannot be read"):
        list(read(str(path), np.array([0]), ("gaps_us",), 1))
