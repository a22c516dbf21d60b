"""Archives: the curated rows of a night whose traces are thinned or dropped, as Parquet below `raw/archive/`.

`raw/archive/night=…/<table>.parquet` and, written last, `archive.json` with rows and hashes. From the moment that a part
of a night is thinned or dropped, builds take the night from here and never from what is left of its traces. Before that
moment an archive says nothing that `raw/` does not: it is written anew.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from schemas.columns import CURATED_TABLES, METRIC_VERSION, Table
from schemas.digest import file_digest
from schemas.errors import LandingError, WarehouseError
from warehouse import manifests
from warehouse.files import is_full, reason, sync_folder, write_bytes, write_whole
from warehouse.home import Home
from warehouse.manifests import Manifest
from warehouse.runs import now
from warehouse.sources import literal

VERSION = 1
_TABLES = {table.name: table for table in CURATED_TABLES}


@dataclass(frozen=True)
class Archive:
    """One night: by table the number of rows, and the hash of its file, null where there is no row."""

    night: str
    archived_at: str
    metric_version: int
    tables: dict[str, dict[str, Any]]


def folder_of(home: Home, night: str) -> Path:
    """Where a night (ISO 8601, as manifests have it) is archived, or will be."""
    return home.raw / "archive" / f"night={night.replace(':', '')}"


def size_of(home: Home, night: str) -> int:
    """Bytes that the archive of a night takes."""
    return sum(path.stat().st_size for path in folder_of(home, night).iterdir())


def is_frozen(home: Home, run_date: str, night: str) -> bool:
    """Whether parts of a night are thinned or dropped, so that nothing can be derived from them any more."""
    found = (home.raw / "manifests" / f"run_date={run_date}").glob("[!.]*.json")
    closed = (manifests.read_one(home, path) for path in found)
    return any(manifest.run["night"] == night and not manifests.is_whole(manifest) for manifest in closed)


def frozen_nights(closed: Iterable[Manifest]) -> set[str]:
    """Nights of `closed` of which a part is thinned or dropped."""
    return {str(manifest.run["night"]) for manifest in closed if not manifests.is_whole(manifest)}


def settle(home: Home, closed: Mapping[str, Manifest]) -> tuple[dict[str, Manifest], list[Archive]]:
    """(runs whose rows follow from their traces, archives of the other nights) of `closed`, by manifest.

    A run that came after its night was archived is in neither. Raises as `read` does.
    """
    frozen = frozen_nights(closed.values())
    live = {name: manifest for name, manifest in closed.items() if manifest.run["night"] not in frozen}
    return live, [read(home, night) for night in sorted(frozen)]


def write(home: Home, con: duckdb.DuckDBPyConnection, night: str, tables: Sequence[str]) -> Archive:
    """Archive the rows of `night` in `tables` of `con`'s default database, and read them back.

    Raises:
        LandingError: they cannot be written, or do not read back; what was archived of the night before is void.

    """
    folder = folder_of(home, night)
    try:
        _empty(folder)
        written = {name: _write(con, _TABLES[name], night, folder / f"{name}.parquet") for name in tables}
        versions = con.execute("select max(metric_version) from curated.runs where night = ?", [night]).fetchall()
    except (OSError, duckdb.Error) as error:
        advice = ". Free some space there and run again" if is_full(error) else ""
        raise LandingError(
            f"the night {night} cannot be archived in {folder}: {reason(error)}. Its traces are kept{advice}"
        ) from error
    archive = Archive(night, now(), versions[0][0] or METRIC_VERSION, written)
    content = {"archive_version": VERSION} | asdict(archive)
    write_bytes(folder / "archive.json", json.dumps(content, indent=1).encode())
    sync_folder(folder.parent)
    return archive


def _empty(folder: Path) -> None:
    """Take away what was archived before or half-way; first what makes it an archive."""
    (folder / "archive.json").unlink(missing_ok=True)
    for path in folder.glob("*"):
        path.unlink()


def _write(con: duckdb.DuckDBPyConnection, table: Table, night: str, path: Path) -> dict[str, Any]:
    rows = f"select * from curated.{table.name} where {_of_night(table)}"
    [(count,)] = con.execute(f"select count(*) from ({rows})", {"night": night}).fetchall()
    if not count:
        return {"rows": 0, "sha256": None}

    def copy(temporary: Path) -> None:
        target = str(temporary).replace("'", "''")
        ordered = f"{rows} order by {', '.join(table.grain)}"
        con.execute(f"copy ({ordered}) to '{target}' (format parquet, compression zstd)", {"night": night})

    write_whole(path, copy)
    back = f"select * from read_parquet('{literal(str(path))}', hive_partitioning = false)"
    differing = f"select count(*) from ((({rows}) except all ({back})) union all (({back}) except all ({rows})))"
    if con.execute(differing, {"night": night}).fetchall() != [(0,)]:
        raise LandingError(f"{path} did not read back as it was written: check the disk. The traces are kept")
    return {"rows": count, "sha256": file_digest(path)}


def _of_night(table: Table) -> str:
    """Which rows of a table are of the night `$night`."""
    names = {column.name for column in table.columns}
    if "night" in names:
        return "night = $night"
    if "catalog_hash" in names:
        return "catalog_hash in (select catalog_hash from curated.runs where night = $night)"
    return "(run_id, attempt) in (select (run_id, attempt) from curated.runs where night = $night)"


def read(home: Home, night: str) -> Archive:
    """The archive of a night, its files as they were written.

    Raises:
        WarehouseError: it or a file of it is missing, or has changed.

    """
    path = folder_of(home, night) / "archive.json"
    advice = f"the traces of the night {night} were thinned or dropped, so that nothing else has its figures: restore it from a backup"
    try:
        content = json.loads(path.read_bytes())
        if content.pop("archive_version") > VERSION:
            raise WarehouseError(f"{path} was written by a newer Ratecard: upgrade ratecard to read it")
        archive = Archive(**content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WarehouseError(f"{path} is not a readable archive ({error}); {advice}") from error
    for name, written in archive.tables.items():
        file = path.with_name(f"{name}.parquet")
        if written["rows"] and not (file.exists() and file_digest(file) == written["sha256"]):
            raise WarehouseError(f"{file} is {'not what was written' if file.exists() else 'missing'}; {advice}")
    return archive


def insert(con: duckdb.DuckDBPyConnection, home: Home, archives: Sequence[Archive]) -> None:
    """Add the rows of `archives` to `curated.*` of `con`'s default database.

    Columns that a later version added are null; rows keep their metric version.
    """
    for table in CURATED_TABLES:
        files = [
            folder_of(home, archive.night) / f"{table.name}.parquet"
            for archive in archives
            if archive.tables.get(table.name, {}).get("rows")
        ]
        if files:
            _insert(con, table, files)


def _insert(con: duckdb.DuckDBPyConnection, table: Table, files: Sequence[Path]) -> None:
    listed = ", ".join(f"'{literal(str(file))}'" for file in files)
    source = f"read_parquet([{listed}], hive_partitioning = false, union_by_name = true)"
    there = {row[0] for row in con.execute(f"describe from {source}").fetchall()}
    columns = ", ".join(f'"{column.name}"' for column in table.columns if column.name in there)
    new = ""
    names = {column.name for column in table.columns}
    if "catalog_hash" in names and "night" not in names:  # of a catalog, which other nights may have had too
        columns = f"distinct {columns}"
        new = f" where catalog_hash not in (select catalog_hash from curated.{table.name})"
    con.execute(f"insert into curated.{table.name} by name select {columns} from {source}{new}")
