"""Publishing to a real Postgres server: what readers see, what stays, what is refused, what an error leaves."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from benchmarks.postgres_server import Server, binaries, server
from schemas.columns import COST_LEDGER, Column, Table
from schemas.errors import FeedError, UsageError
from tests.curated import fleet, publish, together
from warehouse.feeds import postgres
from warehouse.feeds.postgres_session import Session, redacted
from warehouse.feeds.postgres_types import postgres_type, select_item
from warehouse.home import Home

pytestmark = pytest.mark.skipif(binaries() is None, reason="Postgres is not installed (apt-get install postgresql)")

FIRST, SECOND = date(2026, 11, 20), date(2026, 11, 21)
FEW = ["time_shares", "cost_ledger"]
LEDGER_SUM = "select count(*), sum(usd) from ratecard.cost_ledger"


@pytest.fixture(scope="module")
def pg() -> Iterator[Server]:
    with server() as started:
        yield started


@pytest.fixture(autouse=True)
def clean(pg: Server) -> Iterator[None]:
    yield
    pg.psql(
        "set client_min_messages = warning; drop schema if exists ratecard, own, elsewhere cascade; "
        "do $$ declare r text; begin "
        "for r in select rolname from pg_roles where rolname in ('analyst', 'etl', 'stranger') loop "
        "execute format('drop owned by %1$I cascade', r); execute format('drop role %1$I', r); end loop; end $$"
    )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return publish(tmp_path / "home", fleet(FIRST))


def send(home: Home, dsn: str, **options: Any) -> list[postgres.PostgresTable]:
    return postgres.publish(home, dsn, names=FEW, **options)


def next_night(home: Home) -> None:
    publish(home.root, together(fleet(FIRST), fleet(SECOND)))


@contextmanager
def reading(pg: Server, query: str) -> Iterator[subprocess.Popen[str]]:
    """A session that has run a query in a transaction, and keeps it open."""
    process = subprocess.Popen(
        [pg.bin / "psql", "-XqAt", pg.dsn()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PGAPPNAME": "a dashboard"},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"begin; {query};\n")
    process.stdin.flush()
    assert process.stdout.readline()
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_tables_columns_and_rows_are_those_of_the_warehouse(pg: Server, home: Home) -> None:
    made = send(home, pg.dsn())
    assert [(table.table, table.rows) for table in made] == [("time_shares", 1), ("cost_ledger", 9)]
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        names = ", ".join(f'"{column.name}"' for column in COST_LEDGER.columns)
        there = con.sql(f"select {names} from curated.cost_ledger order by bucket").fetchall()
    with postgres.transaction(pg.dsn()) as session:
        assert session.ask(f"select {names} from ratecard.cost_ledger order by bucket") == there
    types = pg.psql(
        "select string_agg(distinct data_type, ', ' order by data_type) from information_schema.columns where table_schema = 'ratecard'"
    )
    assert types == "bigint, date, double precision, integer, text, timestamp without time zone"


def test_tables_and_columns_carry_their_comments_and_the_grain_is_unique(pg: Server, home: Home) -> None:
    for _ in range(2):
        send(home, pg.dsn())
        assert pg.psql("select obj_description('ratecard.cost_ledger'::regclass)") == (
            "Where a fleet's yearly cost goes: the buckets of a fleet, plan and method sum to it. One row for each "
            "fleet_id x price_plan x allocation_method x bucket. Published by Ratecard."
        )
        without = "select count(*) from pg_attribute where attrelid = 'ratecard.cost_ledger'::regclass and attnum > 0 and col_description(attrelid, attnum) is null"
        assert pg.psql(without) == "0"
        assert pg.psql(
            "select indexdef from pg_indexes where schemaname = 'ratecard' and tablename = 'cost_ledger'"
        ) == (
            "CREATE UNIQUE INDEX cost_ledger_grain ON ratecard.cost_ledger USING btree (fleet_id, price_plan, allocation_method, bucket)"
        )


def test_a_second_publish_replaces_the_rows_and_leaves_nothing_else(pg: Server, home: Home) -> None:
    send(home, pg.dsn())
    next_night(home)
    send(home, pg.dsn())
    # 2 nights of 9 buckets, $262,500 each
    assert pg.psql(LEDGER_SUM) == "18|525000"
    assert pg.psql(
        "select string_agg(relname, ' ' order by relname) from pg_class where relnamespace = 'ratecard'::regnamespace"
    ) == ("cost_ledger cost_ledger_grain time_shares time_shares_grain")


def test_grants_columns_grants_and_owners_stay(pg: Server, home: Home) -> None:
    pg.psql("create role analyst; create role etl")
    send(home, pg.dsn())
    pg.psql(
        "grant usage on schema ratecard to analyst; grant select on ratecard.cost_ledger to analyst with grant option; "
        "grant select on ratecard.time_shares to public; grant update (usd) on ratecard.cost_ledger to analyst; "
        "grant create on schema ratecard to etl; alter table ratecard.time_shares owner to etl"
    )
    acl = "select relname, relowner::regrole, (select array_agg(a::text order by a::text) from unnest(relacl) a) from pg_class where relname in ('cost_ledger', 'time_shares') order by 1"
    columns = "select attname, attacl from pg_attribute where attrelid = 'ratecard.cost_ledger'::regclass and attacl is not null"
    before = pg.psql(acl), pg.psql(columns)
    assert "analyst=r*" in before[0]
    assert before[1] == "usd|{analyst=w/owner}"
    # what new tables are given by default is not what the old one had
    pg.psql("alter default privileges in schema ratecard grant delete on tables to analyst")
    send(home, pg.dsn())
    assert (pg.psql(acl), pg.psql(columns)) == before


def test_views_go_on_reading_the_new_table_with_their_own_grants(pg: Server, home: Home) -> None:
    pg.psql("create role analyst; create schema own")
    send(home, pg.dsn())
    pg.psql(
        "create view own.total with (security_barrier = true) as select sum(usd) as usd from ratecard.cost_ledger; "
        "create view own.thousands as select usd / 1000 as kusd from own.total; comment on view own.total is 'mine'; "
        "grant select on own.total to analyst"
    )
    state = "select relacl, reloptions, obj_description(oid) from pg_class where oid = 'own.total'::regclass"
    before = pg.psql(state)
    next_night(home)
    made = send(home, pg.dsn())
    assert {table.table: table.views for table in made} == {"time_shares": 0, "cost_ledger": 1}
    assert pg.psql("select kusd from own.thousands") == "525"
    assert pg.psql(state) == before


def test_indexes_that_others_added_are_made_again(pg: Server, home: Home) -> None:
    send(home, pg.dsn())
    pg.psql("create index by_day on ratecard.cost_ledger (run_date) where bucket = 'idle'")
    before = pg.psql("select indexdef from pg_indexes where indexname = 'by_day'")
    send(home, pg.dsn())
    assert pg.psql("select indexdef from pg_indexes where indexname = 'by_day'") == before


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("create materialized view own.m as select bucket from ratecard.cost_ledger", "materialized view own.m"),
        ("create table own.t (o text, s text, foreign key (o, s) references ratecard.time_shares (operating_point_id, slo))", "constraint t_o_s_fkey on table own.t"),
        ("create policy p on ratecard.cost_ledger using (bucket = 'idle')", "policy p on table ratecard.cost_ledger"),
        ("alter table ratecard.cost_ledger enable row level security", "row level security of ratecard.cost_ledger"),
        ("create function own.f() returns setof ratecard.cost_ledger language sql as 'select * from ratecard.cost_ledger'", "function own.f()"),
        ("alter table ratecard.cost_ledger add constraint positive check (usd >= 0)", "constraint positive on table ratecard.cost_ledger"),
    ],
)  # fmt: skip
def test_what_would_be_lost_is_named_before_anything_is_touched(pg: Server, home: Home, made: str, named: str) -> None:
    send(home, pg.dsn())
    pg.psql(f"create schema own; {made}")
    next_night(home)
    with pytest.raises(FeedError) as refused:
        send(home, pg.dsn())
    assert named in str(refused.value)
    assert "Nothing was changed" in str(refused.value)
    assert pg.psql(LEDGER_SUM) == "9|262500"


def test_a_view_of_somebody_else_is_named_with_its_owner(pg: Server, home: Home) -> None:
    pg.psql("create role analyst; create role etl login; create schema own; grant create on database postgres to etl")
    send(home, pg.dsn("etl"))
    pg.psql(
        "grant usage on schema ratecard to analyst; grant select on ratecard.cost_ledger to analyst; "
        "grant create, usage on schema own to analyst; set role analyst; create view own.theirs as select bucket from ratecard.cost_ledger"
    )
    with pytest.raises(FeedError, match=r"the view own\.theirs reads it and belongs to analyst: only its owner"):
        send(home, pg.dsn("etl"))
    pg.psql("grant analyst to etl")
    assert {table.table: table.views for table in send(home, pg.dsn("etl"))}["cost_ledger"] == 1
    assert pg.psql("select relowner::regrole from pg_class where oid = 'own.theirs'::regclass") == "analyst"


def test_a_view_that_does_not_fit_the_new_columns_leaves_everything(pg: Server, home: Home) -> None:
    send(home, pg.dsn())
    pg.psql(
        "alter table ratecard.cost_ledger add column extra text; create schema own; create view own.v as select extra from ratecard.cost_ledger"
    )
    next_night(home)
    with pytest.raises(FeedError, match=r"a view needs a column that is no longer there.*extra.*\n.*as it was"):
        send(home, pg.dsn())
    assert pg.psql(LEDGER_SUM) == "9|262500"


def test_a_table_of_the_same_name_that_is_not_ours_is_left_alone(pg: Server, home: Home) -> None:
    pg.psql(
        "create schema ratecard; create table ratecard.cost_ledger (mine int); insert into ratecard.cost_ledger values (7)"
    )
    with pytest.raises(FeedError, match=r"ratecard\.cost_ledger is there and is not a table that Ratecard published"):
        send(home, pg.dsn())
    assert pg.psql("select mine from ratecard.cost_ledger") == "7"
    assert pg.psql("select to_regclass('ratecard.time_shares')") == ""
    send(home, pg.dsn(), schema="elsewhere")
    pg.psql(
        "drop schema elsewhere cascade; drop table ratecard.cost_ledger; create view ratecard.cost_ledger as select 1 as one"
    )
    with pytest.raises(FeedError, match="is not a table that Ratecard published"):
        send(home, pg.dsn())


def test_a_schema_of_somebody_else_is_named_with_its_owner(pg: Server, home: Home) -> None:
    pg.psql("create role etl login; create role stranger; create schema ratecard authorization stranger")
    with pytest.raises(
        FeedError, match=r"the schema ratecard belongs to stranger, and etl may not create tables in it"
    ):
        send(home, pg.dsn("etl"))
    pg.psql("grant usage, create on schema ratecard to etl")
    send(home, pg.dsn("etl"))


def test_a_role_without_the_right_to_make_a_schema_is_told_so(pg: Server, home: Home) -> None:
    pg.psql("create role etl login")
    with pytest.raises(FeedError, match=r"too few rights in Postgres: .*permission denied for database postgres"):
        send(home, pg.dsn("etl"))


def test_a_table_that_belongs_to_another_role_is_named_with_its_owner(pg: Server, home: Home) -> None:
    pg.psql("create role etl login")
    send(home, pg.dsn())
    pg.psql("grant usage, create on schema ratecard to etl; grant all on all tables in schema ratecard to etl")
    with pytest.raises(FeedError, match=r"ratecard\.cost_ledger belongs to owner, of which this role is no member"):
        send(home, pg.dsn("etl"))


def test_a_reader_is_waited_for_and_named_when_it_takes_too_long(pg: Server, home: Home) -> None:
    send(home, pg.dsn())
    next_night(home)
    with reading(pg, "select count(*) from ratecard.cost_ledger"):
        with pytest.raises(FeedError) as refused:
            send(home, pg.dsn(), lock_wait_s=0.1)
        assert "still being read after 0.1 s by process" in str(refused.value)
        assert "a dashboard, user owner, since" in str(refused.value)
        # other readers are not held up
        assert pg.psql(LEDGER_SUM) == "9|262500"
    send(home, pg.dsn())
    assert pg.psql(LEDGER_SUM) == "18|525000"


def test_the_publish_goes_on_when_the_reader_has_done(pg: Server, home: Home) -> None:
    send(home, pg.dsn())
    next_night(home)
    with reading(pg, "select count(*) from ratecard.cost_ledger") as reader:
        threading.Timer(1.5, reader.kill).start()
        send(home, pg.dsn(), lock_wait_s=120)
    assert pg.psql(LEDGER_SUM) == "18|525000"


def test_a_reader_in_the_middle_of_a_transaction_sees_old_or_new_never_both(pg: Server, home: Home) -> None:
    send(home, pg.dsn())
    next_night(home)
    seen: set[str] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.add(
                pg.psql(
                    "select (select count(*) from ratecard.cost_ledger), (select count(*) from ratecard.time_shares)"
                )
            )

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        send(home, pg.dsn())
        time.sleep(0.2)
    finally:
        done.set()
        watcher.join()
    assert seen <= {"9|1", "18|2"}
    assert "18|2" in seen


def interrupted_at(monkeypatch: pytest.MonkeyPatch, step: str, strike: Callable[[], object]) -> None:
    """Strike once, right after the first step of this name."""
    whole = getattr(Session, step)

    def hit(self: Session, *values: Any) -> Any:
        result = whole(self, *values)
        monkeypatch.setattr(Session, step, whole)
        strike()
        return result

    monkeypatch.setattr(Session, step, hit)


@pytest.mark.parametrize("step", ["load", "lock"])
def test_a_connection_ended_half_way_leaves_everything_as_it_was(
    pg: Server, home: Home, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    send(home, pg.dsn())
    next_night(home)
    end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend'"
    interrupted_at(monkeypatch, step, lambda: pg.psql(end))
    with pytest.raises(FeedError, match=r"terminating connection.*\n.*as it was"):
        send(home, pg.dsn())
    assert pg.psql(LEDGER_SUM) == "9|262500"
    assert pg.psql("select count(*) from pg_class where relname like '\\_ratecard%'") == "0"
    send(home, pg.dsn())
    assert pg.psql(LEDGER_SUM) == "18|525000"


def test_a_connection_ended_in_the_middle_of_a_copy_leaves_everything_as_it_was(
    pg: Server, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(home, pg.dsn())
    next_night(home)
    whole = Session.load

    def load(self: Session, rows: Any, table: str, schema: str) -> int:
        import pyarrow as pa

        def batches() -> Iterator[Any]:
            for batch in rows:
                yield batch
                pg.psql("select count(pg_terminate_backend(pid)) from pg_stat_activity where query like 'COPY%'")
                yield from [batch] * 1000

        return whole(self, pa.RecordBatchReader.from_batches(rows.schema, batches()), table, schema)

    monkeypatch.setattr(Session, "load", load)
    with pytest.raises(FeedError, match="as it was"):
        send(home, pg.dsn())
    assert pg.psql(LEDGER_SUM) == "9|262500"


def test_a_server_killed_half_way_comes_back_with_what_was_published(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server("restart_after_crash=on") as own:
        send(home, own.dsn())
        next_night(home)
        pid = own.psql("select pg_backend_pid()") and int(
            (own.folder / "data" / "postmaster.pid").read_text().split()[0]
        )
        with monkeypatch.context() as patch:
            # a killed backend makes the server throw everybody out and recover, as after a power cut
            interrupted_at(patch, "load", lambda: kill_a_backend(own))
            with pytest.raises(FeedError, match="as it was"):
                send(home, own.dsn())
        assert pid
        wait_until_up(own)
        assert own.psql(LEDGER_SUM) == "9|262500"
        send(home, own.dsn())
        assert own.psql(LEDGER_SUM) == "18|525000"


def kill_a_backend(own: Server) -> None:
    os.kill(int(own.psql("select pid from pg_stat_activity where state = 'idle in transaction'")), signal.SIGKILL)


def wait_until_up(own: Server) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            own.psql("select 1")
            return
        except subprocess.CalledProcessError:
            time.sleep(0.1)
    raise AssertionError("the server did not come back")


def test_two_publishes_at_once_do_not_mix(pg: Server, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def other() -> None:
        with pytest.raises(FeedError, match="another session is publishing to the schema ratecard"):
            send(home, pg.dsn())

    interrupted_at(monkeypatch, "load", other)
    send(home, pg.dsn())
    assert pg.psql(LEDGER_SUM) == "9|262500"


def test_an_empty_warehouse_is_published_as_empty_tables(pg: Server, tmp_path: Path) -> None:
    home = publish(tmp_path / "empty", {}, whole=True)
    made = postgres.publish(home, pg.dsn())
    assert {table.rows for table in made} == {0}
    assert pg.psql("select count(*) from ratecard.operating_points") == "0"


def test_names_with_quotes_zero_bytes_and_emoji_arrive(pg: Server, home: Home) -> None:
    rows = fleet(FIRST)
    rows["cost_ledger"] = [{**rows["cost_ledger"][0], "demand": 'o\'neil "x" 🦙\0\\.\n', "usd": float("nan")}]
    publish(home.root, rows)
    send(home, pg.dsn(), schema='we"ird')
    assert pg.psql('select demand || usd from "we""ird".cost_ledger') == 'o\'neil "x" 🦙\\.\nNaN'
    pg.psql('drop schema "we""ird" cascade')


def test_types_of_duckdb_have_their_types_in_postgres(
    pg: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {
        "VARCHAR": ("'a'", "text", "a"), "BOOLEAN": ("true", "boolean", "true"), "TINYINT": ("7", "smallint", "7"),
        "INTEGER": ("7", "integer", "7"), "BIGINT": ("7", "bigint", "7"), "UBIGINT": ("18446744073709551615", "numeric(38,0)", "18446744073709551615"),
        "HUGEINT": ("12345678901234567890123", "numeric(38,0)", "12345678901234567890123"),
        "DECIMAL(10,2)": ("3.14", "numeric(10,2)", "3.14"), "FLOAT": ("0.5", "real", "0.5"), "DOUBLE": ("0.1", "double precision", "0.1"),
        "DATE": ("'2026-11-20'", "date", "2026-11-20"), "TIMESTAMP": ("'2026-11-20 02:03:04.5'", "timestamp without time zone", "2026-11-20 02:03:04.5"),
        "INTEGER[]": ("[1, null]", "integer[]", "{1,NULL}"), "VARCHAR[]": ("['x', null]", "text[]", "{x,NULL}"), "DOUBLE[]": ("[0.5]", "double precision[]", "{0.5}"),
        "STRUCT(rps DOUBLE, part DOUBLE)[]": ("[{'rps': 1.5, 'part': 1}]", "json", '[{"rps":1.5,"part":1.0}]'),
    }  # fmt: skip
    columns = tuple(Column(f"c{number}", kind, "A column", nullable=True) for number, kind in enumerate(values))
    every = Table("curated", "every_type", ("c0",), "Every type.", columns)
    monkeypatch.setattr("warehouse.feeds.source.CURATED_TABLES", (every,))
    home = Home(tmp_path)
    with duckdb.connect(str(home.warehouse)) as con:
        declared = ", ".join(f"{column.name} {column.type}" for column in columns)
        con.execute(f"create schema curated; create table curated.every_type ({declared})")
        con.execute(
            f"insert into curated.every_type values ({', '.join(given for given, _, _ in values.values())}), ({', '.join(['null'] * len(values))})"
        )
    postgres.publish(home, pg.dsn())
    found = pg.psql(
        "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'ratecard.every_type'::regclass and attnum > 0 order by attnum"
    )
    assert found.splitlines() == [kind for _, kind, _ in values.values()]
    texts = ", ".join(f"{column.name}::text" for column in columns)
    with postgres.transaction(pg.dsn()) as session:
        assert session.ask(f"select {texts} from ratecard.every_type order by 1") == [
            tuple(text for _, _, text in values.values()), (None,) * len(values),
        ]  # fmt: skip


def test_a_type_that_nobody_thought_of_becomes_json() -> None:
    assert postgres_type("MAP(VARCHAR, INTEGER)") == "json"
    assert select_item(Column("m", "MAP(VARCHAR, INTEGER)", "")) == 'cast(to_json("m") as varchar) as "m"'


@pytest.mark.parametrize(
    "dsn",
    ["postgresql://u:s3cret@nowhere.invalid/x", "postgresql://u:s3cret@pass@nowhere.invalid/x", "host=/nowhere password=s3cret",
     "host=/nowhere password='s3cret pass'", "postgresql:///x?host=/nowhere&password=s3cret", "s3cret", "postgresql://u:s3%63ret@nowhere.invalid:port/x"],
)  # fmt: skip
def test_a_wrong_dsn_is_told_without_its_password(home: Home, dsn: str) -> None:
    with pytest.raises(FeedError, match="Postgres cannot be reached: ") as told:
        send(home, dsn)
    assert "s3cret" not in str(told.value) or dsn == "s3cret"
    assert "pass@" not in str(told.value)


def test_a_password_is_taken_out_of_what_a_server_says() -> None:
    dsn = "postgresql://etl:p%40ss@db/x"
    assert redacted("no p%40ss, no p@ss", dsn) == "no ***, no ***"


def test_a_schema_name_that_postgres_would_cut_is_refused(home: Home) -> None:
    with pytest.raises(UsageError, match="names of 1 to 63 bytes"):
        send(home, "postgresql:///x", schema="s" * 64)
