"""A part is there whole or not at all, with the columns and types of the contract."""

import errno
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from loadgen import parts
from loadgen.parts import PartWriter
from schemas.arrow import arrow_schema
from schemas.columns import REQUEST_TRACES
from schemas.errors import PartError

SAMPLES = {
    "VARCHAR": "x", "BOOLEAN": True, "INTEGER": 7, "BIGINT": 2**40, "DOUBLE": 0.5, "DATE": date(2026, 11, 20),
    "TIMESTAMP": datetime(2026, 11, 20, 1, 2, 3, 456789), "INTEGER[]": [1, 0, 2**31 - 1],
}  # fmt: skip
FULL = {column.name: SAMPLES[column.type] for column in REQUEST_TRACES.columns}
SPARSE = FULL | {column.name: None for column in REQUEST_TRACES.columns if column.nullable} | {"gaps_us": []}


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    writer = PartWriter(path)
    for row in rows:
        writer.add(row)
    writer.close()


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    write(path, [FULL, SPARSE])
    table = pq.read_table(path)
    assert table.schema.equals(arrow_schema(REQUEST_TRACES))
    assert table.to_pylist() == [FULL, SPARSE]


def test_duckdb_sees_the_types_of_the_list_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    write(path, [FULL, SPARSE])
    with duckdb.connect() as con:
        described = con.sql(f"describe select * from '{path}'").fetchall()
        assert con.sql(f"select sum(list_sum(gaps_us)) from '{path}'").fetchone() == (2**31,)
    assert [(row[0], row[1]) for row in described] == [(column.name, column.type) for column in REQUEST_TRACES.columns]


def test_only_the_complete_part_has_the_name(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    writer = PartWriter(path)
    writer.add(FULL)
    assert not path.exists()
    assert list(tmp_path.glob("*.parquet")) == []
    writer.close()
    assert [file.name for file in tmp_path.iterdir()] == ["part.parquet"]


def test_parts_larger_than_a_row_group_are_written_as_they_fill(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(parts, "_ROWS_PER_GROUP", 10)
    path = tmp_path / "part.parquet"
    write(path, [FULL] * 25)
    assert pq.ParquetFile(path).metadata.num_row_groups == 3
    assert pq.read_table(path).num_rows == 25


def test_a_full_disk_is_told_plainly_and_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(parts.os, "fsync", full)
    path = tmp_path / "part.parquet"
    with pytest.raises(PartError, match=rf"cannot write {path}: No space left on device; free some space"):
        write(path, [FULL])
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_in_the_middle_is_told_plainly_and_leaves_nothing(tmp_path: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from loadgen import parts
from tests_rows import FULL
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
parts._ROWS_PER_GROUP = 10
writer = parts.PartWriter(Path(sys.argv[1]))
try:
    while True:
        writer.add(FULL)
except parts.PartError as error:
    print(error)
"""
    rows = tmp_path / "modules" / "tests_rows.py"
    rows.parent.mkdir()
    rows.write_text(f"import datetime\nFULL = {FULL!r}\n")
    folder = tmp_path / "incoming"
    folder.mkdir()
    process = subprocess.run(
        [sys.executable, "-c", code, str(folder / "part.parquet")],
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": str(rows.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.startswith(f"cannot write {folder}/part.parquet: File too large; free some space")
    assert list(folder.iterdir()) == []
