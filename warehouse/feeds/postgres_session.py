"""One transaction with a Postgres server, whose errors are told without the password."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from schemas.errors import FeedError, UsageError
from warehouse.feeds.source import literal

_UNTOUCHED = "Nothing of this publish is there: what was published before is as it was"


class Session:
    """Statements inside one transaction: nothing is seen by others, and nothing stays, until `commit`."""

    def __init__(self, connection: Any, dsn: str) -> None:
        self._connection = connection
        self._dsn = dsn

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of a query; `$1` is the first value. Raises FeedError in the server's words."""
        with self._told(), self._connection.cursor() as cursor:
            cursor.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

    def run(self, *statements: str) -> None:
        """Statements that give no rows."""
        for statement in statements:
            self.ask(statement)

    def load(self, rows: pa.RecordBatchReader, table: str, schema: str) -> int:
        """COPY rows into a table; returns how many."""
        with self._told(), self._connection.cursor() as cursor:
            return int(cursor.adbc_ingest(table, rows, mode="append", db_schema_name=schema))

    def lock(self, tables: list[str], tries_for_s: float) -> bool:
        """Try to take `tables` for this transaction alone; False, still inside it, where a reader has one of them.

        A waiting lock makes new readers wait behind it: one try is short, whatever else is waited for between tries.
        """
        self.run(f"set local lock_timeout = {int(tries_for_s * 1000)}")
        # a failed statement ends a transaction, except inside a block that expects it
        self.run(
            f"do {literal(_LOCK.format(tables=', '.join(tables)))}",
            "set local lock_timeout = 0",
        )
        return self.ask("select current_setting('ratecard.locked')") == [("yes",)]

    def commit(self) -> None:
        """Make everything visible at once."""
        try:
            self._connection.commit()
        except Exception as error:
            raise FeedError(
                f"Postgres was lost while committing ({redacted(str(error), self._dsn)}): either all tables are the new "
                "ones or all are as they were. Publish again when it is back"
            ) from None

    def close(self) -> None:
        """Leave; what was not committed is gone."""
        for step in (self._connection.rollback, self._connection.close):
            with suppress(Exception):
                step()

    @contextmanager
    def _told(self) -> Iterator[None]:
        driver = _driver()
        try:
            yield
        except driver.Error as error:
            said = redacted(str(error), self._dsn)
            why = _WHY.get(getattr(error, "sqlstate", None) or "", "Postgres did not take it")
            raise FeedError(f"{why}: {said}\n{_UNTOUCHED}") from None


_LOCK = """begin
    lock table {tables} in access exclusive mode;
    perform set_config('ratecard.locked', 'yes', true);
exception when lock_not_available or deadlock_detected then
    perform set_config('ratecard.locked', 'no', true);
end"""
_WHY = {
    "42501": "the role has too few rights in Postgres",
    "53100": "the server's disk is full",
    "57P01": "Postgres ended the connection half-way",
    "57P02": "Postgres ended the connection half-way",
    "57P03": "Postgres is starting or stopping",
    "55P03": "another session holds what is needed",
    "42P16": "a view does not fit the new columns",
    "42703": "a view needs a column that is no longer there",
    "2BP01": "something in the database depends on a table that is to be replaced",
}


@contextmanager
def transaction(dsn: str) -> Iterator[Session]:
    """A session; whatever was not committed in it is undone at its end.

    Raises:
        UsageError: the driver is not installed.
        FeedError: no connection, or a statement failed.

    """
    driver = _driver()
    try:
        connection = driver.connect(_patient(dsn))
    except driver.Error as error:
        raise FeedError(
            f"Postgres cannot be reached: {redacted(str(error), dsn)}\nThe DSN is postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "
            "or libpq's key=value form. Nothing was published"
        ) from None
    session = Session(connection, dsn)
    try:
        yield session
    finally:
        session.close()


def _driver() -> Any:
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError:
        raise UsageError("publishing to Postgres needs its driver: pip install 'ratecard[postgres]'") from None
    return dbapi


def _patient(dsn: str) -> str:
    """The DSN with a limit on the wait for a server that does not answer, unless it has one."""
    if "connect_timeout" in dsn:
        return dsn
    if "://" in dsn:
        return f"{dsn}{'&' if '?' in dsn else '?'}connect_timeout=15"
    return f"{dsn} connect_timeout=15"


def redacted(text: str, dsn: str) -> str:
    """`text` without the password of `dsn`, whole or in the pieces that a server or libpq may have taken it for."""
    secrets = set()
    # a password with an unescaped @ in it is read as a host: take all up to the last @
    if found := re.search(r"://[^:/@]*:(.*)@", dsn):
        secrets |= {found[1], unquote(found[1]), *re.split(r"[@/?:]", found[1])}
    secrets |= {one or other for one, other in re.findall(r"password\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s&]+))", dsn)}
    for secret in sorted({s for s in secrets | {unquote(s) for s in secrets} if s}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return " ".join(text.split())
