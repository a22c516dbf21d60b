"""A part is there whole or not at all, with the columns and types of the contract."""

import errno
import os
import subprocess
import sys
import threading
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from loadgen import parts
from loadgen.parts import PartWriter
from schemas.arrow import arrow_schema
from schemas.columns import CLIENT_HEALTH, REQUEST_TRACES
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


def test_parts_larger_than_a_row_group_are_written_as_they_fill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_ROWS_PER_BATCH", 5)
    monkeypatch.setattr(parts, "_ROWS_PER_GROUP", 10)
    path = tmp_path / "part.parquet"
    write(path, [FULL] * 25)
    assert pq.ParquetFile(path).metadata.num_row_groups == 3
    assert pq.read_table(path).num_rows == 25


def test_a_full_disk_is_told_plainly_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
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


def indexed(*indexes: int) -> list[dict[str, Any]]:
    """Rows by their number."""
    return [FULL | {"request_index": index} for index in indexes]


def indexes(path: Path) -> list[int]:
    """The numbers of a part's rows."""
    return [row["request_index"] for row in pq.read_table(path, columns=["request_index"]).to_pylist()]


def test_a_new_part_begins_after_so_many_rows_and_no_row_is_lost(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path / "a1-l001-s000.parquet", rows_per_part=3)
    for row in indexed(*range(7)):
        writer.add(row)
    writer.close()
    assert [path.name for path in writer.paths] == [
        "a1-l001-s000.parquet", "a1-l001-s000-p001.parquet", "a1-l001-s000-p002.parquet",
    ]  # fmt: skip
    assert [indexes(path) for path in writer.paths] == [[0, 1, 2], [3, 4, 5], [6]]
    assert writer.rows == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in writer.paths)


def test_rows_that_fill_the_last_part_leave_no_empty_one(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path / "a.parquet", rows_per_part=2)
    for row in indexed(0, 1, 2, 3):
        writer.add(row)
    writer.close()
    assert [indexes(path) for path in writer.paths] == [[0, 1], [2, 3]]


def test_a_new_part_begins_after_so_many_seconds(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path / "a.parquet", seconds_per_part=0.0)
    for row in indexed(0, 1):
        writer.add(row)
    writer.close()
    assert [indexes(path) for path in writer.paths] == [[0], [1]]


def test_the_number_of_a_part_stands_before_the_name_of_its_table() -> None:
    assert parts.part_path(Path("x/a1-l001-s000.client_health.parquet"), 2) == Path(
        "x/a1-l001-s000-p002.client_health.parquet"
    )


def test_giving_up_keeps_the_parts_that_are_complete(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path / "a.parquet", rows_per_part=2)
    for row in indexed(0, 1, 2):
        writer.add(row)
    writer._thread.submit(lambda: None).result(timeout=10)  # what was handed over is done
    writer.discard()
    writer.discard()  # twice does no harm
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]
    assert writer.paths == [tmp_path / "a.parquet"]


def test_an_error_of_the_thread_is_told_by_the_next_row_and_by_closing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = PartWriter(tmp_path / "a.parquet", rows_per_part=1)
    monkeypatch.setattr(os, "fsync", full)
    writer.add(FULL)
    writer._thread.submit(lambda: None).result(timeout=10)
    with pytest.raises(PartError, match="No space left on device"):
        writer.add(FULL)
    with pytest.raises(PartError, match="No space left on device"):
        writer.close()
    assert list(tmp_path.iterdir()) == []


def test_rows_become_parts_while_the_disk_is_slow_and_memory_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the thread cannot write: 4 row groups wait for it, the fifth makes `add` wait
    monkeypatch.setattr(parts, "_ROWS_PER_BATCH", 1)
    monkeypatch.setattr(parts, "_ROWS_PER_GROUP", 1)
    writer = PartWriter(tmp_path / "a.parquet")
    go = threading.Event()
    writer._thread.submit(go.wait, 30)
    for row in indexed(0, 1, 2, 3):
        writer.add(row)
    fifth = threading.Thread(target=writer.add, args=indexed(4))
    fifth.start()
    fifth.join(0.05)
    assert fifth.is_alive()
    go.set()
    fifth.join(10)
    writer.close()
    assert indexes(tmp_path / "a.parquet") == [0, 1, 2, 3, 4]


def test_another_table_is_written_with_its_own_columns(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path / "a.client_health.parquet", CLIENT_HEALTH)
    writer.add({column.name: SAMPLES[column.type] for column in CLIENT_HEALTH.columns})
    writer.close()
    assert pq.read_schema(tmp_path / "a.client_health.parquet").equals(arrow_schema(CLIENT_HEALTH))


def test_what_pyarrow_imports_for_its_first_conversion_is_imported_before_a_row_comes(tmp_path: Path) -> None:
    # pyarrow looks for pandas, which takes a quarter of a second to import, at the first conversion of a process: a
    # stand-in says when. The first 64 rows are converted on the event loop.
    (tmp_path / "pandas.py").write_text("print('pandas', flush=True)\nraise ImportError('a stand-in')\n")
    script = (
        "from pathlib import Path\n"
        "from loadgen.parts import PartWriter\n"
        f"writer = PartWriter(Path({str(tmp_path / 'part.parquet')!r}))\n"
        "print('ready', flush=True)\n"
        f"from tests.loadgen.test_parts import FULL\n"
        "[writer.add(FULL) for _ in range(64)]\n"
        "writer.close()\n"
    )
    path = f"{tmp_path}{os.pathsep}{os.pathsep.join(sys.path)}"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout.split() == ["pandas", "ready"]
