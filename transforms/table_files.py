"""The files that make tables: found, read, and held to their form.

A file `staging/x.sql` or `curated/x.sql` makes the table `staging.x` or `curated.x`; its header has a line
`-- grain: a, b`. Where SQL is the wrong tool, `x.py` makes it: a docstring with the line `grain: a, b`, a constant
`READS` of the tables that it reads, and `build(con)`, which creates the table. A file `x.test.sql` beside either holds
queries, each under a line `-- assert: what must hold`, that return the rows which break it.

A table is made of each night alone. One that looks at other nights says so, `-- spans: nights` (`spans: nights` in a
docstring): see `transforms.runner`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import duckdb

from schemas.errors import BuildError
from transforms.order import tables_read

SQL_FOLDER = Path(__file__).parent
LAYERS = ("staging", "curated")
_GRAIN = re.compile(r"^(?:-- )?grain: (.+)$", re.MULTILINE)
_SPANS = re.compile(r"^(?:-- )?spans: (.+)$", re.MULTILINE)
_ASSERT = re.compile(r"^-- assert: (.+)$", re.MULTILINE)

Make = Callable[[duckdb.DuckDBPyConnection], None]


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file: `assertions` are pairs of what must hold and the query of the rows that break it.

    A SQL file has its `sql`, and what it reads is found there; a Python file `reads` what it says, and has `make`.
    """

    name: str
    grain: tuple[str, ...]
    assertions: tuple[tuple[str, str], ...]
    spans_nights: bool = False
    sql: str = ""
    reads: frozenset[str] = frozenset()
    make: Make | None = None

    @property
    def queries(self) -> list[str]:
        """The SELECT of a SQL file, and those of the assertions."""
        return [*([] if self.make else [self.sql]), *(query for _, query in self.assertions)]


def needs(con: duckdb.DuckDBPyConnection, files: Iterable[TableFile]) -> dict[str, set[str]]:
    """By name, the tables that the files and their assertions need to be there."""
    stated = {file.name: file for file in files}
    read = tables_read(con, {name: file.queries for name, file in stated.items()})
    return {name: (read[name] | file.reads) - {name} for name, file in stated.items()}


def discover(folder: Path = SQL_FOLDER) -> Mapping[str, TableFile]:
    """Read the files of a folder, by table name. Raises BuildError for a file that is not as it should be."""
    # one build reads them several times, a search builds again and again
    return _ours() if folder == SQL_FOLDER else _found(folder)


@cache
def _ours() -> Mapping[str, TableFile]:
    return _found(SQL_FOLDER)


def _found(folder: Path) -> Mapping[str, TableFile]:
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


def _read_sql(path: Path, name: str) -> TableFile:
    sql = path.read_text()
    return TableFile(name, _grain(path, sql), _assertions(path), _spans_nights(path, sql), sql=sql)


def _read_python(path: Path, name: str) -> TableFile:
    spec = spec_from_file_location(f"transforms.{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    make, reads = getattr(module, "build", None), getattr(module, "READS", None)
    if make is None or reads is None:
        raise BuildError(f"{path}: needs READS, the tables that it reads, and build(con), which makes {name}")
    header = module.__doc__ or ""
    return TableFile(
        name, _grain(path, header), _assertions(path), _spans_nights(path, header), reads=frozenset(reads), make=make
    )


def _grain(path: Path, header: str) -> tuple[str, ...]:
    grain = _GRAIN.search(header)
    if not grain:
        comment = "-- " if path.suffix == ".sql" else ""
        raise BuildError(f"{path}: the header needs a line '{comment}grain: column, column'")
    return tuple(column.strip() for column in grain[1].split(","))


def _spans_nights(path: Path, header: str) -> bool:
    spans = _SPANS.search(header)
    if spans and spans[1].strip() != "nights":
        raise BuildError(f"{path}: 'spans: {spans[1].strip()}' is unknown: a table spans nights, or says nothing")
    return spans is not None


def _assertions(path: Path) -> tuple[tuple[str, str], ...]:
    tests = path.with_suffix(".test.sql")
    parts = _ASSERT.split(tests.read_text())[1:] if tests.exists() else []
    return tuple(zip(parts[::2], (query.strip().rstrip(";") for query in parts[1::2]), strict=True))
