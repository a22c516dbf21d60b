"""A build makes the nights that changed, and its file is that of a build of all."""

import errno
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from schemas.columns import METRIC_VERSION
from schemas.errors import WarehouseError
from tests.curated import content
from tests.warehouse.nights import FIRST, measure, priced, rebuilt
from warehouse import corrections, files, inventory, manifests, published
from warehouse.ask import ask
from warehouse.build import Built, build
from warehouse.home import Home
from warehouse.increment import increment
from warehouse.published import UnusableError
from warehouse.scratch import scratch


@pytest.fixture(scope="module")
def two_nights(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Measured and built, each night with prices of its own."""
    home = Home(tmp_path_factory.mktemp("two") / "home")
    for night in (0, 1):
        measure(home, night, catalog=priced(2.0 + night))
    build(home)
    return home


@pytest.fixture
def home(two_nights: Home, tmp_path: Path) -> Iterator[Home]:
    """A copy of `two_nights`, to the nanosecond."""
    home = Home(tmp_path / "home")
    shutil.copytree(two_nights.root, home.root)
    yield home
    left = {path.name for path in home.root.iterdir()}
    assert left <= {"raw", "incoming", "quarantine", "locks", "warehouse.duckdb"}, "scratch files were left behind"


def made(home: Home) -> int:
    """Nights that a build makes, which is not one of all."""
    built = build(home)
    assert built.whole_because is None
    return built.nights


def edit(home: Home, *statements: str) -> None:
    """Write into the published file, as nobody should."""
    with duckdb.connect(str(home.warehouse)) as con:
        for statement in statements:
            con.execute(statement)


def test_a_new_night_reads_nothing_of_the_others(home: Home) -> None:
    before = content(home)
    for path in [*home.raw.rglob("*.parquet"), *home.raw.rglob("catalogs/*.json")]:
        path.unlink()
    for path in home.raw.rglob("manifests/*/*.json"):
        status = path.stat()
        path.write_bytes(b"?" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    measure(home, 2, ttft_ms=200)
    assert made(home) == 1
    after = content(home)
    assert all(set(rows) < set(after[name]) for name, rows in before.items() if name in ("runs", "operating_points"))
    assert ask(home, "select ttft_p50_ms from operating_points order by night").rows == [(100,), (100,), (200,)]
    assert ask(home, "select count(distinct fleet_year_usd) from cost_ledger").rows == [(2,)]


class Happenings:
    """What may happen to a home between two builds; each returns the nights that it changes."""

    def __init__(self, home: Home, seed: int) -> None:
        self.home, self.chance = home, random.Random(seed)

    def new_night(self) -> set[int]:
        night = max(self._nights(), default=0) + self.chance.randint(1, 3)
        measure(self.home, night, catalog=priced(self.chance.choice([2.0, 3.0])))
        return {night}

    def old_night_lands_late(self) -> set[int]:
        night = min(self._nights(), default=0) - 1
        measure(self.home, night, ttft_ms=150)
        return {night}

    def another_endpoint(self) -> set[int]:
        night = self.chance.choice(self._nights())
        name = f"e{len(list(self.home.raw.rglob('manifests/*/*.json')))}"
        measure(self.home, night, endpoint=name, ttft_ms=self.chance.randint(50, 90), catalog=priced(4.0, "slow"))
        return {night}

    def measured_again(self) -> set[int]:
        run = self._any_run()
        attempt = 1 + max(m.run["attempt"] for m in manifests.read_all(self.home) if m.run["run_id"] == run["run_id"])
        night = (_instant(run) - FIRST).days
        measure(self.home, night, endpoint=run["endpoint"], attempt=attempt, ttft_ms=self.chance.randint(200, 400))
        return {night}

    def retracted(self) -> set[int]:
        run = self._any_run()
        said = corrections.retract(self.home, run["run_id"], "a test", run["attempt"])
        said += [] if said[0].changed else corrections.restore(self.home, run["run_id"], "it was right", run["attempt"])
        return {(_instant(run) - FIRST).days}

    def manifest_lost(self) -> set[int]:
        run = self._any_run()
        manifests.path_of(self.home, run).unlink()
        return {(_instant(run) - FIRST).days}

    def manifest_changed(self) -> set[int]:
        run = self._any_run()
        path = manifests.path_of(self.home, run)
        changed = json.loads(path.read_bytes())
        changed["run"]["engine_version"] = f"of {self.chance.random()}"
        path.write_text(json.dumps(changed))
        return {(_instant(run) - FIRST).days}

    def _any_run(self) -> dict[str, Any]:
        return self.chance.choice(manifests.read_all(self.home)).run

    def _nights(self) -> list[int]:
        return sorted({(manifest.night - FIRST).days for manifest in manifests.read_all(self.home)})


def _instant(run: dict[str, Any]) -> Any:
    return manifests.Manifest(run, [], [], {}).night


HAPPENINGS: tuple[Callable[[Happenings], set[int]], ...] = (
    Happenings.new_night, Happenings.old_night_lands_late, Happenings.another_endpoint, Happenings.measured_again,
    Happenings.retracted, Happenings.manifest_lost, Happenings.manifest_changed,
)  # fmt: skip


def test_after_whatever_happened_the_file_is_that_of_a_build_of_all(home: Home) -> None:
    happenings = Happenings(home, seed=5)
    order = [*HAPPENINGS, *happenings.chance.choices(HAPPENINGS, k=2)]
    happenings.chance.shuffle(order)
    for number, happens in enumerate(order):
        nights = happens(happenings)
        assert made(home) == len(nights), happens.__name__
        if number % 3 == 2:
            assert content(home) == rebuilt(home, home.root.parent / "other"), [h.__name__ for h in order[: number + 1]]


def test_a_night_whose_last_run_is_gone_is_gone(home: Home) -> None:
    lost = measure(home, 2, catalog=priced(slo="of-that-night"))
    build(home)
    assert ask(home, "select count(*) from slo_bounds").rows == [(3,)]
    lost.unlink()
    assert made(home) == 1
    assert ask(home, "select count(*) from operating_points").rows == [(2,)]
    assert ask(home, "select distinct slo from slo_bounds").rows == [("quick",)]
    assert content(home) == rebuilt(home, home.root.parent / "other")


def test_where_nothing_has_changed_nothing_is_published(home: Home) -> None:
    inode = home.warehouse.stat().st_ino
    built = build(home)
    assert (built.nights, built.what(), home.warehouse.stat().st_ino) == (0, "nothing had changed", inode)
    assert built.rows["curated.operating_points"] == 2


def test_a_build_of_an_empty_home_is_followed_by_the_first_night(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    build(home)
    measure(home)
    assert build(home).whole_because == "each night has changed"
    assert ask(home, "select count(*) from operating_points").rows == [(1,)]


def test_nights_priced_with_one_catalog_are_never_mixed_with_others(home: Home) -> None:
    build(home, priced(8.0))
    measure(home, 2)
    built = build(home)
    assert built.whole_because == "the published nights were priced with one catalog, not each with its own"
    assert content(home) == rebuilt(home, home.root.parent / "other")


def test_nights_of_an_older_metric_version_keep_it_until_all_are_recomputed(home: Home) -> None:
    edit(
        home,
        "update meta.inputs set metric_version = 1",
        "update curated.operating_points set metric_version = 1",
    )
    measure(home, 2)
    built = build(home)
    assert built.nights == 1
    assert built.notes == (
        f"2 nights keep their figures of metric version 1, this is version {METRIC_VERSION}: `ratecard build --recompute` "
        "makes them anew",
    )
    versions = "select metric_version from operating_points order by night"
    assert ask(home, versions).rows == [(1,), (1,), (METRIC_VERSION,)]
    built = build(home, recompute=True)
    assert (built.nights, built.whole_because, built.notes) == (3, "as asked for", ())
    assert ask(home, versions).rows == [(METRIC_VERSION,)] * 3


def _cut(home: Home) -> None:
    os.truncate(home.warehouse, home.warehouse.stat().st_size // 2)


def _no_database(home: Home) -> None:
    home.warehouse.write_bytes(b"not a database" * 1000)


def _newer_storage(home: Home) -> None:
    """The version number that DuckDB looks at first, from the twelfth byte on."""
    content = bytearray(home.warehouse.read_bytes())
    content[12:20] = (9999).to_bytes(8, "little")
    home.warehouse.write_bytes(content)


def _spoiled_blocks(home: Home) -> None:
    """Every block behind the headers, so that whatever is read first is not what was written."""
    content = bytearray(home.warehouse.read_bytes())
    for place in range(3 * 4096 + 100, len(content), 512):
        content[place] ^= 0xFF
    home.warehouse.write_bytes(content)


def _without_word(home: Home) -> None:
    edit(home, "drop schema meta cascade")


def _of_another_version(home: Home) -> None:
    edit(home, "update meta.build set structure = 'another'")


def _a_column_less(home: Home) -> None:
    edit(home, "alter table curated.runs drop column cpu_count")


def _a_table_more(home: Home) -> None:
    edit(home, "create table curated.mine as select 1 as x")


@pytest.mark.parametrize(
    ("happens", "because"),
    [
        (lambda home: home.warehouse.unlink(), "there was no warehouse"),
        (_cut, "the published file cannot be read"),
        (_no_database, "the published file cannot be read"),
        (_newer_storage, "the published file cannot be read"),
        (_without_word, "the published file does not say from what it was built"),
        (_of_another_version, "the published file has the tables of another version of Ratecard"),
        (_a_column_less, r"the published tables are not as they were built: curated\.runs"),
        (_a_table_more, r"the published tables are not as they were built: curated\.mine"),
    ],
)
def test_some_published_files_cannot_be_built_upon(home: Home, happens: Callable[[Home], None], because: str) -> None:
    happens(home)
    with scratch(home, 0) as files, pytest.raises(UnusableError, match=f"^{because}"):
        increment(home, inventory.scan(home), files)


@pytest.mark.parametrize(
    ("happens", "because"),
    [
        (lambda home: home.warehouse.unlink(), "there was no warehouse"),
        (_spoiled_blocks, "the published file cannot be"),
        (_a_table_more, "the published tables are not as they were built: curated.mine"),
    ],
)
def test_a_published_file_that_cannot_be_built_upon_is_built_from_raw(
    home: Home, happens: Callable[[Home], None], because: str
) -> None:
    before = content(home)
    happens(home)
    built = build(home)
    assert built.whole_because is not None
    assert built.whole_because.startswith(because)
    assert content(home) == before


def test_what_somebody_wrote_beside_the_published_file_does_not_reach_the_next(home: Home) -> None:
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("delete from curated.runs")
        # a writer that is killed leaves what it had written ahead
        kept = home.warehouse.with_name("kept.wal")
        kept.write_bytes(home.warehouse.with_name("warehouse.duckdb.wal").read_bytes())
        con.execute("set checkpoint_threshold = '1TB'; pragma disable_checkpoint_on_shutdown")
    kept.rename(home.warehouse.with_name("warehouse.duckdb.wal"))
    measure(home, 2)
    assert build(home).whole_because == "somebody has written to the published file"
    assert ask(home, "select count(*) from runs").rows == [(3,)]


def test_a_part_that_changed_is_found_when_its_night_is_made_or_nothing_else_is_to_be_done(home: Home) -> None:
    [part, _] = sorted(home.raw.rglob("*.parquet"))
    intact = part.read_bytes()
    part.write_bytes(intact[:-1] + bytes([intact[-1] ^ 1]))
    measure(home, 2)
    assert made(home) == 1
    published_ = home.warehouse.stat().st_ino
    for again in (lambda: build(home), lambda: build(home, recompute=True)):
        with pytest.raises(WarehouseError, match=rf"{part} has changed since it landed"):
            again()
    measure(home, 0, endpoint="other")
    with pytest.raises(WarehouseError, match=rf"{part} has changed since it landed"):
        build(home)
    assert home.warehouse.stat().st_ino == published_
    part.write_bytes(intact)
    assert made(home) == 1
    assert made(home) == 0, "a file that was only touched is as it was"
    part.unlink()
    with pytest.raises(WarehouseError, match=rf"{part} is missing"):
        build(home)


def test_two_builds_at_once_make_each_night_once(home: Home) -> None:
    measure(home, 2)
    code = "import sys; from pathlib import Path; from warehouse.build import build; from warehouse.home import Home\n"
    code += "print(build(Home(Path(sys.argv[1]))).nights)"
    command = [sys.executable, "-c", code, str(home.root)]
    builds = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(int(one.communicate(timeout=120)[0]) for one in builds) == [0, 1]
    assert content(home) == rebuilt(home, home.root.parent / "other")


@pytest.mark.usefixtures("commented")
def test_a_file_with_much_unused_space_is_written_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "SMALL_BYTES", 0)
    monkeypatch.setattr(published, "LOOSE", 0.0)
    measure(home, 2)
    assert made(home) == 1
    assert content(home) == rebuilt(home, home.root.parent / "other")
    comments = "select count(comment), count(*) from duckdb_columns() where schema_name in ('curated', 'meta')"
    [(commented, columns)] = ask(home, comments).rows
    assert commented == columns
    assert ask(home, "select servers from size_fleet(95, 10, 2, 8)").rows == [(3,)]
    assert ask(home, "select whole_rows from meta.build").rows == [(sum(len(rows) for rows in content(home).values()),)]


def test_a_file_is_loose_by_what_it_would_take_in_one_go() -> None:
    mib = 2**20
    # written in one go with 100 MiB for 1000 rows, it has 2000 rows now: 200 MiB in one go, loose above 300
    assert not published.wastes(300 * mib, 2000, 100 * mib, 1000)
    assert published.wastes(301 * mib, 2000, 100 * mib, 1000)
    assert not published.wastes(32 * mib, 10, 1 * mib, 10), "nobody minds what a small file wastes"
    # a row took 100 KiB while tables were nearly empty blocks: that says nothing about a file eight times as large
    assert published.wastes(41 * mib, 5000, 5 * mib, 50)
    assert not published.wastes(39 * mib, 5000, 5 * mib, 50)


def test_a_file_system_without_copies_by_reference_gets_a_plain_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> int:
        raise OSError(18, "Invalid cross-device link")

    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(bytes(range(256)) * 1000)
    for fails in (False, True):
        if fails:
            monkeypatch.setattr(os, "copy_file_range", refuses)
        files.copy_file(source, target)
        assert target.read_bytes() == source.read_bytes()


def test_a_disk_that_fails_while_history_is_written_leaves_what_was_published(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    measure(home, 2)
    before = home.warehouse.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(files, "sync_file", fails)
        with pytest.raises(WarehouseError, match=r"(?s)Input/output error.*what was published before is untouched"):
            build(home)
    assert home.warehouse.read_bytes() == before
    assert made(home) == 1


def test_a_build_says_what_it_made() -> None:
    nothing: dict[str, Any] = {"path": Path(), "runs": 1, "rows": {}, "report": published.BuildReport(), "notes": ()}
    assert Built(nights=1, whole_because=None, **nothing).what() == "1 night made anew, 0 checks held"
    assert Built(nights=2, whole_because="as asked for", **nothing).what() == (
        "2 nights, all made anew (as asked for), 0 checks held"
    )


def test_times_of_files_are_compared_for_being_equal_whichever_is_later(home: Home) -> None:
    [_, second] = sorted(home.raw.rglob("manifests/*/*.json"))
    hour = timedelta(hours=1) // timedelta(microseconds=1) * 1000
    stepped_back = second.stat().st_mtime_ns - hour
    changed = json.loads(second.read_bytes())
    changed["run"]["engine_version"] = "of a clock that went back"
    second.write_text(json.dumps(changed))
    os.utime(second, ns=(stepped_back, stepped_back))
    assert made(home) == 1
    assert ask(home, "select engine_version from runs order by night").rows[1] == ("of a clock that went back",)
