"""Closes what a process left in `incoming/` when it died: killed, or the power lost, at whatever moment.

What had been measured is landed and kept, the run is marked interrupted. A run is alive as long as its endpoint's
lock is held.
"""

import contextlib
import json
import shutil
from typing import Any

from schemas.errors import EndpointBusyError
from warehouse import manifests
from warehouse.home import Home, endpoint_lock
from warehouse.landing import levels_present
from warehouse.runs import CLOSED, RunFolder


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
        try:
            found.append((RunFolder(home, path), RunFolder(home, path).run()["endpoint"]))
        except (FileNotFoundError, NotADirectoryError):
            continue  # nothing was measured yet, or its own process has closed it just now
    return found


def _recover(folder: RunFolder) -> str:
    run = folder.run()
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
    folder.close("interrupted", "the process that measured it ended without closing it (killed, or power lost)")
    return f"closed {name}, which an earlier process left open; what it had measured is kept"


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
