"""Build and publish: `raw/` -> a new DuckDB file beside the old one -> swapped in.

The published file is never written in place: a reader keeps the file that it opened, whole, until it opens again.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from schemas.catalog import Catalog
from schemas.errors import BuildError, WarehouseError
from transforms.runner import BuildReport
from transforms.runner import build as run_transforms
from warehouse import manifests, sources
from warehouse.files import sync_folder
from warehouse.home import Home, exclusive_in_turn

STORAGE_VERSION = "v1.2.0"
"""Storage that DuckDB 1.2 and every BI driver since can read."""


@dataclass(frozen=True)
class Built:
    """What was published."""

    path: Path
    runs: int
    report: BuildReport


def build(home: Home, catalog: Catalog | None = None, wait_s: float = 600.0) -> Built:
    """Rebuild every table from `raw/` alone and publish the file.

    `catalog` prices all of history with its SLOs, demands and prices instead of each night's own (what-if).
    A build by another process is waited for, up to `wait_s` seconds.

    Raises:
        LandingError: a manifest or snapshot cannot be read.
        WarehouseError: a part is missing or has changed, a check of the transforms failed, or the disk is full; the
            published file is untouched.

    """
    with _building(home, wait_s) as (new, staging):
        closed = _intact(home)
        try:
            report = _transform(home, closed, catalog, new, staging)
            with new.open("rb") as file:
                os.fsync(file.fileno())
            new.replace(home.warehouse)
            sync_folder(home.root)
        except (BuildError, duckdb.Error, OSError) as error:
            raise WarehouseError(
                f"the warehouse was not rebuilt: {error}\nWhat was measured is kept in {home.raw}, and what was published "
                "before is untouched. If the disk is full, free some space there; then `ratecard build`"
            ) from error
    return Built(home.warehouse, len(closed), report)


def _intact(home: Home) -> list[manifests.Manifest]:
    closed = manifests.read_all(home)
    problems = [problem for manifest in closed for problem in manifests.check_parts(home, manifest)]
    if problems:
        advice = "raw/ is immutable: restore the files from a backup, or move their manifests away"
        raise WarehouseError("\n".join([*problems, advice]))
    return closed


@contextmanager
def _building(home: Home, wait_s: float) -> Iterator[tuple[Path, Path]]:
    """One build at a time; yields the new file and a scratch file, both gone afterwards unless renamed."""
    new, staging, spill = home.root / ".warehouse.duckdb.new", home.root / ".staging.duckdb", home.root / ".spill"
    scratch = [Path(f"{path}{suffix}") for path in (new, staging) for suffix in ("", ".wal")]
    with one_at_a_time(home, wait_s):
        try:
            for path in scratch:
                path.unlink(missing_ok=True)
            yield new, staging
        finally:
            for path in scratch:
                path.unlink(missing_ok=True)
            shutil.rmtree(spill, ignore_errors=True)


@contextmanager
def one_at_a_time(home: Home, wait_s: float) -> Iterator[None]:
    """Hold the lock of the builds: whoever has it may take parts away that a build would read."""
    busy = WarehouseError("another process is building the warehouse: try again when it is done")
    with exclusive_in_turn(home.locks / "build.lock", wait_s, busy):
        yield


def _transform(
    home: Home, closed: list[manifests.Manifest], catalog: Catalog | None, new: Path, staging: Path
) -> BuildReport:
    with duckdb.connect(":memory:", config={"temp_directory": str(home.root / ".spill")}) as con:
        con.execute(f"attach '{_quoted(new)}' as warehouse (storage_version '{STORAGE_VERSION}')")
        con.execute(f"attach '{_quoted(staging)}' as staging")
        con.execute("use warehouse")
        sources.attach(con, home, closed, catalog)
        report = run_transforms(con)
        con.execute("use memory")
        con.execute("detach warehouse")
        return report


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
