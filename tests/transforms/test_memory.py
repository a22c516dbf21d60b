"""What does not fit into memory goes into a folder of the process, never into the working directory or beside the file."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from transforms import memory
from transforms.memory import in_memory, spill_apart

ROOT = Path(__file__).parents[2]
ROOMS = ("transforms", "warehouse", "reports", "flows", "loadgen", "endpoints", "schemas")
# 8 MB of random numbers in 6 MB: the table itself does not fit
SPILL = "set memory_limit = '6MB'; set threads = 1; create temp table t as select random() as x from range(1000000)"


def spilled(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file())


def setting(con: duckdb.DuckDBPyConnection) -> str:
    [(folder,)] = con.execute("select current_setting('temp_directory')").fetchall()
    return str(folder)


def test_what_does_not_fit_goes_where_nobody_else_writes_and_is_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with in_memory() as con, in_memory(tmp_path / "chosen") as other, in_memory() as third:
        own = Path(setting(con))
        assert own.is_absolute() and setting(other) == str(tmp_path / "chosen") and setting(third) != str(own)
        for c in (con, other):
            c.execute(SPILL)
            assert c.execute("select count(*) from t where x < 2").fetchone() == (1_000_000,)
        assert spilled(own) > 0 and spilled(tmp_path / "chosen") > 0
        assert not (tmp_path / ".tmp").exists()
    assert not own.exists()


def test_a_forked_child_that_ends_leaves_the_folder_to_its_parent() -> None:
    script = """
import os, sys
from transforms.memory import _apart
folder = _apart()
if os.fork() == 0:
    sys.exit(0)
os.wait()
print(folder, folder.exists())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    folder, while_the_parent_lived = done.stdout.split()
    assert while_the_parent_lived == "True" and not Path(folder).exists()


def test_two_processes_that_read_one_file_do_not_spill_into_one_folder(tmp_path: Path) -> None:
    file = tmp_path / "w.duckdb"
    duckdb.connect(str(file)).close()
    with duckdb.connect(str(file), read_only=True) as con, duckdb.connect(str(file), read_only=True) as again:
        spill_apart(con)
        con.execute(SPILL)
        own = Path(setting(con))
        assert spilled(own) > 0 and [path.name for path in tmp_path.iterdir()] == ["w.duckdb"]
        spill_apart(again)  # the folder is in use by now, and is the one that it would take
        assert setting(again) == str(own)
        script = f"""
import duckdb
from transforms.memory import spill_apart
con = duckdb.connect({str(file)!r}, read_only=True)
spill_apart(con)
print(con.execute("select current_setting('temp_directory')").fetchone()[0])
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
        other = Path(done.stdout.strip())
    assert other.is_absolute() and other.parent != own.parent
    assert not other.parent.exists(), "gone with its process"


def test_where_no_folder_can_be_made_all_has_to_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Path:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(memory, "_folder_of", full)
    with in_memory() as con:
        spill_apart(con)
        assert con.execute("select sum(x) from range(10) as r (x)").fetchone() == (45,)
        with pytest.raises(duckdb.OutOfMemoryException):
            con.execute(SPILL)


def test_no_room_opens_a_database_in_memory_by_itself_or_reads_the_published_one_without_a_folder_of_its_own() -> None:
    opened = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if any(call in path.read_text() for call in ('duckdb.connect(":memory:"', "duckdb.connect()", "read_only=True"))
    }
    assert opened == {"transforms/memory.py", "warehouse/ask.py"}
