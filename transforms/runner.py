"""Builds the warehouse's tables: discover the files, order them, create, comment, check.

A file `staging/x.sql` or `curated/x.sql` makes the table `staging.x` or `curated.x`; its header has a line
`-- grain: a, b`. Where SQL is the wrong tool, `x.py` makes it: a docstring with the line `grain: a, b`, a constant
`READS` of the tables that it reads, and `build(con)`, which creates the table. A file `x.test.sql` beside either holds
queries, each under a line `-- assert: what must hold`, that return the rows which break it. `macros/x.sql` makes the
macro `x` in schema `main`.
"""

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import duckdb

from schemas.columns import CURATED_TABLES, SOURCE_TABLES, Table
from schemas.errors import BuildError
from transforms.order import build_order, tables_read

SQL_FOLDER = Path(__file__).parent
SOURCES = tuple(f"raw.{table.name}" for table in SOURCE_TABLES)
LAYERS = ("staging", "curated")
_GRAIN = re.compile(r"^(?:-- )?grain: (.+)$", re.MULTILINE)
_ASSERT = re.compile(r"^-- assert: (.+)$", re.MULTILINE)
_SAMPLE_ROWS = 5


Make = Callable[[duckdb.DuckDBPyConnection], None]


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file: `assertions` are pairs of what must hold and the query of the rows that break it.

    A SQL file has its `sql`, and what it reads is found there; a Python file `reads` what it says, and has `make`.
    """

    name: str
    grain: tuple[str, ...]
    assertions: tuple[tuple[str, str], ...]
    sql: str = ""
    reads: frozenset[str] = frozenset()
    make: Make | None = None


@dataclass(slots=True)
class BuildReport:
    """What a build made: rows and seconds by table in build order, and the number of assertions that held."""

    rows: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    assertions: int = 0


def build(
    con: duckdb.DuckDBPyConnection,
    *,
    folder: Path = SQL_FOLDER,
    sources: Iterable[str] = SOURCES,
    contract: Sequence[Table] = CURATED_TABLES,
    wanted: Collection[str] | None = None,
    given: Collection[str] = (),
) -> BuildReport:
    """Build every table of `folder` through `con` and check it; the default builds Ratecard's warehouse.

    With `wanted` only those tables are built, and those that they read, short of the tables `given`, which exist; without
    comments, since nobody else will look at them.

    `con`'s default database is the new warehouse file; it gets the schema `curated` and the macros. `sources` must be
    readable as `raw.<table>`: views in a database attached as `raw` keep them out of the file. Staging tables go into
    a database attached as `staging` (a file, to keep memory free), or else into one in memory, attached for the time
    of the build. Raises BuildError with table, assertion and sample rows.
    """
    files = discover(folder)
    reads = {name: _reads(con, file) for name, file in files.items()}
    order = build_order(reads, set(sources))
    if wanted is not None:
        needed = _needed(reads, wanted, given)
        order = [name for name in order if name in needed]
        contract = [table for table in contract if f"{table.schema}.{table.name}" in {*order, *given}]
    attached = {row[0] for row in con.execute("select database_name from duckdb_databases()").fetchall()}
    own_staging = "staging" not in attached
    if own_staging:
        con.execute("attach ':memory:' as staging")
    # a few ranks looked up in millions of samples: DuckDB would take a nested loop for so small a left side
    con.execute("set asof_loop_join_threshold = 0")
    try:
        con.execute("create schema if not exists curated")
        for path in sorted((folder / "macros").glob("*.sql")):
            con.execute(path.read_text())
        report = BuildReport()
        for name in order:
            _make(con, files[name], report)
        _check_contract(con, contract)
        if wanted is None:
            con.execute(";".join(["begin", *(comment for table in contract for comment in _comments(table)), "commit"]))
        return report
    finally:
        if own_staging:
            con.execute("detach staging")


def discover(folder: Path = SQL_FOLDER) -> dict[str, TableFile]:
    """Read the files of a folder, by table name. Raises BuildError for a file that is not as it should be."""
    files: dict[str, TableFile] = {}
    for layer in LAYERS:
        for path in sorted((folder / layer).glob("*.*")):
            name = f"{layer}.{path.stem}"
            if path.suffix not in (".sql", ".py") or path.name.endswith(".test.sql") or path.name == "__init__.py":
                continue
            if name in files:
                raise BuildError(f"{path}: {name} is made by a file .py and by a file .sql: keep one of them")
            files[name] = _read_sql(path, name) if path.suffix == ".sql" else _read_python(path, name)
    return files


def _needed(reads: Mapping[str, Collection[str]], wanted: Collection[str], given: Collection[str]) -> set[str]:
    """`wanted` and the tables that they read, directly or not, without going on behind those `given`."""
    needed: set[str] = set()
    ahead = list(wanted)
    while ahead:
        name = ahead.pop()
        if name in reads and name not in needed and name not in given:
            needed.add(name)
            ahead += reads[name]
    return needed


def _reads(con: duckdb.DuckDBPyConnection, file: TableFile) -> set[str]:
    """Tables that a file and its assertions need to be there."""
    queries = [*([] if file.make else [file.sql]), *(query for _, query in file.assertions)]
    return {*file.reads, *(table for query in queries for table in tables_read(con, file.name, query))} - {file.name}


def _read_sql(path: Path, name: str) -> TableFile:
    sql = path.read_text()
    return TableFile(name, _grain(path, sql), _assertions(path), sql=sql)


def _read_python(path: Path, name: str) -> TableFile:
    spec = spec_from_file_location(f"transforms.{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    make, reads = getattr(module, "build", None), getattr(module, "READS", None)
    if make is None or reads is None:
        raise BuildError(f"{path}: needs READS, the tables that it reads, and build(con), which makes {name}")
    return TableFile(name, _grain(path, module.__doc__ or ""), _assertions(path), reads=frozenset(reads), make=make)


def _grain(path: Path, header: str) -> tuple[str, ...]:
    grain = _GRAIN.search(header)
    if not grain:
        comment = "-- " if path.suffix == ".sql" else ""
        raise BuildError(f"{path}: the header needs a line '{comment}grain: column, column'")
    return tuple(column.strip() for column in grain[1].split(","))


def _assertions(path: Path) -> tuple[tuple[str, str], ...]:
    tests = path.with_suffix(".test.sql")
    parts = _ASSERT.split(tests.read_text())[1:] if tests.exists() else []
    return tuple(zip(parts[::2], (query.strip().rstrip(";") for query in parts[1::2]), strict=True))


def _make(con: duckdb.DuckDBPyConnection, file: TableFile, report: BuildReport) -> None:
    started = time.perf_counter()
    try:
        if file.make:
            file.make(con)
        else:
            con.execute(f"create or replace table {file.name} as\n{file.sql}")
    except duckdb.Error as error:
        raise BuildError(f"{file.name}: {error}") from error
    keys = ", ".join(file.grain)
    duplicates = f"select {keys}, count(*) as row_count from {file.name} group by all having count(*) > 1"
    for assertion, query in ((f"one row for each {keys}", duplicates), *file.assertions):
        _assert(con, file.name, assertion, query)
    count = con.execute(f"select count(*) from {file.name}").fetchone()
    report.rows[file.name] = count[0] if count else 0
    report.seconds[file.name] = time.perf_counter() - started
    report.assertions += 1 + len(file.assertions)


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


def _check_contract(con: duckdb.DuckDBPyConnection, contract: Sequence[Table]) -> None:
    """Hold what was built against `schemas.columns`: tables, column names, order and types."""
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
        return f"is only in {'schemas/columns.py' if built is None else 'transforms/curated/'}: add it to the other"
    extra = [column for column in built if column not in expected]
    missing = [column for column in expected if column not in built]
    what = f"not in schemas/columns.py: {extra}, missing: {missing}" if extra or missing else "order of the columns"
    return f"the columns are not those of schemas/columns.py ({what})"


def _comments(table: Table) -> Iterator[str]:
    yield f"comment on table {table.schema}.{table.name} is {_quoted(table.description)}"
    for column in table.columns:
        yield f'comment on column {table.schema}.{table.name}."{column.name}" is {_quoted(column.description)}'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
