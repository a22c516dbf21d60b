"""Runs that were measured elsewhere and brought along as files: landed as if they had just ended.

A sample is a folder: `catalog/` (without prices), and in `runs/` for each run what `incoming/` has of one, which is its
plan and its parts, with `run.json` (columns of `raw.runs` that its machine gave) and `levels.json` (those of
`raw.levels`).
"""

import json
import shutil
from pathlib import Path

from schemas.catalog import Catalog
from schemas.errors import UsageError
from warehouse import manifests, runs
from warehouse.home import Home, endpoint_lock


def run_folders(sample: Path) -> list[Path]:
    """The runs of a sample, in order of time.

    Raises:
        UsageError: the folder is no sample.

    """
    found = [path.parent for path in sample.glob("runs/*/plan.json")]
    if not found or not (sample / "catalog").is_dir():
        raise UsageError(f"{sample} is no sample: expected catalog/ and runs/*/plan.json in it")
    return sorted(found, key=lambda folder: str(json.loads((folder / "run.json").read_bytes())["started_at"]))


def land_sample(home: Home, sample: Path, catalog: Catalog) -> list[str]:
    """Land the runs of `sample` that the home does not have yet, with `catalog` as theirs; the ids of all of them.

    Raises:
        UsageError: the folder is no sample.
        LandingError: the home cannot be written.

    """
    return [_land(home, folder, catalog) for folder in run_folders(sample)]


def _land(home: Home, measured: Path, catalog: Catalog) -> str:
    plan = json.loads((measured / "plan.json").read_bytes())
    run_id = str(plan["run_id"])
    with endpoint_lock(home, plan["endpoint"], run_id):
        if manifests.attempts(home, run_id, plan["run_date"]):
            return run_id
        folder = runs.begin(home, plan, catalog)
        known = json.loads((measured / "run.json").read_bytes())
        ended_at = known.pop("ended_at")
        folder.update(**known)
        for part in sorted(measured.glob("a*.parquet")):
            shutil.copy(part, folder.path)
        for level in json.loads((measured / "levels.json").read_bytes()):
            folder.land_level(level)
        folder.close("complete", None, ended_at)
    return run_id
