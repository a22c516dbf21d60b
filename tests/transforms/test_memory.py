"""Databases in memory put what does not fit there into a folder of their own, never into the working directory."""

from pathlib import Path

import pytest

from transforms.memory import in_memory

ROOT = Path(__file__).parents[2]
ROOMS = ("transforms", "warehouse", "reports", "flows", "loadgen", "endpoints", "schemas")


def spilled(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file())


def test_what_does_not_fit_goes_where_nobody_else_writes_and_is_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with in_memory() as con, in_memory(tmp_path / "chosen") as other:
        [own], [chosen] = (c.execute("select current_setting('temp_directory')").fetchall()[0] for c in (con, other))
        assert Path(own).is_absolute() and chosen == str(tmp_path / "chosen")
        for c in (con, other):
            # 8 MB of random numbers in 6 MB: the table itself does not fit
            c.execute(
                "set memory_limit = '6MB'; set threads = 1; create table t as select random() as x from range(1000000)"
            )
            assert c.execute("select count(*) from t where x < 2").fetchone() == (1_000_000,)
        assert spilled(Path(own)) > 0 and spilled(tmp_path / "chosen") > 0
        assert not (tmp_path / ".tmp").exists()
    assert not Path(own).parent.exists()


def test_no_room_opens_a_database_in_memory_by_itself() -> None:
    opened = [
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if any(call in path.read_text() for call in ('duckdb.connect(":memory:"', "duckdb.connect()"))
    ]
    assert opened == ["transforms/memory.py"]
