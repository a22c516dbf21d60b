"""Old traces are thinned or dropped by a declared policy; what the nights' figures were stays, whatever is built."""

import errno
import json
import re
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from schemas.catalog import Catalog
from schemas.catalog.slos import Slo
from schemas.digest import file_digest
from schemas.errors import RatecardError, UsageError, WarehouseError
from schemas.retention import Policy, Rule
from tests.curated import content
from tests.warehouse.killing import deaths
from tests.warehouse.retained import files, measure, policy
from warehouse import archive, manifests, retain
from warehouse.ask import ask
from warehouse.build import build
from warehouse.corrections import retract
from warehouse.home import Home

LATER = date(2026, 11, 22)
THIN = policy(tables=["request_traces"], thin_after_days=2, keep_share_of_requests=0.25)
DROP = policy(drop_after_days=2)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two nights, two runs in the first, built."""
    home = Home(tmp_path_factory.mktemp("built") / "home")
    measure(home)
    measure(home, endpoint="f", run_id="other")
    measure(home, day=1)
    build(home)
    return home


@pytest.fixture
def home(built: Home, tmp_path: Path) -> Home:
    """A copy of it, times included."""
    return Home(Path(shutil.copytree(built.root, tmp_path / "home")))


def silent(_: str) -> None:
    pass


def parts(home: Home, run_id: str, table: str = "request_traces") -> list[dict[str, Any]]:
    [manifest] = [m for m in manifests.read_all(home) if m.run["run_id"] == run_id]
    return [part for part in manifest.parts if part["table"] == table]


def test_dropped_traces_leave_every_curated_row_whatever_is_built(home: Home) -> None:
    before = content(home)
    said: list[str] = []
    done = retain.apply(home, DROP, LATER, said.append)
    [line] = said
    assert re.fullmatch(r"archived the curated rows of the night 2026-11-20T02:00:00: [1-9]\d* KiB", line)
    assert {o.step.run["run_id"] for o in done} == {"r-0", "other-0"}
    assert all(o.problem is None and o.after and (o.after.files, o.after.bytes) == (0, 0) for o in done)
    assert not list((home.raw / "request_traces").rglob("run_date=2026-11-20/**/*.parquet"))
    assert len(list((home.raw / "request_traces").rglob("run_date=2026-11-21/**/*.parquet"))) == 5
    [part] = parts(home, "r-0")
    kept = part["retained"]
    assert (part["path"], part["rows"], kept["action"], kept["rows_before"]) == (None, 0, "dropped", 30)

    assert build(home).nights == 1  # the one whose manifests changed
    assert content(home) == before
    home.warehouse.unlink()
    whole = build(home)
    assert (whole.nights, whole.notes) == (2, ())
    assert content(home) == before
    assert ask(home, "select distinct is_archived, night::date::varchar from meta.inputs order by 1").rows == [
        (False, "2026-11-21"),
        (True, "2026-11-20"),
    ]
    assert retain.apply(home, DROP, LATER, silent) == []


def test_thinned_traces_can_be_asked_and_no_metric_is_made_of_them(home: Home) -> None:
    before = content(home)
    done = retain.apply(home, THIN, LATER, silent)
    # level 1 has 24 requests: 0, 4, 8 … 20; level 2 has 6: 0 and 4
    assert [(o.step.run["run_id"], o.after and (o.after.files, o.after.rows)) for o in done] == [
        ("other-0", (1, 8)),
        ("r-0", (1, 8)),
    ]
    [part] = parts(home, "r-0")
    kept = part["retained"]
    assert (part["rows"], kept["action"], kept["share"], kept["rows_before"]) == (8, "thinned", 0.25, 30)
    found = pl.read_parquet(home.root / part["path"], hive_partitioning=False)
    # parts in order: shard 0 (requests 0-6, 7-11), shard 1 (0-6, 7-11), level 2; every fourth of each level
    assert found.select("level_index", "shard", "request_index").rows() == [
        (1, 0, 0), (1, 0, 4), (1, 0, 8), (1, 1, 0), (1, 1, 4), (1, 1, 8), (2, 0, 0), (2, 0, 4),
    ]  # fmt: skip
    traces = f"select count(*) from read_parquet('{home.raw}/request_traces/**/*.parquet') where run_id = 'r-0'"
    assert ask(home, traces).rows == [(8,)]
    build(home, recompute=True)
    assert content(home) == before
    assert retain.apply(home, THIN, LATER, silent) == []

    # and later dropped, on the archive that is there
    said: list[str] = []
    retain.apply(home, DROP, LATER, said.append)
    assert said == []
    build(home)
    assert content(home) == before


def test_an_archived_night_keeps_its_prices_its_version_and_lacks_what_came_later(home: Home) -> None:
    retain.apply(home, DROP, LATER, silent)
    folder = archive.folder_of(home, "2026-11-20T02:00:00")
    before = ask(home, "select * from operating_points where run_date = '2026-11-20' order by all").rows
    with_new_columns(folder / "runs.parquet", metric_version=1, without="superseded_by")
    reseal(folder)
    whole = build(home, Catalog(slos={"lenient": Slo()}))
    assert whole.notes == ("1 archived nights keep the prices that they were archived with: their traces are gone",)
    slos = "select distinct slo, run_date::varchar from slo_attainment order by all"
    assert ("lenient", "2026-11-21") in ask(home, slos).rows
    assert ("lenient", "2026-11-20") not in ask(home, slos).rows
    assert ask(home, "select * from operating_points where run_date = '2026-11-20' order by all").rows == before
    versions = "select metric_version, superseded_by from runs where run_date = '2026-11-20'"
    assert set(ask(home, versions).rows) == {(1, None)}
    assert ask(home, "select distinct metric_version from meta.inputs where is_archived").rows == [(1,)]


def with_new_columns(file: Path, *, metric_version: int, without: str) -> None:
    """`file` as an older version of Ratecard would have written it."""
    frame = pl.read_parquet(file, hive_partitioning=False)
    frame.drop(without).with_columns(pl.lit(metric_version, pl.Int32).alias("metric_version")).write_parquet(file)


def reseal(folder: Path) -> None:
    """Write the hashes of the files as they are now."""
    path = folder / "archive.json"
    said = json.loads(path.read_text())
    for name, table in said["tables"].items():
        table["sha256"] = file_digest(folder / f"{name}.parquet") if table["rows"] else None
    path.write_text(json.dumps(said))


def test_runs_of_an_archived_night_are_neither_retracted_nor_joined_by_others(home: Home) -> None:
    retain.apply(home, DROP, LATER, silent)
    with pytest.raises(UsageError, match="r-0 is of the night 2026-11-20T02:00:00, which is archived"):
        retract(home, "r-0", "x")
    assert not (home.raw / "retractions").exists()
    before = content(home)
    measure(home, run_id="late")
    assert build(home).notes == (
        "run_date=2026-11-20/late-0-a1.json is left out: it landed after its night was archived (docs/corrections.md)",
    )
    assert content(home) == before
    [done] = retract(home, "r-1", "x")  # of the night that is not archived
    assert done.changed


def test_what_is_archived_is_all_that_has_landed_and_was_said_at_the_prices_of_the_night(home: Home) -> None:
    build(home, Catalog(slos={"lenient": Slo()}))  # a what-if is published
    retract(home, "r-0", "disturbed")
    measure(home, endpoint="g", run_id="new")
    retain.apply(home, DROP, LATER, silent)
    before = content(home)
    build(home, recompute=True)
    assert content(home) == before
    assert ask(home, "select run_id, retracted_why from runs where run_date = '2026-11-20' order by 1").rows == [
        ("new-0", None), ("other-0", None), ("r-0", "disturbed"),
    ]  # fmt: skip
    assert ask(home, "select count(*) from slo_attainment where slo = 'lenient'").rows == [(0,)]


@pytest.mark.parametrize("harm", ["missing", "changed", "no archive.json"])
def test_an_archive_that_is_not_whole_stops_the_build_and_is_named(home: Home, harm: str) -> None:
    retain.apply(home, DROP, LATER, silent)
    file = archive.folder_of(home, "2026-11-20T02:00:00") / "operating_points.parquet"
    if harm == "changed":
        file.write_bytes(file.read_bytes() + b"x")
    else:
        (file if harm == "missing" else file.with_name("archive.json")).unlink()
    with pytest.raises(WarehouseError, match=r"2026-11-20.*nothing else has its figures: restore it from a backup"):
        build(home, recompute=True)


def test_a_full_disk_in_the_archive_loses_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(home)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("warehouse.archive.write_whole", full)
    done = retain.apply(home, DROP, LATER, silent)
    monkeypatch.undo()
    assert all("cannot be archived" in str(o.problem) and "No space left" in str(o.problem) for o in done)
    assert {name: data for name, data in files(home).items() if not name.startswith("archive")} == before
    with pytest.raises(RatecardError, match="not everything was done, and nothing was lost"):
        retain.raise_problems(done)


def test_a_part_that_changed_keeps_its_run_and_the_others_go(home: Home) -> None:
    [part, *_] = (home.raw / "request_traces").rglob("run_id=r-0/a1-l001-s000.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    done = retain.apply(home, DROP, LATER, silent)
    broken = [(o.step.run["run_id"], o.step.table) for o in done if o.problem]
    assert broken == [("r-0", "request_traces")]
    assert part.exists()
    assert parts(home, "other-0")[0]["path"] is None


def test_by_suite_endpoint_and_table_the_first_rule_that_fits_decides(home: Home) -> None:
    rules = Policy(
        rules={
            "keep-f": Rule(endpoints=["f"], tables=["request_traces"], compact_after_days=1000),
            "telemetry": Rule(tables=["client_health"], drop_after_days=1),
            "other-suite": Rule(suites=["canary"], drop_after_days=1),
            "rest": Rule(drop_after_days=2),
        }
    )
    said = [(o.step.action, o.step.rule, o.step.run["run_id"], o.step.table) for o in retain.would(home, rules, LATER)]
    assert said == [
        ("drop", "telemetry", "other-0", "client_health"),
        ("drop", "rest", "other-0", "server_metrics"),
        ("drop", "rest", "r-0", "request_traces"),
        ("drop", "telemetry", "r-0", "client_health"),
        ("drop", "rest", "r-0", "server_metrics"),
        ("drop", "telemetry", "r-1", "client_health"),
    ]
    before = content(home)
    retain.apply(home, rules, LATER, silent)
    assert len([part for part in parts(home, "other-0") if part["path"]]) == 5  # archived, and its traces are there
    build(home, recompute=True)
    assert content(home) == before


def test_a_dry_run_touches_nothing(home: Home) -> None:
    before = files(home)
    assert len(retain.would(home, DROP, LATER)) == 6
    assert files(home) == before


def test_a_newer_archive_is_refused(home: Home) -> None:
    retain.apply(home, DROP, LATER, silent)
    path = archive.folder_of(home, "2026-11-20T02:00:00") / "archive.json"
    path.write_text(path.read_text().replace('"archive_version": 1', '"archive_version": 9'))
    with pytest.raises(WarehouseError, match="written by a newer Ratecard: upgrade"):
        build(home, recompute=True)


def test_every_curated_table_has_rows_in_the_archive_or_none_in_the_warehouse(home: Home) -> None:
    retain.apply(home, DROP, LATER, silent)
    kept = archive.read(home, "2026-11-20T02:00:00")
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        for name, table in kept.tables.items():
            if "night" in {row[0] for row in con.execute(f"describe curated.{name}").fetchall()}:
                [(count,)] = con.execute(
                    f"select count(*) from curated.{name} where night::date = '2026-11-20'"
                ).fetchall()
                assert table["rows"] == count, name


WORK = """
from datetime import date
from pathlib import Path
from tests.warehouse.killing import deaths
from tests.warehouse.retained import policy
from warehouse import archiving, retain
from warehouse.home import Home

archiving.curated_of_nights = lambda con: ["runs"]  # one table will do
retain.build = lambda home: None  # it is built

def work(home):
    rule = policy(endpoints=["e"], tables=["request_traces", "server_metrics"], drop_after_days=2)
    retain.apply(Home(Path(home)), rule, date(2026, 11, 22), lambda line: None)
"""


def test_killed_at_any_moment_a_night_is_whole_in_its_traces_or_in_its_archive(
    built: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warehouse.archiving.curated_of_nights", lambda con: ["runs"])
    monkeypatch.setattr("warehouse.retain.build", lambda home: None)
    rows = {m.run["run_id"]: sum(part["rows"] for part in m.parts) for m in manifests.read_all(built)}
    tables_dropped = ["request_traces", "server_metrics"]
    of_one_run = policy(endpoints=["e"], tables=tables_dropped, drop_after_days=2)
    died = Home(tmp_path / "died")
    events = 0
    for events in deaths(WORK, built.root, died.root):
        closed = manifests.read_all(died)
        assert [p for m in closed for p in manifests.check_parts(died, m)] == [], events
        if frozen := archive.frozen_nights(closed):
            [night] = frozen
            tables = archive.read(died, night).tables
            assert tables["runs"]["rows"] == 2
        else:
            assert {m.run["run_id"]: sum(part["rows"] for part in m.parts) for m in closed} == rows, events
        retain.apply(died, of_one_run, LATER, silent)
        assert [part["path"] for table in tables_dropped for part in parts(died, "r-0", table)] == [None, None], events
        assert not list(died.raw.rglob("run_id=r-0/a1-l00*-s00?.parquet")), events
        assert not list(died.raw.rglob(".*")), events
    assert events > 15
