"""Builds the warehouse's tables: order the files (`transforms.table_files`), create, comment, check.

Two phases. First the tables that follow from each night alone: of any nights that are there, so that a build may be
given only those that changed. Then those that look at other nights (`-- spans: nights`) and what reads them; there
`curated.*` is the whole history, and `raw.build_scope` has the night from which on they make their rows. Macros
(`macros/x.sql` makes the macro `x`) are in schema `main`.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from schemas.columns import CURATED_TABLES, SOURCE_TABLES, Table
from schemas.errors import BuildError
from transforms.macros import macros
from transforms.order import build_order
from transforms.table_files import SQL_FOLDER, TableFile, discover, needs

SOURCES = tuple(f"raw.{table.name}" for table in SOURCE_TABLES)
_SAMPLE_ROWS = 5


@dataclass(slots=True)
class BuildReport:
    """What a build made: rows and seconds by table in build order, and the number of assertions that held."""

    rows: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    assertions: int = 0

    def add(self, later: "BuildReport") -> None:
        """Add what a later phase made."""
        self.rows |= later.rows
        self.seconds |= later.seconds
        self.assertions += later.assertions


@dataclass(frozen=True, slots=True)
class _Transforms:
    """The files in build order: `nights`, the tables made of each night alone, come before those of the `history`."""

    nights: tuple[TableFile, ...]
    history: tuple[TableFile, ...]


def build(
    con: duckdb.DuckDBPyConnection,
    *,
    folder: Path = SQL_FOLDER,
    sources: Iterable[str] = SOURCES,
    contract: Sequence[Table] = CURATED_TABLES,
    wanted: Collection[str] | None = None,
    given: Collection[str] = (),
    after_nights: Callable[[], None] = lambda: None,
) -> BuildReport:
    """Build every table of `folder` through `con` and check it; the default builds Ratecard's warehouse.

    With `wanted` only those tables are built, and those that they read, short of the tables `given`, which exist; without
    comments, since nobody else will look at them.

    `after_nights` is called between the phases, to add the rows of nights that are not in `raw.*`.

    `con`'s default database is the new warehouse file; it gets the schema `curated` and the macros. `sources` must be
    readable as `raw.<table>`: views in a database attached as `raw` keep them out of the file. Staging tables go into
    a database attached as `staging` (a file, to keep memory free), or else into one in memory, attached for the time
    of the build. Raises BuildError with table, assertion and sample rows.
    """
    transforms = _read(con, folder, sources, wanted, given)
    if wanted is not None:
        built = {file.name for file in (*transforms.nights, *transforms.history)}
        contract = [table for table in contract if f"{table.schema}.{table.name}" in {*built, *given}]
    report = BuildReport()
    with _prepared(con, folder):
        for file in transforms.nights:
            _make(con, file, report)
        after_nights()
        for file in transforms.history:
            _make(con, file, report)
        check_contract(con, contract)
        if wanted is None:
            con.execute(";".join(["begin", *(line for table in contract for line in comments(table)), "commit"]))
    return report


def build_nights(
    con: duckdb.DuckDBPyConnection, *, folder: Path = SQL_FOLDER, sources: Iterable[str] = SOURCES
) -> BuildReport:
    """The first phase alone: what follows from the nights in `raw.*`, into `con`'s default database.

    Raises BuildError as `build` does.
    """
    report = BuildReport()
    with _prepared(con, folder):
        for file in _read(con, folder, sources).nights:
            _make(con, file, report)
    return report


def curated_of_nights(con: duckdb.DuckDBPyConnection, *, folder: Path = SQL_FOLDER) -> list[str]:
    """Names of the curated tables that the first phase makes."""
    made = (file.name.split(".") for file in _read(con, folder, SOURCES).nights)
    return [table for schema, table in made if schema == "curated"]


def build_history(
    con: duckdb.DuckDBPyConnection,
    *,
    folder: Path = SQL_FOLDER,
    sources: Iterable[str] = SOURCES,
    contract: Sequence[Table] = CURATED_TABLES,
) -> BuildReport:
    """The second phase alone, in a default database whose `curated.*` has all nights and earlier rows of these tables.

    Of a table's earlier rows those before `raw.build_scope.since` stay. Its assertions hold of the rows made now, whose
    number is reported. Raises BuildError as `build` does, also where the columns are not those of `contract`.
    """
    report = BuildReport()
    with _prepared(con, folder):
        files, there = _read(con, folder, sources).history, _tables(con)
        for file in files:
            if file.name in there:
                _remake(con, file, report)
            else:  # of staging, or a table that this version adds
                _make(con, file, report)
        check_contract(con, contract)
        _comment_anew(con, contract)
    return report


def _read(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    sources: Iterable[str],
    wanted: Collection[str] | None = None,
    given: Collection[str] = (),
) -> _Transforms:
    files = discover(folder)
    reads = _reads(con, files, files if wanted is None else wanted, given)
    spanning: set[str] = set()
    order = build_order(reads, {*sources, *given})
    for name in order:
        if files[name].spans_nights or reads[name] & spanning:
            spanning.add(name)
    return _Transforms(
        nights=tuple(files[name] for name in order if name not in spanning),
        history=tuple(files[name] for name in order if name in spanning),
    )


def _reads(
    con: duckdb.DuckDBPyConnection, files: Mapping[str, TableFile], wanted: Iterable[str], given: Collection[str]
) -> dict[str, set[str]]:
    """What `wanted` tables read, and the tables that they read, directly or not, without going on behind those `given`."""
    reads: dict[str, set[str]] = {}
    ahead = set(wanted)
    while ahead := (ahead & files.keys()) - reads.keys() - set(given):
        found = needs(con, [files[name] for name in sorted(ahead)])
        reads |= found
        ahead = {table for tables in found.values() for table in tables}
    return reads


@contextmanager
def _prepared(con: duckdb.DuckDBPyConnection, folder: Path) -> Iterator[None]:
    """The default database with schema and macros, and a place for staging tables."""
    attached = {row[0] for row in con.execute("select database_name from duckdb_databases()").fetchall()}
    own_staging = "staging" not in attached
    if own_staging:
        con.execute("attach ':memory:' as staging")
    # a few ranks looked up in millions of samples: DuckDB would take a nested loop for so small a left side
    con.execute("set asof_loop_join_threshold = 0")
    try:
        con.execute("create schema if not exists curated")
        for macro in macros(folder):
            con.execute(macro.sql)
            con.execute(macro.comment_sql())
        yield
    finally:
        if own_staging:
            con.execute("detach staging")


def _tables(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Tables of the default database, as `schema.table`."""
    found = con.execute(
        "select concat(table_schema, '.', table_name) from information_schema.tables where table_catalog = current_database()"
    )
    return {name for (name,) in found.fetchall()}


def _remake(con: duckdb.DuckDBPyConnection, file: TableFile, report: BuildReport) -> None:
    """Make the rows of a table of the history from `since` on, in place of those that it has."""
    schema, table = file.name.split(".")
    # the table keeps its name while it is made, and its comments afterwards
    con.execute(f"alter table {file.name} rename to {table}__kept")
    _make(con, file, report)
    con.execute(
        f"""
        alter table {file.name} rename to {table}__made;
        alter table {schema}.{table}__kept rename to {table};
        delete from {file.name} where night >= (select since from raw.build_scope);
        insert into {file.name} by name from {schema}.{table}__made;
        drop table {schema}.{table}__made
        """
    )


def _make(con: duckdb.DuckDBPyConnection, file: TableFile, report: BuildReport) -> None:
    started = time.perf_counter()
    try:
        if file.make:
            file.make(con)
            made = con.execute(f"select count(*) from {file.name}").fetchone()
        else:
            made = con.execute(f"create or replace table {file.name} as\n{file.sql}").fetchone()
    except duckdb.Error as error:
        raise BuildError(f"{file.name}: {error}") from error
    report.rows[file.name] = made[0] if made else 0
    # fewer than two rows are unique
    grain = (_uniqueness(file),) if report.rows[file.name] > 1 else ()
    for assertion, query in (*grain, *file.assertions):
        _assert(con, file.name, assertion, query)
    report.seconds[file.name] = time.perf_counter() - started
    report.assertions += 1 + len(file.assertions)


def _uniqueness(file: TableFile) -> tuple[str, str]:
    """The assertion of the grain."""
    keys = ", ".join(file.grain)
    duplicates = f"select {keys}, count(*) as row_count from {file.name} group by all having count(*) > 1"
    return f"one row for each {keys}", duplicates


def _assert(con: duckdb.DuckDBPyConnection, table: str, assertion: str, query: str) -> None:
    try:
        result = con.execute(query)
        names = [column[0] for column in result.description or ()]
        rows = result.fetchmany(_SAMPLE_ROWS)
    except duckdb.Error as error:
        raise BuildError(f"{table}: the assertion '{assertion}' cannot run: {error}") from error
    if rows:
        sample = "\n".join(f"  {dict(zip(names, row, strict=True))}" for row in rows)
        raise BuildError(f"{table}: the assertion '{assertion}' does not hold; the first failing rows:\n{sample}")


def check_contract(con: duckdb.DuckDBPyConnection, contract: Sequence[Table]) -> None:
    """Hold what was built against `schemas.columns`: tables, column names, order and types. Raises BuildError."""
    built: dict[str, list[tuple[str, str]]] = {}
    for table_name, column, type_ in con.execute(
        "select table_name, column_name, data_type from duckdb_columns() "
        "where database_name = current_database() and schema_name = 'curated' order by table_name, column_index"
    ).fetchall():
        built.setdefault(table_name, []).append((column, type_))
    expected = {table.name: [(column.name, column.type) for column in table.columns] for table in contract}
    for name in sorted({*built, *expected}):
        if built.get(name) != expected.get(name):
            raise BuildError(f"curated.{name}: {_difference(built.get(name), expected.get(name))}")


def _difference(built: list[tuple[str, str]] | None, expected: list[tuple[str, str]] | None) -> str:
    if built is None or expected is None:
        return f"is only in {'schemas/columns' if built is None else 'transforms/curated/'}: add it to the other"
    extra = [column for column in built if column not in expected]
    missing = [column for column in expected if column not in built]
    what = f"not in schemas/columns: {extra}, missing: {missing}" if extra or missing else "order of the columns"
    return f"the columns are not those of schemas/columns ({what})"


def _comment_anew(con: duckdb.DuckDBPyConnection, contract: Sequence[Table]) -> None:
    """Comment on the tables of an older file that said something else, or nothing."""
    of_tables = "select table_name, '', comment from duckdb_tables()"
    of_columns = "select table_name, column_name, comment from duckdb_columns()"
    here = "where database_name = current_database() and schema_name = 'curated'"
    found = {
        (table, column): text
        for query in (of_tables, of_columns)
        for table, column, text in con.execute(f"{query} {here}").fetchall()
    }
    for table in contract:
        meant = {"": table.description} | {column.name: column.description for column in table.columns}
        if any(found.get((table.name, name)) != text for name, text in meant.items()):
            con.execute(";".join(["begin", *comments(table), "commit"]))


def comments(table: Table) -> Iterator[str]:
    """Statements that comment on a table and its columns."""
    yield f"comment on table {table.schema}.{table.name} is {_quoted(table.description)}"
    for column in table.columns:
        yield f'comment on column {table.schema}.{table.name}."{column.name}" is {_quoted(column.description)}'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
