"""Many small parts become one a table and run: every row is kept, at whatever moment it is killed."""

import errno
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from schemas.errors import WarehouseError
from tests.curated import content
from tests.traces import LEVEL, begin, of_version_1, row
from tests.warehouse.killing import deaths
from tests.warehouse.retained import files, measure, policy
from warehouse import manifests, retain
from warehouse.build import build
from warehouse.home import Home, exclusive

LATER = date(2026, 11, 22)
COMPACT = policy(compact_after_days=2)
TRACES = policy(tables=["request_traces"], compact_after_days=2)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def silent(_: str) -> None:
    pass


def rows(home: Home, table: str = "request_traces") -> pl.DataFrame:
    """The rows of the parts that manifests name, in order."""
    parts = [p for m in manifests.read_all(home) for p in m.parts if p["table"] == table and p["path"]]
    found = pl.concat([pl.read_parquet(home.root / part["path"], hive_partitioning=False) for part in parts])
    number = "request_index" if table == "request_traces" else "elapsed_s"
    return found.sort("run_id", "attempt", "level_index", "shard", number)


def test_a_night_of_two_days_ago_becomes_a_file_a_table_with_equal_rows_and_an_equal_warehouse(home: Home) -> None:
    measure(home)
    measure(home, day=1)
    build(home)
    before, traces = content(home), rows(home)
    done = retain.apply(home, COMPACT, LATER, silent)
    # the night of the 20th alone: 5 parts of traces, 2 of health; the one of the server's metrics is a file already
    assert [(o.step.run["run_id"], o.step.table, o.before.files, o.after and o.after.files) for o in done] == [
        ("r-0", "request_traces", 5, 1),
        ("r-0", "client_health", 2, 1),
    ]
    assert [(o.before.rows, o.after and o.after.rows) for o in done] == [(30, 30), (8, 8)]
    assert all(o.after and o.after.bytes < o.before.bytes for o in done)
    first, second = manifests.read_all(home)
    assert list(manifests.check_parts(home, first)) == list(manifests.check_parts(home, second)) == []
    assert rows(home).equals(traces)
    assert len(list((home.raw / "request_traces").rglob("run_id=r-0/*"))) == 1
    build(home)
    assert content(home) == before
    assert retain.apply(home, COMPACT, LATER, silent) == []


def test_the_manifest_says_what_became_of_the_parts(home: Home) -> None:
    measure(home)
    names = {p["path"] for p in manifests.read_all(home)[0].parts if p["table"] == "request_traces"}
    retain.apply(home, COMPACT, LATER, silent)
    [manifest] = manifests.read_all(home)
    [part] = [p for p in manifest.parts if p["table"] == "request_traces"]
    kept = part["retained"]
    assert (kept["action"], kept["rule"], kept["rows_before"], kept["share"]) == ("compacted", "all", 30, None)
    assert set(kept["replaces"]) == names
    assert (part["rows"], part["level_index"]) == (30, None)
    assert manifests.is_whole(manifest)


def test_parts_of_an_older_version_keep_their_rows(home: Home) -> None:
    folder = begin(home)
    for shard in (0, 1):
        of_version_1(*(row(i, shard=shard) for i in range(3))).write_parquet(
            folder.path / f"a1-l001-s00{shard}.parquet"
        )
    folder.land_level(LEVEL)
    folder.close("complete", None)
    retain.apply(home, COMPACT, LATER, silent)
    [part] = manifests.read_all(home)[0].parts
    found = pl.read_parquet(home.root / part["path"], hive_partitioning=False)
    assert found["schema_version"].to_list() == [1] * 6
    assert found["transport"].to_list() == [None] * 6
    assert found["shard"].to_list() == [0, 0, 0, 1, 1, 1]


def test_two_attempts_in_one_folder_stay_apart(home: Home) -> None:
    measure(home)
    measure(home, attempt=2)
    done = retain.apply(home, COMPACT, LATER, silent)
    assert [(o.step.run["attempt"], o.after and o.after.files) for o in done if o.step.table == "request_traces"] == [
        (1, 1),
        (2, 1),
    ]
    assert rows(home)["attempt"].to_list() == [1] * 30 + [2] * 30
    assert len(list((home.raw / "request_traces").rglob("*.parquet"))) == 2


def test_large_parts_stay_as_they_are(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    measure(home)
    monkeypatch.setattr("warehouse.retention.MOST_BYTES", 1000)  # smaller than any
    assert retain.apply(home, COMPACT, LATER, silent) == []


def test_a_dry_run_says_the_same_and_touches_nothing(home: Home) -> None:
    measure(home)
    before = files(home)
    said = retain.would(home, COMPACT, LATER)
    assert [(o.step.table, o.before.files, o.after) for o in said] == [
        ("request_traces", 5, None),
        ("client_health", 2, None),
    ]
    assert files(home) == before


def test_a_part_that_changed_since_it_landed_is_not_given_a_new_hash(home: Home) -> None:
    measure(home)
    measure(home, run_id="other")
    [part, *_] = (home.raw / "request_traces").rglob("run_id=r-0/a1-l001-s000.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    before = files(home)
    done = retain.apply(home, COMPACT, LATER, silent)
    problems = {(o.step.run["run_id"], o.step.table): o.problem for o in done}
    assert "has changed since it landed" in str(problems.pop(("r-0", "request_traces")))
    assert set(problems.values()) == {None}  # the other run is compacted
    after = files(home)
    assert {name: after[name] for name in after if "run_id=r-0/a1-l00" in name and "request_traces" in name} == {
        name: before[name] for name in before if "run_id=r-0/a1-l00" in name and "request_traces" in name
    }


def test_a_full_disk_leaves_the_parts_and_the_manifest(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    measure(home)
    before = files(home)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("warehouse.files.os.fsync", full)
    done = retain.apply(home, COMPACT, LATER, silent)
    monkeypatch.undo()
    assert all("No space left" in str(o.problem) for o in done)
    assert files(home) == before


def test_a_build_under_way_is_waited_for_and_two_retentions_are_not_at_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(home)
    monkeypatch.setattr("warehouse.retain._BUILD_WAIT_S", 0.1)
    with exclusive(home.locks / ".build.lock"):
        [first, *_] = retain.apply(home, COMPACT, LATER, silent)
    assert "another process is building" in str(first.problem)
    assert [str(p) for m in manifests.read_all(home) for p in manifests.check_parts(home, m)] == []
    with exclusive(home.locks / ".retention.lock"), pytest.raises(WarehouseError, match="another retention"):
        retain.apply(home, COMPACT, LATER, silent)


def test_a_reader_keeps_the_file_that_it_opened(home: Home) -> None:
    measure(home)
    [part, *_] = (home.raw / "request_traces").rglob("a1-l001-s000.parquet")
    with pq.ParquetFile(part) as reader:
        retain.apply(home, COMPACT, LATER, silent)
        assert not part.exists()
        assert reader.read().num_rows == 7


def test_nothing_is_done_to_a_run_whose_manifest_was_moved_away(home: Home) -> None:
    measure(home)
    retain.apply(home, COMPACT, LATER, silent)
    [manifest] = (home.raw / "manifests").rglob("*.json")
    manifest.rename(home.root / "away.json")
    before = files(home)
    retain.apply(home, COMPACT, LATER, silent)
    assert files(home) == before


WORK = """
from datetime import date
from pathlib import Path
from tests.warehouse.killing import deaths
from tests.warehouse.retained import policy
from warehouse import retain
from warehouse.home import Home

def work(home):
    retain.apply(Home(Path(home)), policy(tables=["request_traces"], compact_after_days=2), date(2026, 11, 22), lambda line: None)
"""


def test_killed_at_any_moment_the_rows_are_there_once_and_the_next_one_clears_up(home: Home, tmp_path: Path) -> None:
    measure(home)
    traces = rows(home)
    died = Home(tmp_path / "died")
    events = 0
    for events in deaths(WORK, home.root, died.root):
        [manifest] = manifests.read_all(died)
        assert list(manifests.check_parts(died, manifest)) == [], events
        assert rows(died).equals(traces), events
        retain.apply(died, TRACES, LATER, silent)
        [manifest] = manifests.read_all(died)
        assert list(manifests.check_parts(died, manifest)) == [], events
        assert len(list((died.raw / "request_traces").rglob("*.parquet"))) == 1, events
        assert not list(died.raw.rglob(".*")), events
    assert rows(died).equals(traces)
    assert events > 10
