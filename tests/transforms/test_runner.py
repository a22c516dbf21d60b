"""The runner orders SQL files by what they read, checks what they make, and says what is wrong."""

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

from schemas.columns import CURATED_TABLES, METRIC_VERSION, MIN_SAMPLES, STATISTICS, Column, Table
from schemas.errors import BuildError, OrderError
from tests.transforms.factory import Given
from transforms.order import build_order, tables_read
from transforms.runner import build, build_history, build_nights
from transforms.table_files import discover

NUMBERS = Table("curated", "numbers", ("n",), "Numbers.", (Column("n", "INTEGER", "A number", "1"),))


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write SQL files below a folder."""
    for name, sql in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(sql)
    return folder


def test_the_tables_that_a_query_reads_are_found_without_binding_it() -> None:
    sql = """with a as (select * from raw.x), b as (select * from a)
    select (select max(n) from staging.y) from b, lateral (from some_macro(b.n)) where n in (from curated.z)"""
    with duckdb.connect() as con:
        assert tables_read(con, {"q": [sql], "r": ["from raw.r"]}) == {
            "q": {"raw.x", "staging.y", "curated.z"},
            "r": {"raw.r"},
        }


def test_a_file_with_two_statements_is_refused() -> None:
    with duckdb.connect() as con, pytest.raises(OrderError, match=r"curated\.x: a SQL file holds exactly one SELECT"):
        tables_read(con, {"curated.w": ["select 1"], "curated.x": ["select 1; select 2"]})


def test_the_order_follows_what_each_file_reads_and_not_its_name() -> None:
    reads = {"curated.a": {"curated.b"}, "curated.b": {"staging.c"}, "staging.c": {"raw.x"}}
    assert build_order(reads, {"raw.x"}) == ["staging.c", "curated.b", "curated.a"]


def test_a_cycle_is_refused_with_its_path() -> None:
    with pytest.raises(OrderError, match=r"in a circle: .*staging.a.*staging.b"):
        build_order({"staging.a": {"staging.b"}, "staging.b": {"staging.a"}}, set())


def test_an_unknown_table_is_named() -> None:
    with pytest.raises(OrderError, match=r"curated\.a reads raw\.requests_traces, which no SQL file makes"):
        build_order({"curated.a": {"raw.requests_traces"}}, {"raw.request_traces"})


def test_a_failing_assertion_stops_the_build_with_table_assertion_and_rows(tmp_path: Path) -> None:
    files = {
        "curated/numbers.sql": "-- grain: n\nselect unnest([1, -2, 3]) as n",
        "curated/numbers.test.sql": "-- assert: numbers are positive\nselect n from curated.numbers where n < 0;\n",
    }
    with duckdb.connect() as con, pytest.raises(BuildError) as caught:
        build(con, folder=write(tmp_path, files), sources=(), contract=(NUMBERS,))
    assert "curated.numbers: the assertion 'numbers are positive' does not hold" in str(caught.value)
    assert "{'n': -2}" in str(caught.value)


def test_two_rows_of_one_grain_stop_the_build(tmp_path: Path) -> None:
    folder = write(tmp_path, {"staging/numbers.sql": "-- grain: n\nselect unnest([1, 1]) as n"})
    with duckdb.connect() as con, pytest.raises(BuildError, match="one row for each n") as caught:
        build(con, folder=folder, sources=(), contract=())
    assert "'row_count': 2" in str(caught.value)


def test_columns_other_than_the_contract_stop_the_build(tmp_path: Path) -> None:
    folder = write(tmp_path, {"curated/numbers.sql": "-- grain: n\nselect 1.5::double as n"})
    with duckdb.connect() as con, pytest.raises(BuildError, match=r"curated.numbers: .*\('n', 'DOUBLE'\)"):
        build(con, folder=folder, sources=(), contract=(NUMBERS,))


def test_a_header_without_a_grain_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, {"curated/numbers.sql": "select 1 as n"})
    with pytest.raises(BuildError, match="-- grain:"):
        discover(folder)


NUMBERS_PY = '''"""Numbers.

grain: n
"""

READS = ("staging.first",)


def build(con):
    con.execute("create or replace table curated.numbers as select n + 1 as n from staging.first")
'''


def test_a_python_file_makes_a_table_that_is_ordered_and_checked_as_any_other(tmp_path: Path) -> None:
    files = {
        "curated/__init__.py": '"""A package."""',
        "curated/numbers.py": NUMBERS_PY,
        "curated/numbers.test.sql": "-- assert: numbers are positive\nselect n from curated.numbers where n < 0",
        "staging/first.sql": "-- grain: n\nselect unnest([1, 2]) as n",
    }
    folder = write(tmp_path, files)
    with duckdb.connect() as con:
        report = build(con, folder=folder, sources=(), contract=(NUMBERS,))
        assert con.execute("from curated.numbers order by n").fetchall() == [(2,), (3,)]
    assert list(report.rows) == ["staging.first", "curated.numbers"]
    (folder / "staging" / "first.sql").write_text("-- grain: n\nselect -9 as n")
    with duckdb.connect() as con, pytest.raises(BuildError, match="the assertion 'numbers are positive' does not hold"):
        build(con, folder=folder, sources=(), contract=(NUMBERS,))


def test_an_error_of_the_database_in_a_python_file_names_the_table(tmp_path: Path) -> None:
    folder = write(tmp_path, {"curated/numbers.py": NUMBERS_PY.replace("select n + 1", "select m")})
    write(tmp_path, {"staging/first.sql": "-- grain: n\nselect 1 as n"})
    with duckdb.connect() as con, pytest.raises(BuildError, match=r"curated\.numbers: .*m"):
        build(con, folder=folder, sources=(), contract=(NUMBERS,))


@pytest.mark.parametrize(
    ("lost", "says"),
    [
        ("grain: n", "the header needs a line 'grain: column, column'"),
        ('READS = ("staging.first",)', "needs READS, the tables that it reads, and build"),
    ],
)
def test_a_python_file_that_lacks_something_is_refused(tmp_path: Path, lost: str, says: str) -> None:
    folder = write(tmp_path, {"curated/numbers.py": NUMBERS_PY.replace(lost, "")})
    with pytest.raises(BuildError, match=re.escape(says)):
        discover(folder)


def test_a_table_that_two_files_make_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, {"curated/numbers.py": NUMBERS_PY, "curated/numbers.sql": "-- grain: n\nselect 1 as n"})
    with pytest.raises(BuildError, match=r"curated\.numbers is made by a file \.py and by a file \.sql"):
        discover(folder)


TOTALS = Table(
    "curated", "totals", ("night",), "Totals.",
    (Column("night", "TIMESTAMP", "Night"), Column("total", "HUGEINT", "Sum up to the night", "1")),
)  # fmt: skip
POINTS = Table(
    "curated",
    "points",
    ("night",),
    "Points.",
    (Column("night", "TIMESTAMP", "Night"), Column("n", "INTEGER", "N", "1")),
)
LATEST = Table("curated", "latest", ("night",), "Latest.", TOTALS.columns)
SPANNING = {
    "curated/points.sql": "-- grain: night\nselect night, n from raw.counts",
    "curated/totals.sql": """-- grain: night
    -- spans: nights
    select points.night, sum(earlier.n) as total
    from curated.points as points
    inner join curated.points as earlier on earlier.night <= points.night
    where points.night >= (select since from raw.build_scope)
    group by points.night""".replace("    -- spans", "-- spans"),
    # says nothing of nights, but reads a table that spans them
    "curated/latest.py": '''"""Totals, as a Python file.

grain: night
"""

READS = ("curated.totals", "raw.build_scope")


def build(con):
    con.execute(
        "create or replace table curated.latest as from curated.totals where night >= (select since from raw.build_scope)"
    )
''',
}
OF_COUNTS: dict[str, Any] = {"sources": ("raw.counts", "raw.build_scope"), "contract": (POINTS, TOTALS, LATEST)}


def counted(con: duckdb.DuckDBPyConnection, counts: dict[int, int], since: int) -> None:
    """Sources of SPANNING: a count by day of June, and the day from which on rows are to be made."""
    con.execute("create schema if not exists raw")
    con.execute("create or replace table raw.counts (night timestamp, n integer)")
    for day, count in counts.items():
        con.execute("insert into raw.counts values (make_timestamp(2026, 6, ?, 2, 0, 0), ?)", [day, count])
    con.execute(f"create or replace table raw.build_scope as select timestamp '2026-06-{since:02} 02:00' as since")


def by_day(con: duckdb.DuckDBPyConnection, table: str) -> dict[int, int]:
    return dict(con.execute(f"select day(night), total from curated.{table} order by night").fetchall())


def test_tables_that_span_nights_are_made_after_those_of_each_night(tmp_path: Path) -> None:
    with duckdb.connect() as con:
        counted(con, {1: 10, 2: 20, 3: 5}, since=1)
        report = build(con, folder=write(tmp_path, SPANNING), **OF_COUNTS)
        assert by_day(con, "totals") == by_day(con, "latest") == {1: 10, 2: 30, 3: 35}
    assert list(report.rows) == ["curated.points", "curated.totals", "curated.latest"]


def test_the_first_phase_makes_no_table_that_spans_nights(tmp_path: Path) -> None:
    with duckdb.connect() as con:
        counted(con, {3: 5}, since=3)
        report = build_nights(con, folder=write(tmp_path, SPANNING), sources=OF_COUNTS["sources"])
    assert report.rows == {"curated.points": 1}


@pytest.mark.usefixtures("commented")
def test_the_second_phase_remakes_rows_from_the_scope_on_and_keeps_those_before(tmp_path: Path) -> None:
    folder = write(tmp_path, SPANNING)
    with duckdb.connect() as con:
        counted(con, {1: 10, 2: 20, 3: 5}, since=1)
        build(con, folder=folder, **OF_COUNTS)
        # night 2 was wrong and is 7; what stands for night 1 is not looked at again, so that a mark on it stays
        con.execute("update curated.points set n = 7 where day(night) = 2")
        con.execute("update curated.totals set total = 1000 where day(night) = 1")
        counted(con, {2: 7}, since=2)
        report = build_history(con, folder=folder, **OF_COUNTS)
        assert by_day(con, "totals") == {1: 1000, 2: 17, 3: 22}
        assert by_day(con, "latest") == {1: 10, 2: 17, 3: 22}
        comments = "select comment from duckdb_columns() where table_name = 'totals' and column_name = 'total'"
        assert con.execute(comments).fetchall() == [("Sum up to the night [1]",)]
        assert con.execute(
            "select count(*) from duckdb_tables() where table_name like '%\\_\\_%' escape '\\'"
        ).fetchall() == [(0,)]
    assert report.rows == {"curated.totals": 2, "curated.latest": 2}


def test_rows_of_a_gone_night_are_gone_from_tables_that_span_nights(tmp_path: Path) -> None:
    folder = write(tmp_path, SPANNING)
    with duckdb.connect() as con:
        counted(con, {1: 10, 2: 20}, since=1)
        build(con, folder=folder, **OF_COUNTS)
        con.execute("delete from curated.points where day(night) = 2")
        counted(con, {}, since=2)
        build_history(con, folder=folder, **OF_COUNTS)
        assert by_day(con, "totals") == by_day(con, "latest") == {1: 10}


def test_a_failing_assertion_of_the_second_phase_shows_the_rows_made_now(tmp_path: Path) -> None:
    tests = "-- assert: totals are small\nselect total from curated.totals where total > 32"
    folder = write(tmp_path, SPANNING | {"curated/totals.test.sql": tests})
    with duckdb.connect() as con:
        counted(con, {1: 10, 2: 20}, since=1)
        build(con, folder=folder, **OF_COUNTS)
        con.execute("insert into curated.points values (timestamp '2026-06-03 02:00', 5)")
        counted(con, {3: 5}, since=3)
        with pytest.raises(BuildError, match=r"curated.totals: the assertion 'totals are small'.*\n.*35"):
            build_history(con, folder=folder, **OF_COUNTS)


def test_a_span_that_is_unknown_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, {"curated/numbers.sql": "-- grain: n\n-- spans: weeks\nselect 1 as n"})
    with pytest.raises(BuildError, match="'spans: weeks' is unknown: a table spans nights, or says nothing"):
        discover(folder)


def test_an_empty_warehouse_builds_with_no_rows_anywhere(given: Given) -> None:
    report = given.build()
    assert {name: rows for name, rows in report.rows.items() if name.startswith("curated.")} == {
        f"curated.{table.name}": 0 for table in CURATED_TABLES
    }


def test_raw_and_staging_stay_out_of_the_file(given: Given) -> None:
    given.build()
    own = given.all("select distinct schema_name from duckdb_tables() where database_name = current_database()")
    assert own == [{"schema_name": "curated"}]


@pytest.mark.usefixtures("commented")
def test_every_column_has_its_comment_and_unit(given: Given) -> None:
    given.build()
    bare = "select table_name, column_name from duckdb_columns() where schema_name = 'curated' and comment is null"
    assert given.all(bare) == []
    comment = given.all(
        "select comment from duckdb_columns() "
        "where table_name = 'operating_points' and column_name = 'ttft_p99_ms' order by comment nulls last"
    )
    assert comment[0]["comment"] == "p99 of time to first token, first_token - sent; null under 662 [ms]"
    assert given.one("select comment from duckdb_tables() where table_name = 'server_counts'")["comment"].endswith(
        "One row for each fleet_id."
    )


def test_building_twice_gives_the_same_tables(given: Given) -> None:
    given.run().closed_loop(2, 10).slo().demand().plan().build()
    before = {table.name: given.all(f"from curated.{table.name} order by all") for table in CURATED_TABLES}
    build(given.con)
    assert before == {table.name: given.all(f"from curated.{table.name} order by all") for table in CURATED_TABLES}


def test_the_grain_in_a_header_is_the_grain_of_the_contract() -> None:
    files = discover()
    assert {table.name: files[f"curated.{table.name}"].grain for table in CURATED_TABLES} == {
        table.name: table.grain for table in CURATED_TABLES
    }


def test_the_percentiles_of_the_sql_are_those_of_the_contract(given: Given) -> None:
    given.build()
    rows = given.all("select statistic, probability, min_samples from staging.statistics")
    assert {row["statistic"]: row["probability"] for row in rows} == {k: v for k, v in STATISTICS.items() if v}
    assert {row["statistic"]: row["min_samples"] for row in rows} == {
        k: MIN_SAMPLES[k] for k in MIN_SAMPLES if k != "mean"
    }
    assert given.one("select metric_version from staging.metric_version") == {"metric_version": METRIC_VERSION}


def test_a_warehouse_file_of_the_old_storage_version_answers_what_if_read_only(given: Given, tmp_path: Path) -> None:
    path = str(tmp_path / "warehouse.duckdb")
    given.con.execute(f"attach '{path}' as warehouse (storage_version 'v1.2.0'); use warehouse")
    given.run().closed_loop(2, 10).build()
    given.con.close()
    with duckdb.connect(path, read_only=True) as con:
        assert con.execute("select servers from size_fleet(95, 10, 2, 8)").fetchall() == [(3,)]
        assert con.execute("select count(*) from curated.operating_points").fetchall() == [(1,)]
    with duckdb.connect() as con:
        con.execute(f"attach '{path}' as w (read_only)")
        assert con.execute("select count(*) from w.price_fleet(3, 87500, 40, 1000, 1000)").fetchall() == [(3,)]
