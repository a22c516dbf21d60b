"""Postgres: the curated tables in a schema, all replaced in one transaction (docs/adr/0032-postgres-swap.md).

New tables are loaded beside the old ones, which everybody goes on reading; then each takes the name of the old one,
with its owner, grants, indexes and views. Until the commit nothing is seen, and after an error nothing is there.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex

import duckdb

from schemas.columns import Table
from schemas.errors import FeedError, UsageError
from warehouse.feeds import postgres_state as state
from warehouse.feeds.postgres_session import Session, transaction
from warehouse.feeds.postgres_state import MARK, Standing, identifier
from warehouse.feeds.postgres_types import postgres_type, select_item
from warehouse.feeds.source import chosen, literal, published, quoted
from warehouse.home import Home

SCHEMA = "ratecard"
LOCK_WAIT_S = 60.0
_LOCK_TRY_S, _LOCK_PAUSE_S = 1.0, 0.5
_BATCH_ROWS = 100_000


@dataclass(frozen=True)
class PostgresTable:
    """What was published of a table, and how many views now read it."""

    table: str
    rows: int
    views: int


def publish(
    home: Home, dsn: str, *, schema: str = SCHEMA, names: Sequence[str] = (), lock_wait_s: float = LOCK_WAIT_S
) -> list[PostgresTable]:
    """Replace the curated tables, or those named, in a schema of a Postgres database.

    Readers of the old tables are waited for up to `lock_wait_s` seconds.

    Raises:
        UsageError: no such table, a schema's name that Postgres would cut, no driver.
        WarehouseError: no warehouse.
        FeedError: the server cannot be reached or left half-way, a right is missing, something else has the name or
            depends on a table, a reader did not end. What was published before is as it was.

    """
    if not schema or len(schema.encode()) > 63 or "\0" in schema:
        raise UsageError(f"--schema {schema!r}: Postgres takes names of 1 to 63 bytes")
    tables = chosen(names)
    with published(home, tables) as con, transaction(dsn) as session:
        _begin(session, schema)
        old = _replaceable(session, schema, tables)
        suffix = token_hex(4)
        rows = {table.name: _load(session, con, schema, table, suffix, old.get(table.name)) for table in tables}
        _take(session, schema, list(old), lock_wait_s)
        # somebody may have made a view meanwhile; from here on nobody can
        old = _replaceable(session, schema, tables)
        views = {table.name: _swap(session, schema, table, suffix, old.get(table.name)) for table in tables}
        session.commit()
    return [PostgresTable(table.name, rows[table.name], views[table.name]) for table in tables]


def _begin(session: Session, schema: str) -> None:
    """Settle the session, wait for no other publish, and see to it that the schema is there."""
    session.run(
        # names in definitions of views are then always whole ones
        "set local search_path = pg_catalog",
        "set local statement_timeout = 0",
        "set local idle_in_transaction_session_timeout = 0",
        # the index of a million rows is sorted in memory
        "set local maintenance_work_mem = '256MB'",
    )
    key = literal(f"ratecard {schema}")
    if session.ask(f"select pg_try_advisory_xact_lock(hashtextextended({key}, 0))") != [(True,)]:
        raise FeedError(f"another session is publishing to the schema {schema}: try again when it is done")
    known = session.ask(
        "select o.rolname::text, has_schema_privilege(n.oid, 'create') and has_schema_privilege(n.oid, 'usage'), current_user::text "
        "from pg_namespace n join pg_roles o on o.oid = n.nspowner where n.nspname = $1",
        schema,
    )
    if not known:
        session.run(f"create schema {quoted(schema)}")
    for owner, may, role in known:
        if not may:
            raise FeedError(
                f"the schema {schema} belongs to {owner}, and {role} may not create tables in it: publish to another --schema, "
                f"or let {owner} `grant usage, create on schema {quoted(schema)} to {quoted(role)}`. Nothing was changed"
            )


def _replaceable(session: Session, schema: str, tables: tuple[Table, ...]) -> dict[str, Standing]:
    found = state.standing(session, schema, tables)
    problems = [problem for table in found for problem in table.problems]
    if problems:
        raise FeedError("\n".join([*problems, "Nothing was changed"]))
    return {table.name: table for table in found}


def _load(
    session: Session, con: duckdb.DuckDBPyConnection, schema: str, table: Table, suffix: str, old: Standing | None
) -> int:
    """Make and fill the successor of a table; returns its rows."""
    name = _new(table, suffix)
    whole = identifier(schema, name)
    columns = ", ".join(f"{quoted(c.name)} {postgres_type(c.type)}" for c in table.columns)
    session.run(f"create table {whole} ({columns})")
    items = ", ".join(select_item(column) for column in table.columns)
    rows = session.load(con.sql(f"select {items} from curated.{table.name}").to_arrow_reader(_BATCH_ROWS), name, schema)
    session.run(
        f"create unique index {quoted(f'{name}_grain')} on {whole} ({', '.join(quoted(c) for c in table.grain)})",
        f"comment on table {whole} is {literal(f'{table.description} {MARK}')}",
        *(f"comment on column {whole}.{quoted(c.name)} is {literal(c.description)}" for c in table.columns),
        *([f"alter table {whole} owner to {quoted(old.owner)}"] if old else []),
        f"analyze {whole}",
    )
    return rows


def _take(session: Session, schema: str, names: list[str], wait_s: float) -> None:
    """Lock what is to be replaced; readers are let finish, and never made to wait longer than a short try."""
    tables = [identifier(schema, name) for name in sorted(names)]
    deadline = time.monotonic() + wait_s
    while tables and not session.lock(tables, _LOCK_TRY_S):
        if time.monotonic() >= deadline:
            who = "; ".join(state.readers(session, tables)) or "a session that has ended since"
            raise FeedError(
                f"tables in {schema} were still being read after {wait_s:g} s by {who}. Nothing was changed: publish again "
                "when it is done, wait longer with --lock-wait, or end it with select pg_terminate_backend(PROCESS)"
            )
        time.sleep(_LOCK_PAUSE_S)


def _swap(session: Session, schema: str, table: Table, suffix: str, old: Standing | None) -> int:
    """Give the new table the old one's name, grants, indexes and views; returns how many views."""
    new, final, grain = identifier(schema, _new(table, suffix)), identifier(schema, table.name), f"{table.name}_grain"
    views: list[str] = []
    indexes: list[str] = []
    if old is not None:
        aside = f"_ratecard_old_{suffix}_{table.name}"[:63]
        views = state.rebinding(session, old.oid)
        indexes = state.other_indexes(session, old.oid, grain)
        session.run(*state.grants(session, old.oid, new), f"alter table {final} rename to {quoted(aside)}")
    session.run(f"alter table {new} rename to {quoted(table.name)}", *views)
    if old is not None:
        session.run(f"drop table {identifier(schema, aside)}")
    session.run(
        f"alter index {identifier(schema, f'{_new(table, suffix)}_grain')} rename to {quoted(grain)}",
        *indexes,
    )
    return len(views)


def _new(table: Table, suffix: str) -> str:
    return f"_ratecard_new_{suffix}_{table.name}"[:55]
