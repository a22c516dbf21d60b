"""The warehouse is derived from raw/ alone, published by a swap, and asked read-only."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from schemas.catalog import Catalog
from schemas.catalog.demands import Demand, MixPart
from schemas.catalog.slos import Slo
from schemas.errors import LandingError, UsageError, WarehouseError
from schemas.prices import ApiPlan, ApiPrices, RentPlan, RentPrices
from tests.curated import content, fleet, publish
from tests.traces import LEVEL, begin, land, of_version_1, row, starter
from transforms.runner import CURATED_TABLES
from warehouse import manifests, sources
from warehouse.ask import ask, own_rows
from warehouse.build import build
from warehouse.home import Home, exclusive


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "home")
    home.prepare()
    yield home
    left = {path.name for path in home.root.iterdir()}
    assert left <= {"raw", "incoming", "quarantine", "locks", "warehouse.duckdb"}, "scratch files were left behind"


def measured(home: Home, run_id: str = "r", **changes: object) -> None:
    land(home, *(row(index) for index in range(30)), run_id=run_id, **changes)


def test_a_rebuild_from_raw_alone_gives_equal_tables(home: Home) -> None:
    measured(home)
    build(home)
    before = content(home)
    assert len(before["operating_points"]) == 1
    home.warehouse.unlink()
    build(home)
    assert content(home) == before


def test_a_second_night_adds_history(home: Home) -> None:
    measured(home)
    measured(home, "r2", night="2026-11-21T02:00:00", run_date="2026-11-21")
    build(home)
    assert ask(home, "select run_id, night from runs order by night").rows[1][0] == "r2"
    assert ask(home, "select count(*) from operating_points").rows == [(2,)]


def test_an_empty_home_builds_empty_tables(home: Home) -> None:
    build(home)
    assert all(rows == [] for rows in content(home).values())


def test_a_reader_keeps_the_file_that_it_opened(home: Home) -> None:
    build(home)
    with duckdb.connect(str(home.warehouse), read_only=True) as reader:
        inode = home.warehouse.stat().st_ino
        measured(home)
        build(home)
        assert home.warehouse.stat().st_ino != inode
        assert reader.execute("select count(*) from curated.runs").fetchall() == [(0,)]
    assert ask(home, "select count(*) from runs").rows == [(1,)]


def test_a_changed_part_stops_the_build_and_leaves_what_is_published(home: Home) -> None:
    measured(home)
    build(home)
    inode = home.warehouse.stat().st_ino
    [part] = home.raw.rglob("*.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(WarehouseError, match=r"has changed since it landed.*\n.*immutable"):
        build(home)
    assert home.warehouse.stat().st_ino == inode


def test_a_missing_catalog_snapshot_is_named(home: Home) -> None:
    measured(home)
    [snapshot] = (home.raw / "catalogs").iterdir()
    snapshot.unlink()
    with pytest.raises(LandingError, match=str(snapshot)):
        build(home)


def test_two_builds_at_once_wait_for_each_other(home: Home) -> None:
    with exclusive(home.locks / ".build.lock"), pytest.raises(WarehouseError, match="another process is building"):
        build(home, wait_s=0.1)


def test_history_can_be_priced_with_another_catalog(home: Home) -> None:
    measured(home)
    build(home)
    assert ask(home, "select count(*) from slo_attainment where slo = 'lenient'").rows == [(0,)]
    build(home, Catalog(slos={"lenient": Slo()}))
    assert ask(home, "select distinct slo from slo_attainment").rows == [("lenient",)]
    build(home)
    assert ask(home, "select count(*) from slo_attainment where slo = 'lenient'").rows == [(0,)]


@pytest.mark.usefixtures("commented")
def test_everything_in_the_published_file_carries_its_comment(home: Home) -> None:
    build(home)
    nothing_said = """
        select table_name from duckdb_tables() where coalesce(comment, '') = ''
        union all select table_name || '.' || column_name from duckdb_columns()
        where not internal and coalesce(comment, '') = ''
        union all select function_name from duckdb_functions()
        where function_type in ('macro', 'table_macro') and not internal and coalesce(comment, '') = ''
    """
    assert ask(home, nothing_said).rows == []
    told = "select comment from duckdb_functions() where function_name = 'size_fleet'"
    assert str(ask(home, told).rows[0][0]).startswith("instances, servers and GPUs for a peak request rate")
    for table in CURATED_TABLES:
        query = f"select column_name, comment from duckdb_columns() where table_name = '{table.name}' and schema_name = 'curated'"
        assert dict(ask(home, query).rows) == {column.name: column.description for column in table.columns}


@pytest.mark.usefixtures("commented")
def test_a_comment_that_was_written_anew_reaches_a_file_that_is_added_to(home: Home) -> None:
    measured(home)
    build(home)
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("comment on column curated.runs.run_id is 'what an older version said'")
    measured(home, "r2", night="2026-11-21T02:00:00", run_date="2026-11-21")
    assert build(home).whole_because is None
    told = "select comment from duckdb_columns() where table_name = 'runs' and column_name = 'run_id'"
    assert ask(home, told).rows == [("One endpoint x workload x load on one scheduled night",)]


def test_the_published_file_is_one_that_older_drivers_read(home: Home) -> None:
    build(home)
    # bytes 12 to 20 of a DuckDB file: the storage version, 65 of DuckDB 1.2 (64: 0.9 to 1.1)
    assert int.from_bytes(home.warehouse.read_bytes()[12:20], "little") <= 65
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        assert "v1.2.0" in str(con.execute("select tags from duckdb_databases() where not internal").fetchall())


def test_a_wrong_query_gets_duckdbs_word_for_it(home: Home) -> None:
    build(home)
    with pytest.raises(UsageError, match="nope"):
        ask(home, "select nope")
    with pytest.raises(UsageError, match="read-only"):
        ask(home, "create table curated.x as select 1")


def test_asking_before_there_is_a_warehouse_says_how_to_make_one(home: Home) -> None:
    with pytest.raises(WarehouseError, match="ratecard build"):
        ask(home, "select 1")


def test_a_file_of_somebody_elses_is_no_warehouse(home: Home) -> None:
    home.prepare()
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("create table runs (run_id varchar)")
    with pytest.raises(WarehouseError, match=r"is no warehouse of Ratecard's .*`ratecard build"):
        ask(home, "select * from runs")


def test_a_flipped_bit_in_the_published_file_is_told_as_damage_by_whatever_reads_it(home: Home) -> None:
    publish(home.root, fleet())
    whole, query = home.warehouse.read_bytes(), "select * from curated.cost_ledger, curated.server_counts"
    answer, said = ask(home, query), []
    # three headers of 4 KiB, then blocks of 256 KiB: their checksum, and what it is of
    for block in range(12_288, len(whole), 262_144):
        home.warehouse.write_bytes(whole[: block + 8] + bytes([whole[block + 8] ^ 1]) + whole[block + 9 :])
        try:
            assert ask(home, query) == answer
        except WarehouseError as error:
            said.append(str(error))
    assert any("is damaged" in message and "`ratecard build --recompute`" in message for message in said)
    home.warehouse.write_bytes(whole)
    with pytest.raises(WarehouseError, match=r"(?s)not of this version of Ratecard .*`ratecard build`"):
        own_rows(home, "select no_such_column from cost_ledger")


def test_a_plan_is_cut_where_its_reference_prices_change() -> None:
    rent = RentPlan(
        kind="rent", rent_unit="gpu", source="s", reference_plan="api",
        periods=[RentPrices(valid_from=date(2026, 1, 1), usd_per_hour=2.0)],
    )  # fmt: skip
    api = ApiPlan(
        kind="api", source="s",
        periods=[
            ApiPrices(valid_from=date(2026, 1, 1), valid_to=date(2026, 5, 31), usd_per_mtok_input=1, usd_per_mtok_output=3),
            ApiPrices(valid_from=date(2026, 6, 1), usd_per_mtok_input=2, usd_per_mtok_output=5),
        ],
    )  # fmt: skip
    rows = list(sources.price_rows("h", Catalog(prices={"rent": rent, "api": api})))
    spans = [(r["valid_from"], r["valid_to"], r["price_in"], r["price_out"]) for r in rows if r["price_plan"] == "rent"]
    assert spans == [(date(2026, 1, 1), date(2026, 5, 31), 1, 3), (date(2026, 6, 1), None, 2, 5)]


def test_the_starter_price_book_prices_cpu_and_gpus() -> None:
    rows = list(sources.price_rows("h", starter()))
    assert {"cpu", "h100", None} <= {row.get("accelerator") for row in rows}
    assert all(row["price_in"] == 1 and row["price_out"] == 3 for row in rows)


def test_a_mix_of_the_catalog_reaches_the_warehouse(home: Home) -> None:
    measured(home)
    mix = [MixPart(workload="w", share=0.75), MixPart(workload="unmeasured", share=0.25)]
    demand = Demand(application="a", mix=mix, slo="any", peak_rps=10.0)
    build(home, Catalog(slos={"any": Slo()}, demands={"both": demand}))
    [(demand_name, status, reasons)] = ask(home, "select demand, status, reasons from fleet_mixes").rows
    assert (demand_name, status) == ("both", "infeasible")
    assert str(reasons).startswith("no endpoint serves unmeasured within the SLO (not measured that night); w within")
    assert ask(home, "select count(*) from server_counts").rows == [(0,)]


def test_parts_of_two_versions_are_one_table(home: Home) -> None:
    measured(home)
    folder = begin(home, run_id="old")
    of_version_1(*(row(index, run_id="old") for index in range(30))).write_parquet(folder.path / "a1-l001-s000.parquet")
    folder.land_level(LEVEL)
    folder.close("complete", None)
    build(home)
    assert ask(home, "select run_id, request_rps > 0 from operating_points order by run_id").rows == [
        ("old", True), ("r", True),
    ]  # fmt: skip
    with duckdb.connect() as con:
        sources.attach(con, home, manifests.read_all(home), None)
        seen = con.sql(
            "select run_id, schema_version, transport, count(*) from raw.request_traces group by all order by 1"
        )
        assert seen.fetchall() == [("old", 1, None, 30), ("r", 2, "socket", 30)]


def test_parts_of_one_version_are_one_scan(home: Home) -> None:
    measured(home)
    measured(home, "r2", night="2026-11-21T02:00:00", run_date="2026-11-21")
    with duckdb.connect() as con:
        sources.attach(con, home, manifests.read_all(home), None)
        plan = con.sql("explain from raw.request_traces").fetchall()[0][1]
    assert "READ_PARQUET" in plan
    assert "UNION" not in plan
