"""Runs that were measured elsewhere and brought along as files: landed as if they had just ended.

A sample is a folder: `catalog/` (without prices), and in `runs/` for each run what `incoming/` has of one, which is its
plan and its parts, with `run.json` (columns of `raw.runs` that its machine gave) and `levels.json` (those of
`raw.levels`).
"""

import json
import shutil
from pathlib import Path
from typing import Any

from schemas.catalog import Catalog
from schemas.errors import UsageError
from warehouse import manifests, runs
from warehouse.home import Home, endpoint_lock


def land_sample(home: Home, sample: Path, catalog: Catalog) -> dict[str, list[str]]:
    """Land the runs of `sample` that the home does not have yet, with `catalog` as theirs; ids of all by their night.

    Raises:
        UsageError: the folder is no sample.
        LandingError: the home cannot be written.

    """
    folders = sorted(path.parent for path in sample.glob("runs/*/plan.json"))
    if not folders:
        raise UsageError(f"{sample} is no sample: expected runs/*/plan.json in it")
    nights: dict[str, list[str]] = {}
    for folder in folders:
        plan = json.loads((folder / "plan.json").read_bytes())
        nights.setdefault(plan["night"], []).append(plan["run_id"])
        _land(home, folder, plan, catalog)
    return nights


def _land(home: Home, measured: Path, plan: dict[str, Any], catalog: Catalog) -> None:
    with endpoint_lock(home, plan["endpoint"], plan["run_id"]):
        if manifests.attempts(home, plan["run_id"], plan["run_date"]):
            return
        known = json.loads((measured / "run.json").read_bytes())
        ended_at = known.pop("ended_at")
        folder = runs.begin(home, plan, catalog)
        folder.update(**known)
        for part in sorted(measured.glob("a*.parquet")):
            shutil.copy(part, folder.path)
        for level in json.loads((measured / "levels.json").read_bytes()):
            folder.land_level(level)
        folder.close("complete", None, ended_at)
