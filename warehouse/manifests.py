"""Manifests: what closes a run in `raw/`, and the catalog snapshot that its money is computed with.

`raw/manifests/run_date=…/<run_id>-a<attempt>.json` holds the columns of `raw.runs` and `raw.levels`, the parts with
their tables, row counts and hashes, and the plan. `raw/catalogs/<hash>.json` holds SLOs, demands and prices. With the parts
they are all that a rebuild needs.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from schemas.catalog import Catalog
from schemas.columns import REQUEST_TRACES
from schemas.digest import digest, file_digest
from schemas.errors import LandingError, WarehouseError
from warehouse import retractions
from warehouse.files import write_bytes
from warehouse.home import Home
from warehouse.inventory import scan

MANIFEST_VERSION = 3
"""2: parts name their table; those of version 1 are all request_traces. 3: `retained` says what retention did to a part."""


RESTORE = "raw/ is immutable: restore the files from a backup, or move their manifests away"
"""What to do about a part that is not as it landed."""


@dataclass(frozen=True)
class Manifest:
    """One closed attempt at a run."""

    run: dict[str, Any]
    levels: list[dict[str, Any]]
    parts: list[dict[str, Any]]
    plan: dict[str, Any]

    @property
    def night(self) -> datetime:
        """The scheduled instant."""
        return datetime.fromisoformat(self.run["night"])


def path_of(home: Home, run: dict[str, Any]) -> Path:
    """Where the manifest of an attempt stands, or will."""
    return home.raw / "manifests" / f"run_date={run['run_date']}" / f"{run['run_id']}-a{run['attempt']}.json"


def write(home: Home, manifest: Manifest) -> Path:
    """Close the attempt: write its manifest, last of all, so that its parts count."""
    path = path_of(home, manifest.run)
    content = {
        "manifest_version": MANIFEST_VERSION,
        "run": manifest.run,
        "levels": manifest.levels,
        "parts": manifest.parts,
        "plan": manifest.plan,
    }
    write_bytes(path, json.dumps(content, indent=1, sort_keys=True).encode())
    return path


def rewrite(home: Home, run: dict[str, Any], parts: list[dict[str, Any]]) -> None:
    """Give the manifest of an attempt other parts, and leave the rest as it is: for retention alone.

    Raises:
        LandingError: it cannot be read or written; it is as it was then.

    """
    path = path_of(home, run)
    content = json.loads(path.read_bytes()) | {"manifest_version": MANIFEST_VERSION, "parts": parts}
    write_bytes(path, json.dumps(content, indent=1, sort_keys=True).encode())


def is_whole(manifest: Manifest) -> bool:
    """Whether every row that landed is still in `raw/`: no part was thinned or dropped."""
    return all((part.get("retained") or {}).get("action") not in ("thinned", "dropped") for part in manifest.parts)


def read_all(home: Home) -> list[Manifest]:
    """All manifests, in order of night and name.

    Raises:
        LandingError: one cannot be read, or was written by a newer Ratecard.

    """
    return list(read(home, scan(home)).values())


def read(home: Home, names: Iterable[str]) -> dict[str, Manifest]:
    """The manifests of these names (`warehouse.inventory`), in order of night and run. Raises as `read_all`."""
    found = {name: _read(home, home.raw / "manifests" / name) for name in names}
    return dict(sorted(found.items(), key=lambda item: _place(item[1].run)))


def _place(run: dict[str, Any]) -> tuple[str, str, int]:
    return run["night"], run["run_id"], run["attempt"]


def _read(home: Home, path: Path) -> Manifest:
    """The manifest, and what was said of its run since."""
    try:
        raw = json.loads(path.read_bytes())
        version = raw["manifest_version"]
        if version > MANIFEST_VERSION:
            raise LandingError(
                f"{path} was written by a newer Ratecard (manifest version {version}): upgrade ratecard to read it"
            )
        _check_form(raw["run"], raw["parts"], raw["levels"], raw["plan"])
        if path != path_of(home, raw["run"]):
            raise ValueError(f"it is a copy: that of the run is {path_of(home, raw['run'])}")
        parts = [{"table": REQUEST_TRACES.name} | part for part in raw["parts"]]
        run = raw["run"] | retractions.columns(home, raw["run"]["run_id"], raw["run"]["attempt"])
        return Manifest(run, raw["levels"], parts, raw["plan"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LandingError(
            f"{path} is not a readable manifest ({error}): restore it from a backup, or move it away to build without it"
        ) from error


def _check_form(run: dict[str, Any], parts: list[dict[str, Any]], levels: Any, plan: Any) -> None:
    """Raise ValueError where something is not there by which runs are told apart and parts found, or is of another kind."""
    for name in ("run_id", "attempt", "suite", "endpoint", "workload", "night", "run_date", "catalog_hash"):
        if run.get(name) is None:
            raise ValueError(f"it has no run.{name}")
    datetime.fromisoformat(run["night"])
    date.fromisoformat(run["run_date"])
    for part in parts:
        if lacking := {"path", "sha256", "rows", "level_index"} - part.keys():
            raise ValueError(f"one of its parts has no {min(lacking)}")
    if not isinstance(levels, list) or not all(isinstance(level, dict) for level in levels):
        raise ValueError("its levels are no list of objects")
    for level in levels:
        if type(level.get("level_index")) is not int:
            raise ValueError(
                f"level_index of one of its levels is {level.get('level_index')!r}, expected a whole number"
            )
    if not isinstance(plan, dict):
        raise ValueError("its plan is no object")


def read_one(home: Home, path: Path) -> Manifest:
    """The manifest at `path`. Raises LandingError."""
    return _read(home, path)


def attempts(home: Home, run_id: str, run_date: str) -> list[dict[str, Any]]:
    """The `run` part of every closed attempt at `run_id`, oldest first, retracted or not."""
    found = [manifest.run for manifest in of_run(home, run_id, run_date)]
    return sorted(found, key=lambda run: int(run["attempt"]))


def of_run(home: Home, run_id: str, run_date: str) -> list[Manifest]:
    """Every closed attempt at `run_id`, in no order."""
    folder = home.raw / "manifests" / f"run_date={run_date}"
    return [_read(home, path) for path in folder.glob(f"{run_id}-a*.json")]


def check_parts(home: Home, manifest: Manifest) -> Iterator[str]:
    """What is wrong with the parts of `manifest`: missing, or changed since they landed."""
    return check(home, manifest.parts)


def check(home: Home, parts: list[dict[str, Any]]) -> Iterator[str]:
    """What is wrong with `parts`: missing, or changed since they landed."""
    for part in parts:
        if part["path"] is None:
            continue
        path = home.root / part["path"]
        if not path.is_file():
            yield f"{path} is {'no file' if path.exists() else 'missing'}"
        elif file_digest(path) != part["sha256"]:
            yield f"{path} has changed since it landed (its hash differs from the manifest's)"


def check_all_parts(home: Home, closed: Iterable[Manifest]) -> None:
    """Raise WarehouseError with every part of `closed` that is missing or has changed."""
    problems = [problem for manifest in closed for problem in check_parts(home, manifest)]
    if problems:
        raise WarehouseError("\n".join([*problems, RESTORE]))


def write_catalog(home: Home, catalog: Catalog) -> str:
    """Keep the money side of `catalog` (SLOs, demands, prices) under its hash; returns the hash."""
    snapshot = _money(catalog).model_dump(mode="json")
    catalog_hash = digest(snapshot)
    path = _catalog_path(home, catalog_hash)
    if not path.exists():
        write_bytes(path, json.dumps(snapshot, indent=1, sort_keys=True).encode())
    return catalog_hash


def read_catalog(home: Home, catalog_hash: str) -> Catalog:
    """The snapshot under `catalog_hash`.

    Raises:
        LandingError: it is missing or not readable.

    """
    path = _catalog_path(home, catalog_hash)
    try:
        return Catalog.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise LandingError(
            f"the catalog snapshot {path} cannot be read ({error}): restore it, upgrade ratecard if a newer one wrote it, "
            "or build with --catalog DIR"
        ) from error


def _money(catalog: Catalog) -> Catalog:
    return Catalog(slos=catalog.slos, demands=catalog.demands, prices=catalog.prices)


def _catalog_path(home: Home, catalog_hash: str) -> Path:
    return home.raw / "catalogs" / f"{catalog_hash}.json"
