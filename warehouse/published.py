"""What a warehouse file says of itself: from what it was built, and how. Schema `meta` of the file.

An incremental build starts from a copy of the published file. This module says whether that can be: the file must have
this version's tables, and each night must have its own prices.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import duckdb

from schemas.catalog import Catalog
from schemas.columns import BUILD, CURATED_TABLES, INPUT_PARTS, INPUTS, META_TABLES, METRIC_VERSION
from schemas.digest import digest
from schemas.errors import BuildError
from transforms.runner import BuildReport, check_contract, comments
from transforms.table_files import SQL_FOLDER
from warehouse import archive
from warehouse.home import Home
from warehouse.inventory import Inventory, fingerprint
from warehouse.manifests import Manifest
from warehouse.runs import now
from warehouse.sources import fill, insert

SMALL_BYTES = 32 * 2**20
"""Below, nobody minds what a file wastes."""
LITTLE_ROWS = 2_000
"""Fewer are not packed: not a megabyte, of all tables together."""
LOOSE = 1.5
"""A file of so many times the size that it would have written in one go is written again."""


class UnusableError(Exception):
    """The published file cannot be built upon: its message says why. Nobody sees it but the build."""


@dataclass(frozen=True)
class Made:
    """How many nights a build made, what the transforms did, and of the whole file rows by table.

    `older` are nights of other metric versions that could be made anew: pairs of version and number. `archived` nights
    could not; `left_out` are manifests that came after their night was archived.
    """

    nights: int
    report: BuildReport
    rows: dict[str, int]
    older: list[tuple[int, int]]
    archived: int
    left_out: list[str]


@dataclass(frozen=True)
class Affected:
    """Nights with a run that is new, gone or not what it was, and all runs that there are of them, by manifest."""

    nights: set[datetime]
    closed: Mapping[str, Manifest]


@dataclass(frozen=True)
class Origin:
    """What a file was built from."""

    inventory: Inventory
    nights: dict[str, datetime]
    """Night by manifest."""


@cache
def structure() -> str:
    """Hash of what the files of this version have in common: tables, columns, types, grains, macros."""
    tables = [
        [table.schema, table.name, table.grain, [(column.name, column.type) for column in table.columns]]
        for table in (*META_TABLES, *CURATED_TABLES)
    ]
    return digest([tables, {path.stem: path.read_text() for path in sorted((SQL_FOLDER / "macros").glob("*.sql"))}])


def origin(con: duckdb.DuckDBPyConnection) -> Origin:
    """Read what `con`'s default database was built from. Raises UnusableError where nothing can be built upon it."""
    try:
        described = con.execute("select structure, catalog_override from meta.build").fetchall()
        if [found for found, _ in described] != [structure()]:
            raise UnusableError("the published file has the tables of another version of Ratecard")
        if described[0][1] is not None:
            raise UnusableError("the published nights were priced with one catalog, not each with its own")
        check_contract(con, CURATED_TABLES)
        rows = con.execute("select manifest, fingerprint, night from meta.inputs").fetchall()
    except duckdb.CatalogException as error:
        raise UnusableError("the published file does not say from what it was built") from error
    except BuildError as error:
        raise UnusableError(f"the published tables are not as they were built: {error}") from error
    return Origin({name: print_ for name, print_, _ in rows}, {name: night for name, _, night in rows})


def describe(
    con: duckdb.DuckDBPyConnection,
    home: Home,
    found: Inventory,
    closed: Mapping[str, Manifest],
    override: Catalog | None,
) -> None:
    """Write into a new file that it was built from `closed`, all at once."""
    con.execute("create schema meta")
    for table in META_TABLES:
        fill(con, table, [])
    hashed = digest(override.model_dump(mode="json")) if override else None
    insert(
        con,
        BUILD,
        [{"built_at": now(), "structure": structure(), "catalog_override": hashed, "whole_bytes": 0, "whole_rows": 0}],
    )
    _add(con, home, found, closed)
    con.execute(";".join(line for table in META_TABLES for line in comments(table)))


def describe_again(con: duckdb.DuckDBPyConnection, home: Home, found: Inventory, affected: Affected) -> None:
    """Write into a file that nights have been built again."""
    of_nights = "select manifest from meta.inputs where list_contains(?, night)"
    for table in (INPUT_PARTS, INPUTS):
        con.execute(f"delete from meta.{table.name} where manifest in ({of_nights})", [list(affected.nights)])
    _add(con, home, found, affected.closed)
    con.execute("update meta.build set built_at = ?", [now()])


def changed_parts(con: duckdb.DuckDBPyConnection, home: Home) -> set[str]:
    """Manifests with a part that is gone, or whose size or time is not what it was when its hash was checked."""
    rows = con.execute("select manifest, part, fingerprint from meta.input_parts").fetchall()
    return {manifest for manifest, part, known in rows if fingerprint(home.root / part) != known}


def _add(con: duckdb.DuckDBPyConnection, home: Home, found: Inventory, closed: Mapping[str, Manifest]) -> None:
    frozen = archive.frozen_nights(closed.values())
    stamps = {"metric_version": METRIC_VERSION, "built_at": now()}
    insert(
        con,
        INPUTS,
        [
            {"manifest": name, "fingerprint": found[name], "night": m.night, "is_archived": m.run["night"] in frozen}
            | stamps
            for name, m in closed.items()
        ],
    )
    con.execute(_VERSIONS_OF_ARCHIVES)
    insert(
        con,
        INPUT_PARTS,
        [
            {"manifest": name, "part": part["path"], "fingerprint": fingerprint(home.root / part["path"])}
            for name, manifest in closed.items()
            for part in manifest.parts
            if part["path"]
        ],
    )


def weigh(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Note the size of a file that has just been written in one go: what it grows beyond is measured by that."""
    rows = _write_out(con)
    con.execute("update meta.build set whole_bytes = ?, whole_rows = ?", [path.stat().st_size, rows])


def is_loose(con: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Whether a file that grew night by night `wastes` too much."""
    rows = _write_out(con)
    [(whole_bytes, whole_rows)] = con.execute("select whole_bytes, whole_rows from meta.build").fetchall()
    return wastes(path.stat().st_size, rows, whole_bytes, whole_rows)


def _write_out(con: duckdb.DuckDBPyConnection) -> int:
    """Write what was made into the file; returns the rows that it has."""
    rows = sum(row_counts(con).values())
    # for each of a thousand columns: to look for the scheme that packs a handful of rows best takes longer than to write them
    con.execute(f"set force_compression = '{'uncompressed' if rows < LITTLE_ROWS else 'auto'}'; checkpoint")
    return rows


def wastes(size: int, rows: int, whole_bytes: int, whole_rows: int) -> bool:
    """Whether a file is much larger than in one go it would be, given its size and rows when it was last written so.

    Blocks that deleted or rewritten rows leave are used again, but not all, and small pieces fill a block badly.
    """
    # bytes a row fall as tables fill their blocks: what a file an eighth as large took says little
    expected = whole_bytes * max(1.0, rows / max(1, whole_rows))
    return size > SMALL_BYTES and (size > LOOSE * expected or size > 8 * whole_bytes)


def made(con: duckdb.DuckDBPyConnection, nights: int, report: BuildReport) -> Made:
    """What a build made, `con`'s default database being the new file."""
    older = con.execute(_OLDER, [METRIC_VERSION]).fetchall()
    [(archived,)] = con.execute("select count(distinct night) from meta.inputs where is_archived").fetchall()
    left_out = [manifest for (manifest,) in con.execute(_LEFT_OUT).fetchall()]
    return Made(nights, report, row_counts(con), older, archived, left_out)


_OLDER = """
    select metric_version, count(distinct night) from meta.inputs
    where metric_version <> ? and not is_archived group by all order by 1
"""
_VERSIONS_OF_ARCHIVES = """
    update meta.inputs set metric_version = runs.metric_version
    from (select night, min(metric_version) as metric_version from curated.runs group by night) as runs
    where inputs.is_archived and inputs.night = runs.night
"""
_LEFT_OUT = """
    select manifest from meta.inputs
    where is_archived
        and manifest not in (select concat('run_date=', run_date, '/', run_id, '-a', attempt, '.json') from curated.runs)
    order by all
"""


def row_counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows by `curated.<table>`."""
    names = [f"curated.{table.name}" for table in CURATED_TABLES]
    counts = " union all ".join(f"select '{name}', count(*) from {name}" for name in names)
    found = dict(con.execute(counts).fetchall())
    return {name: found[name] for name in names}
