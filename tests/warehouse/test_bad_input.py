"""What an unlucky night meets: full disks, files of other versions, readers that hold on, clocks that go back."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from schemas.digest import file_digest
from schemas.errors import LandingError, WarehouseError
from tests.curated import content
from tests.traces import LEVEL, begin, frame, land, row, write_part
from tests.warehouse.nights import measure
from warehouse import corrections, manifests, recovery, runs
from warehouse.ask import ask
from warehouse.build import build
from warehouse.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@contextmanager
def disk_full_at(call: int) -> Iterator[list[str]]:
    """The file system has no space at the so many-th call that takes some; yields the calls made."""
    calls: list[str] = []
    owners = [
        (Path, "write_bytes"),
        (Path, "mkdir"),
        (Path, "replace"),
        (Path, "rename"),
        (pq, "write_table"),
        (os, "fsync"),
    ]

    def failing(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def maybe(*args: Any, **kwargs: Any) -> Any:
            calls.append(f"{name} {args[0]}")
            if len(calls) == call:
                raise OSError(errno.ENOSPC, "No space left on device", str(args[0]))
            return real(*args, **kwargs)

        return maybe

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in owners:
            # nothing loses its power here: no need to wait for the disk
            patch.setattr(owner, name, failing(name, getattr(owner, name) if name != "fsync" else lambda *_: None))
        yield calls


def prepared(home: Home) -> runs.RunFolder:
    """A level with a clean part, one with a row to be rejected, and one that is cut short."""
    folder = begin(home)
    write_part(folder, *(row(index) for index in range(5)))
    write_part(folder, *(row(index, shard=1) for index in range(5)), row(5, shard=1, outcome="strange"), shard=1)
    (folder.path / "a1-l001-s002.parquet").write_bytes(b"cut")
    return folder


def landed(home: Home) -> tuple[int, int, list[str]]:
    """Rows in raw/, rows in quarantine/, parts put aside whole."""
    aside = sorted(home.quarantine.rglob("*.reason.json"))
    whole = [path.with_suffix("").with_suffix(".parquet") for path in aside]
    rejected = [len(pl.read_parquet(path)) for path in home.quarantine.rglob("*.parquet") if path not in whole]
    return (
        sum(len(pl.read_parquet(path)) for path in home.raw.rglob("*.parquet")),
        sum(rejected),
        [p.name for p in whole],
    )


def test_a_disk_that_is_full_in_any_step_of_landing_loses_nothing(tmp_path: Path) -> None:
    folder = prepared(Home(tmp_path / "undisturbed"))
    with disk_full_at(0) as undisturbed:
        folder.land_level(LEVEL)
        folder.close("complete", None)
    assert any("quarantine" in call for call in undisturbed), undisturbed
    for step in range(1, len(undisturbed) + 1):
        home = Home(tmp_path / str(step))
        folder = prepared(home)
        with disk_full_at(step) as calls:
            try:
                folder.land_level(LEVEL)
                folder.close("complete", None)
            except LandingError as error:
                assert "No space left on device" in str(error), calls
                assert "free" in str(error).lower(), calls
            else:
                # the run is closed: recovery takes its folder away
                assert calls[-1].startswith("rename"), calls
        recovery.recover(home)
        assert landed(home) == (10, 1, ["a1-l001-s002.parquet"]), calls
        [manifest] = manifests.read_all(home)
        assert sum(part["rows"] for part in manifest.parts) == 10
        assert list(manifests.check_parts(home, manifest)) == []
        assert list(home.incoming.iterdir()) == []


def test_a_disk_that_is_full_when_a_run_begins_leaves_nothing_that_looks_like_one(tmp_path: Path) -> None:
    with disk_full_at(0) as undisturbed:
        begin(Home(tmp_path / "undisturbed"))
    for step in range(1, len(undisturbed) + 1):
        home = Home(tmp_path / str(step))
        with disk_full_at(step) as calls, pytest.raises(LandingError, match="No space left on device"):
            begin(home)
        # only where the last step failed was there a run: interrupted, without a level
        closed = [line for line in recovery.recover(home) if line.startswith("closed ")]
        assert len(closed) == (step == len(undisturbed)), calls
        land(home, row(0, attempt=1 + len(closed)), attempt=runs.next_attempt(home, "r", "2026-11-20"))
        assert landed(home)[0] == 1


BUILD_WITHIN = """
import resource, sys
from pathlib import Path
from schemas.errors import RatecardError
from warehouse.build import build
from warehouse.home import Home
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    print(build(Home(Path(sys.argv[1]))).what())
except RatecardError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def test_a_disk_that_is_full_in_a_build_leaves_what_was_published(home: Home) -> None:
    measure(home, 0)
    build(home)
    measure(home, 1)
    before, size = content(home), home.warehouse.stat().st_size
    # no file may be larger: the header does not fit, or the copy, nor what is made of all nights then
    for limit in (4096, size // 4, size // 2):
        full = subprocess.run(
            [sys.executable, "-c", BUILD_WITHIN, str(home.root), str(limit)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert full.returncode == 1, (limit, full.stdout, full.stderr)
        assert "what was published before is untouched. If the disk is full" in full.stderr
        assert "Traceback" not in full.stderr
        assert content(home) == before
        assert {path.name for path in home.root.iterdir()} <= {
            "raw",
            "incoming",
            "quarantine",
            "locks",
            "warehouse.duckdb",
        }
    assert build(home).nights == 1
    assert ask(home, "select count(*) from runs").rows == [(2,)]


READER = """
import sys, duckdb
con = duckdb.connect(sys.argv[1], read_only=True)
for line in sys.stdin:
    print(con.execute(line).fetchall(), flush=True)
"""


def test_a_tool_that_holds_the_warehouse_open_keeps_its_file_and_stops_no_build(home: Home) -> None:
    measure(home, 0)
    build(home)
    question = "select count(*), min(output_tps) > 0 from curated.operating_points\n"
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(home.warehouse)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tool:
        assert tool.stdin is not None
        assert tool.stdout is not None

        def asked() -> str:
            tool.stdin.write(question)
            tool.stdin.flush()
            return tool.stdout.readline().strip()

        assert asked() == "[(1, True)]"
        measure(home, 1)
        assert build(home).nights == 1
        assert asked() == "[(1, True)]"
        build(home, recompute=True)
        assert asked() == "[(1, True)]"
        tool.stdin.close()
    assert ask(home, "select count(*) from operating_points").rows == [(2,)]


WRITER = READER.replace(", read_only=True", "")


def test_a_tool_that_has_the_warehouse_open_for_writing_stops_no_build_either(home: Home) -> None:
    measure(home, 0)
    build(home)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(home.warehouse)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tool:
        assert tool.stdin is not None
        assert tool.stdout is not None
        tool.stdin.write("create table mine as select 1\n")
        tool.stdin.flush()
        tool.stdout.readline()
        with pytest.raises(WarehouseError, match=rf"{home.warehouse} is open for writing in another program: close it"):
            ask(home, "select 1")
        measure(home, 1)
        assert build(home).whole_because == "somebody has written to the published file"
        tool.stdin.close()
    assert ask(home, "select count(*) from operating_points").rows == [(2,)]
    assert not home.warehouse.with_name("warehouse.duckdb.wal").exists()


def test_a_clock_that_steps_back_an_hour_changes_nothing_but_the_times_said(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(home, 0)
    build(home)
    monkeypatch.setattr(runs, "now", lambda: "2026-11-20T03:10:00")
    folder = begin(home, night="2026-11-21T02:00:00", run_date="2026-11-21", run_id="stepped")
    write_part(folder, *(row(index, run_id="stepped") for index in range(30)))
    folder.land_level(LEVEL)
    monkeypatch.setattr(runs, "now", lambda: "2026-11-20T02:10:00")
    manifest = folder.close("complete", None)
    an_hour_ago = home.warehouse.stat().st_mtime - 3600
    os.utime(manifest, (an_hour_ago, an_hour_ago))
    assert build(home).nights == 1
    assert ask(home, "select ended_at < started_at, validity = 'valid' or validity = 'unsteady' from runs join operating_points "
               "using (run_id) where run_id = 'stepped'").rows == [(True, True)]  # fmt: skip
    # the next attempt counts up, and what was said last of a run counts, whatever the clock says
    assert runs.next_attempt(home, "stepped", "2026-11-21") == 2
    for clock, say in (("2026-11-20T03:00:00", corrections.retract), ("2026-11-20T02:00:00", corrections.restore)):
        monkeypatch.setattr(corrections, "now", lambda clock=clock: clock)
        say(home, "stepped", "why not")
    assert manifests.read_all(home)[1].run["retracted_at"] is None


def test_a_part_of_a_newer_version_stays_where_it_is_until_ratecard_is_upgraded(home: Home) -> None:
    folder = begin(home)
    part = write_part(folder, row(0))
    frame(row(0, schema_version=99)).with_columns(pl.lit("x").alias("of_the_future")).write_parquet(part)
    with pytest.raises(LandingError, match=rf"{part} .*newer Ratecard .*of_the_future.*upgrade"):
        folder.land_level(LEVEL)
    assert part.exists()


def test_a_landed_part_of_a_newer_version_is_refused_by_a_build(home: Home) -> None:
    path = land(home, *(row(index) for index in range(30)))
    [part] = home.raw.rglob("*.parquet")
    pl.read_parquet(part).with_columns(pl.lit("x").alias("of_the_future")).write_parquet(part)
    manifest = json.loads(path.read_bytes())
    manifest["parts"][0]["sha256"] = file_digest(part)
    path.write_text(json.dumps(manifest))
    with pytest.raises(LandingError, match=rf"{part} .*newer Ratecard .*of_the_future.*upgrade"):
        build(home)


def test_a_landed_part_that_was_cut_short_is_named_by_its_hash(home: Home) -> None:
    land(home, *(row(index) for index in range(30)))
    [part] = home.raw.rglob("*.parquet")
    os.truncate(part, part.stat().st_size // 2)
    with pytest.raises(WarehouseError, match=rf"{part} has changed since it landed"):
        build(home)


def test_a_catalog_snapshot_of_a_newer_version_says_to_upgrade(home: Home) -> None:
    land(home, row(0))
    [snapshot] = home.raw.rglob("catalogs/*.json")
    snapshot.write_text(json.dumps(json.loads(snapshot.read_bytes()) | {"of_the_future": {}}))
    with pytest.raises(LandingError, match=r"(?s)of_the_future.*upgrade ratecard"):
        build(home)


def test_a_run_that_lands_twice_at_once_lands_once(home: Home) -> None:
    folder = prepared(home)
    code = (
        "import sys; from pathlib import Path; from warehouse.home import Home; from warehouse.recovery import recover\n"
        "sys.stdin.readline(); print(len(recover(Home(Path(sys.argv[1])))))"
    )
    command = [sys.executable, "-c", code, str(home.root)]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for one in both:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    assert sorted(int(one.communicate(timeout=120)[0]) for one in both) == [0, 1]
    assert landed(home) == (10, 1, ["a1-l001-s002.parquet"])
    assert len(manifests.read_all(home)) == 1
    assert not folder.path.exists()
