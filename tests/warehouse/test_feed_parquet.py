"""The Parquet export: by day, read by other tools, swapped in whole, and never over something else."""

import fcntl
import json
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from schemas.columns import COST_LEDGER, CURATED_TABLES
from schemas.errors import FeedError, UsageError
from tests.curated import fleet, publish, together
from tests.warehouse.killing import deaths
from warehouse.feeds import folder, parquet
from warehouse.feeds.folder import NOTE
from warehouse.feeds.parquet import export
from warehouse.home import Home

FIRST, SECOND = date(2026, 11, 20), date(2026, 11, 21)
BUCKETS = 9
FEW = ["cost_ledger", "time_shares"]


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "out" / "export"
    left = {path.name for path in (tmp_path / "out").iterdir()} if (tmp_path / "out").exists() else set()
    assert left <= {"export"}, "scratch folders were left behind"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return publish(tmp_path / "home", fleet(FIRST))


def files(out: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of every Parquet file: what was kept has both."""
    found = {str(path.relative_to(out)): path.stat() for path in out.rglob("*.parquet")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


def test_a_table_has_a_folder_for_each_day_that_three_readers_agree_on(home: Home, out: Path, tmp_path: Path) -> None:
    publish(home.root, together(fleet(FIRST), fleet(SECOND)))
    export(home, out, FEW)
    assert sorted(path.name for path in (out / "cost_ledger").iterdir()) == [
        "run_date=2026-11-20",
        "run_date=2026-11-21",
    ]
    # two nights of $262,500
    query = f"select run_date, sum(usd) from read_parquet('{out}/cost_ledger/**/*.parquet') group by all order by all"
    expected = [(FIRST, 262_500.0), (SECOND, 262_500.0)]
    assert duckdb.sql(query).fetchall() == expected
    lazy = pl.scan_parquet(out / "cost_ledger").group_by("run_date").agg(pl.col("usd").sum()).sort("run_date")
    assert lazy.collect().rows() == expected
    arrow = ds.dataset(out / "cost_ledger", partitioning="hive").to_table()
    assert (arrow.num_rows, set(arrow.column("run_date").to_pylist())) == (2 * BUCKETS, {"2026-11-20", "2026-11-21"})


def test_every_curated_table_is_there_with_its_columns_empty_or_not(home: Home, out: Path) -> None:
    publish(home.root, fleet(FIRST), whole=True)
    made = {table.table: table for table in export(home, out)}
    for table in CURATED_TABLES:
        relation = duckdb.sql(
            f"select * from read_parquet('{out}/{table.name}/**/*.parquet', hive_partitioning = true)"
        )
        assert {c.name for c in table.columns} <= set(relation.columns), table.name
        assert made[table.name].rows == len(relation.fetchall())
    assert made["cost_ledger"].rows == BUCKETS
    assert made["savings"].rows == 0


def test_values_and_types_are_those_of_the_warehouse(home: Home, out: Path) -> None:
    export(home, out, FEW)
    names = ", ".join(f'"{column.name}"' for column in COST_LEDGER.columns)
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        there = con.sql(f"select {names} from curated.cost_ledger order by bucket")
        here = con.sql(f"select {names} from read_parquet('{out}/cost_ledger/**/*.parquet') order by bucket")
        assert here.types == there.types
        assert here.fetchall() == there.fetchall()


def test_comments_travel_in_the_metadata_of_each_file(home: Home, out: Path) -> None:
    export(home, out, FEW)
    [path] = (out / "cost_ledger").rglob("*.parquet")
    schema = pq.read_schema(path)
    comments = {column.name: column.description.encode() for column in COST_LEDGER.columns if column.name != "run_date"}
    assert {field.name: field.metadata[b"comment"] for field in schema} == comments
    assert schema.metadata[b"comment"] == COST_LEDGER.description.encode()
    about = json.loads(schema.metadata[b"ratecard"])
    assert about["grain"] == list(COST_LEDGER.grain)
    assert about["columns"]["run_date"] == {"type": "DATE", "comment": "UTC date of the night"}
    # and DuckDB alone can see them
    told = duckdb.sql(f"select decode(value) from parquet_kv_metadata('{path}') where decode(key) = 'comment'")
    assert told.fetchall() == [(COST_LEDGER.description,)]


def test_a_table_with_nights_but_no_date_is_filed_under_the_day_of_its_night(home: Home, out: Path) -> None:
    export(home, out, FEW)
    [path] = (out / "time_shares").rglob("*.parquet")
    assert path.parent.name == "run_date=2026-11-20"


def test_what_did_not_change_keeps_its_file(home: Home, out: Path) -> None:
    export(home, out, FEW)
    before = files(out)
    publish(home.root, together(fleet(FIRST), fleet(SECOND)))
    made = {table.table: table for table in export(home, out, FEW)}
    after = files(out)
    assert (made["cost_ledger"].files, made["cost_ledger"].files_kept) == (2, 1)
    [kept] = [name for name in before if name.startswith("cost_ledger/")]
    assert after[kept] == before[kept]


def test_a_changed_day_is_written_anew_and_its_old_file_does_not_stay(home: Home, out: Path) -> None:
    export(home, out, FEW)
    [before] = (out / "cost_ledger").rglob("*.parquet")
    rows = fleet(FIRST)
    rows["cost_ledger"][0]["usd"] = 43_750.01
    publish(home.root, rows)
    export(home, out, FEW)
    [after] = (out / "cost_ledger").rglob("*.parquet")
    assert after.name != before.name
    assert pl.read_parquet(after).filter(bucket="stranded")["usd"].to_list() == [43_750.01]


def test_days_and_tables_that_are_gone_do_not_stay(home: Home, out: Path) -> None:
    publish(home.root, together(fleet(FIRST), fleet(SECOND)))
    export(home, out, FEW)
    publish(home.root, fleet(SECOND))
    export(home, out, ["cost_ledger"])
    assert [path.name for path in sorted(out.iterdir())] == [NOTE, "cost_ledger"]
    assert [path.name for path in (out / "cost_ledger").iterdir()] == ["run_date=2026-11-21"]


def test_a_crash_half_way_leaves_the_old_export_and_the_next_one_works(
    home: Home, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(home, out, FEW)
    before = files(out)
    publish(home.root, together(fleet(FIRST), fleet(SECOND)))

    class KilledError(BaseException):
        pass

    def die(*_: Any) -> None:
        # as a kill leaves it: half a folder beside, and nobody to clean up
        scratch = out.with_name(".export.new")
        assert list(scratch.rglob("*.parquet"))
        scratch.rename(out.with_name(".kept"))
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(folder, "_close", die)
        with pytest.raises(KilledError):
            export(home, out, FEW)
    out.with_name(".kept").rename(out.with_name(".export.new"))
    assert files(out) == before
    export(home, out, FEW)
    assert len(list((out / "cost_ledger").iterdir())) == 2


def test_a_reader_that_listed_before_the_swap_finds_its_files_or_none(home: Home, out: Path) -> None:
    export(home, out, FEW)
    [listed] = (out / "cost_ledger").rglob("*.parquet")
    with listed.open("rb") as opened:
        rows = fleet(FIRST)
        rows["cost_ledger"][0]["usd"] = 0.0
        publish(home.root, rows)
        export(home, out, FEW)
        assert not listed.exists()
        assert pq.read_table(opened).num_rows == BUCKETS, "what was open can be read to its end"


def test_without_an_exchange_of_folders_the_swap_is_two_renames(
    home: Home, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "exchange", lambda one, other: False)
    export(home, out, FEW)
    publish(home.root, fleet(SECOND))
    export(home, out, FEW)
    assert [path.name for path in (out / "cost_ledger").iterdir()] == ["run_date=2026-11-21"]
    # a crash between the two: the next export begins by putting the old one back
    out.rename(out.with_name(".export.old"))
    assert export(home, out, FEW)[0].files_kept == 1


@pytest.mark.parametrize("name", ["notes.txt", "cost_ledger/run_date=2026-11-20/mine.parquet"])
def test_a_folder_with_somebody_elses_file_is_left_as_it_is(home: Home, out: Path, name: str) -> None:
    export(home, out, FEW)
    (out / name).write_text("mine")
    before = files(out)
    with pytest.raises(FeedError, match=rf"files that Ratecard did not write.*{name}"):
        export(home, out, FEW)
    assert files(out) == before
    assert (out / name).read_text() == "mine"


def test_a_folder_that_is_no_export_is_left_as_it_is(home: Home, out: Path) -> None:
    out.mkdir(parents=True)
    (out / "thesis.doc").write_text("years of work")
    with pytest.raises(FeedError, match="is not an export of Ratecard"):
        export(home, out, FEW)
    assert (out / "thesis.doc").read_text() == "years of work"
    (out / "thesis.doc").unlink()
    export(home, out, FEW)
    (out / NOTE).write_text("{")
    with pytest.raises(FeedError, match="damaged"):
        export(home, out, FEW)


def test_a_file_in_the_place_of_the_folder_is_named(home: Home, out: Path) -> None:
    out.parent.mkdir()
    out.write_text("a file")
    with pytest.raises(FeedError, match="is a file: name a folder"):
        export(home, out, FEW)


def test_two_exports_at_once_do_not_mix(home: Home, out: Path) -> None:
    new = out.with_name(".export.new")
    new.mkdir(parents=True)
    descriptor = os.open(new, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(FeedError, match="another process is exporting"):
            export(home, out, FEW)
    finally:
        os.close(descriptor)
    export(home, out, FEW)


def test_a_folder_that_cannot_be_written_is_said_to_be_untouched(home: Home, tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("")
    with pytest.raises(FeedError, match=r"cannot write .*in the way/export.*Nothing was changed"):
        export(home, tmp_path / "in the way" / "export", FEW)


def test_an_unknown_table_is_answered_with_those_that_there_are(home: Home, out: Path) -> None:
    with pytest.raises(UsageError, match=r"no curated table is called prices: choose from runs, operating_points"):
        export(home, out, ["prices"])


def test_a_warehouse_of_another_version_is_to_be_built_anew(home: Home, out: Path) -> None:
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("alter table curated.cost_ledger drop column usd_shown")
    with pytest.raises(FeedError, match=r"another version of Ratecard: cost_ledger .*ratecard build"):
        export(home, out, FEW)
    export(home, out, ["time_shares"])


def test_days_are_cut_where_they_end_however_the_batches_fall(
    home: Home, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_BATCH_ROWS", 4)
    publish(home.root, together(fleet(FIRST), fleet(SECOND), fleet(date(2026, 11, 22))))
    export(home, out, FEW)
    counts = pl.scan_parquet(out / "cost_ledger").group_by("run_date").len().sort("run_date").collect()
    assert counts["len"].to_list() == [BUCKETS] * 3


WORK = """
from pathlib import Path
from warehouse.feeds import folder
from warehouse.feeds.parquet import export
from warehouse.home import Home

if not {in_one_step}:
    folder.exchange = lambda one, other: False

def work(place):
    export(Home(Path(place) / "home"), Path(place) / "export", ["cost_ledger", "time_shares"])
"""


@pytest.mark.parametrize("in_one_step", [True, False])
def test_killed_at_any_moment_the_export_is_the_old_or_the_new_one_and_the_next_is_whole(
    tmp_path: Path, in_one_step: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not in_one_step:
        monkeypatch.setattr(folder, "exchange", lambda one, other: False)
    before, died = tmp_path / "before", tmp_path / "died"
    home = publish(before / "home", fleet(FIRST))
    export(home, before / "export", FEW)
    old = set(files(before / "export"))
    publish(home.root, together(fleet(FIRST), fleet(SECOND)))
    export(home, tmp_path / "undisturbed", FEW)
    new = set(files(tmp_path / "undisturbed"))
    events = 0
    for events in deaths(WORK.format(in_one_step=in_one_step), before, died):
        there = died / "export"
        # two renames leave an instant without any; what was there is beside it then
        assert there.exists() or not in_one_step, events
        if there.exists():
            assert set(files(there)) in (old, new), events
            nights = pl.scan_parquet(there / "cost_ledger").group_by("run_date").len().collect()
            assert set(nights["len"]) == {BUCKETS}, events
        export(Home(died / "home"), there, FEW)
        assert set(files(there)) == new, events
        assert {path.name for path in died.iterdir()} == {"home", "export"}, events
    assert events > 10
