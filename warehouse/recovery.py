"""Closes what a process left in `incoming/` when it died: killed, or the power lost, at whatever moment.

What had been measured is landed and kept, the run is marked interrupted. A run is alive as long as its endpoint's
lock is held.
"""

import contextlib
import json
import shutil
import time
from pathlib import Path
from typing import Any

from schemas.columns import LANDED_TABLES
from schemas.errors import EndpointBusyError
from warehouse import manifests
from warehouse.home import Home, endpoint_lock
from warehouse.landing import levels_present, partition
from warehouse.runs import CLOSED, NO_SPACE, RunFolder

STALE_S = 3600.0
"""Age at which a temporary file that no lock guards is nobody's any more: they live for seconds."""
_ENDED = "the process that measured it ended without closing it (killed, power lost, or no space to write)"
_NO_SPACE_LEFT = "the disk was full: what had landed is kept, the run could not be closed at the time"


def recover(home: Home) -> list[str]:
    """Close every run whose process is gone; returns a line for each.

    Raises:
        LandingError: a run cannot be landed; it stays in `incoming/`.

    """
    said = []
    for endpoint in sorted({endpoint for _, endpoint in _open(home)}):
        try:
            with endpoint_lock(home, endpoint, "recovery"):
                said += recover_held(home, endpoint)
        except EndpointBusyError:
            continue
    _remove_stale([*home.root.glob(".*.tmp"), *(home.raw / "catalogs").glob(".*.tmp")])
    return said


def recover_held(home: Home, endpoint: str) -> list[str]:
    """`recover` for one endpoint whose lock the caller holds."""
    return [_recover(folder) for folder, owner in _open(home) if owner == endpoint]


def _open(home: Home) -> list[tuple[RunFolder, str]]:
    """Folders of runs that began, with their endpoints; what a process was removing when it died is removed."""
    found = []
    for path in sorted(home.incoming.iterdir()) if home.incoming.exists() else []:
        if path.name.startswith(CLOSED):
            shutil.rmtree(path, ignore_errors=True)
            continue
        if (endpoint := _owner(path)) is not None:
            found.append((RunFolder(home, path), endpoint))
        else:  # a process that is about to write its plan, or died just then
            _remove_stale([path])
    return found


def _owner(folder: Path) -> str | None:
    """The endpoint of a run's folder; null where there is no plan yet, or its own process has closed it just now."""
    for name in ("run.json", "plan.json"):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return str(json.loads((folder / name).read_bytes())["endpoint"])
    return None


def _remove_stale(paths: list[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime < STALE_S:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _recover(folder: RunFolder) -> str:
    if not (folder.path / "run.json").exists():
        folder.remove()
        return f"cleared away {folder.path.name}, which an earlier process left before it measured anything"
    run = folder.run()
    _remove_half_written(folder.home, run)
    name = f"{run['run_id']} (attempt {run['attempt']})"
    if manifests.path_of(folder.home, run).exists():
        folder.remove()
        return f"cleared away the folder of {name}, which was closed"
    plan = json.loads(folder.plan_path.read_bytes())
    known = {level["level_index"]: level for level in plan["levels"]}
    search = (plan.get("load_config") or {}).get("search") or {"kind": "sweep"}
    noted = {entry["level"]["level_index"] for entry in folder.levels()}
    # a part in raw/ whose level is not noted: the process died between the two
    for index in sorted({*folder.parts().values(), *levels_present(folder.home, run)} - noted):
        level = known.get(index) or _as_specified(folder, index)
        folder.land_level(_cut_short(index, level) | {"search": search["kind"]})
    full = (folder.path / NO_SPACE).exists()
    folder.close("interrupted", _NO_SPACE_LEFT if full else _ENDED)
    return f"closed {name}, which an earlier process left open; what it had measured is kept"


def _remove_half_written(home: Home, run: dict[str, Any]) -> None:
    """Temporary files of the run in `raw/` and `quarantine/`: their writer is gone, since its lock is held here."""
    manifest = manifests.path_of(home, run)
    for path in manifest.parent.glob(f".{manifest.name}.*.tmp"):
        path.unlink(missing_ok=True)
    for place in (home.raw, home.quarantine):
        for table in LANDED_TABLES:
            for path in (place / table.name / partition(run)).glob(".*.tmp"):
                path.unlink(missing_ok=True)


def _as_specified(folder: RunFolder, index: int) -> dict[str, Any]:
    """Shape and shards of a level that the plan does not know (the probe, a search's), as its worker was told."""
    for path in folder.path.glob(f"a*-l{index:03d}-s*.json"):
        with contextlib.suppress(ValueError, KeyError):
            spec = json.loads(path.read_bytes())
            return {"shape": spec["shape"], "shards": spec["shards"]}
    return {}


def _cut_short(index: int, level: dict[str, Any]) -> dict[str, Any]:
    """Columns of `raw.levels` for a level that a crash cut short; an older plan knows only its concurrency."""
    shape = level.get("shape") or {"kind": "closed", "concurrency": level.get("concurrency", 1)}
    return {
        "level_index": index,
        "load_kind": shape["kind"],
        "concurrency": shape["concurrency"],
        "request_rate": shape.get("rate"),
        "arrivals": shape.get("arrivals"),
        "shards": level.get("shards"),
        "status": "interrupted",
        "failure": "the process ended during this level",
        "stop_reason": "interrupted",
    }
