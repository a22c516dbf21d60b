"""A run on its way: from `incoming/<run>/` over landed levels to its manifest.

`run.json` (what is known at the start) and `level-NNN.json` (one a landed level) are what a manifest is made of.
A process that dies at any moment leaves them and its parts behind, for `warehouse.recovery` to close.
"""

import contextlib
import json
import os
import platform
import shutil
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from schemas.accelerators import kw_per_gpu
from schemas.catalog import Catalog
from schemas.columns import REQUEST_TRACES
from schemas.errors import LandingError
from warehouse import manifests
from warehouse.files import is_full, write_bytes
from warehouse.home import Home
from warehouse.landing import LandedPart, PartName, land_part, landed_parts

CLOSED = ".closed-"
"""Prefix of a folder that is being removed."""
NO_SPACE = "no-space"
"""Empty file in the folder of a run that could not be closed because the disk was full: a name may fit where no data do."""


def now() -> str:
    """UTC wall clock as the manifests write it."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat()


@dataclass(frozen=True)
class RunFolder:
    """`incoming/<run_id>-a<attempt>`: plan, specs, parts and progress of one attempt."""

    home: Home
    path: Path

    @property
    def plan_path(self) -> Path:
        """Where the plan of the load generator stands."""
        return self.path / "plan.json"

    def run(self) -> dict[str, Any]:
        """The columns of `raw.runs` as far as known."""
        content: dict[str, Any] = json.loads((self.path / "run.json").read_bytes())
        return content

    def update(self, **known: Any) -> None:
        """Add to what is known of the run."""
        write_bytes(self.path / "run.json", json.dumps(self.run() | known, indent=1).encode())

    def levels(self) -> list[dict[str, Any]]:
        """Landed levels, each {"level": columns of `raw.levels`, "parts": [...]}; index 0 is the probe."""
        return [json.loads(path.read_bytes()) for path in sorted(self.path.glob("level-*.json"))]

    def parts(self) -> dict[Path, int]:
        """Parts that wait to be landed, and the level of each."""
        found = {path: PartName.of(path) for path in sorted(self.path.glob("a*.parquet"))}
        return {path: name.level_index for path, name in found.items() if name}

    def land_level(self, level: dict[str, Any]) -> tuple[dict[str, Any], list[LandedPart]]:
        """Land the waiting parts of `level` and note it as landed; returns its columns of `raw.levels`, and the parts.

        `level` has these columns but the row counts; those that it lacks are null. A level of which no request row kept
        the contract has failed; a broken part of another table harms nothing.
        """
        run = self.run()
        identity = {name: run[name] for name in ("run_id", "attempt", "endpoint", "run_date")}
        identity["level_index"] = level["level_index"]
        for part, index in self.parts().items():
            if index == level["level_index"]:
                land_part(self.home, part, identity)
        landed = landed_parts(self.home, identity)
        row = {"run_id": run["run_id"], "attempt": run["attempt"]} | level
        traces = [part for part in landed if part.table == REQUEST_TRACES.name]
        row |= {"rows_landed": sum(p.rows for p in traces), "rows_quarantined": sum(p.rows_quarantined for p in traces)}
        if row["status"] == "complete" and not row["rows_landed"]:
            row |= {"status": "failed", "failure": "no request row kept the contract: see quarantine/"}
        content = {"level": row, "parts": [part.as_json() for part in landed]}
        write_bytes(self.path / f"level-{level['level_index']:03d}.json", json.dumps(content, indent=1).encode())
        return row, landed

    def close(self, status: str, failure: str | None, ended_at: str | None = None) -> Path:
        """Write the manifest and remove the folder; returns the manifest's path. Null `ended_at`: it ended now.

        Raises:
            LandingError: the manifest cannot be written; the folder stays, and recovery closes the run later.

        """
        landed = self.levels()
        levels = [entry["level"] for entry in landed if entry["level"]["level_index"] > 0]
        run = self.run() | {
            "status": status,
            "failure": failure,
            "ended_at": ended_at or now(),
            "levels_measured": sum(level["rows_landed"] > 0 for level in levels),
            "rows_quarantined": sum(entry["level"]["rows_quarantined"] for entry in landed),
        }
        parts = [part for entry in landed for part in entry["parts"]]
        closed = manifests.Manifest(run, levels, parts, json.loads(self.plan_path.read_bytes()))
        try:
            path = manifests.write(self.home, closed)
        except LandingError as error:
            if is_full(error):
                with contextlib.suppress(OSError):
                    (self.path / NO_SPACE).touch()
            raise
        self.remove()
        return path

    def remove(self) -> None:
        """Take the folder away, by a rename first: half a folder would look like a run that was cut short.

        The run is closed by its manifest: a folder that cannot be taken away now, recovery takes away later.
        """
        closed = self.path.with_name(f"{CLOSED}{self.path.name}")
        with contextlib.suppress(OSError):
            self.path.rename(closed)
            shutil.rmtree(closed)


def begin(home: Home, plan: dict[str, Any], catalog: Catalog) -> RunFolder:
    """Open the folder of the attempt in `plan` (a RunPlan as a dict).

    Raises:
        LandingError: the home cannot be written.

    """
    folder = RunFolder(home, home.incoming / f"{plan['run_id']}-a{plan['attempt']}")
    write_bytes(folder.plan_path, json.dumps(plan, indent=1, sort_keys=True).encode())
    run = _known(plan) | {"catalog_hash": manifests.write_catalog(home, catalog)}
    write_bytes(folder.path / "run.json", json.dumps(run, indent=1).encode())
    return folder


def _known(plan: dict[str, Any]) -> dict[str, Any]:
    """The columns of `raw.runs` that a plan and this machine give."""
    endpoint, workload = plan["endpoint_config"], plan["workload_config"]
    from_endpoint = (
        "engine", "engine_version", "precision", "accelerator", "gpus_per_instance", "gpus_per_server",
        "instances_measured", "role", "quality_score", "quality_source", "memory_gib_per_gpu",
    )  # fmt: skip
    from_plan = (
        "run_id",
        "attempt",
        "suite",
        "endpoint",
        "workload",
        "load",
        "night",
        "run_date",
        "config_hash",
        "client_version",
    )
    return {
        **{name: plan[name] for name in from_plan},
        **{name: endpoint[name] for name in from_endpoint},
        "power_kw_per_gpu": endpoint.get("power_kw_per_gpu") or kw_per_gpu(endpoint["accelerator"]),
        "url": without_credentials(plan["target"]["url"]),
        "api": plan["target"]["api"],
        "model": plan["target"]["model"],
        "started_at": now(),
        "levels_planned": len(plan["levels"]),
        "shares_prefix": _shares_prefix(workload),
        "input_tokens_target": _mean_tokens(workload, "input_tokens"),
        "output_tokens_target": _mean_tokens(workload, "output_tokens"),
        "host": socket.gethostname(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python_version": sys.version.split()[0],
        "cpu_count": os.cpu_count() or 1,
    }


def _shares_prefix(workload: dict[str, Any]) -> bool:
    """Whether a workload hits a prefix cache on purpose: as its plan says, or a plan's features that share prompts."""
    said = workload.get("shares_prefix")
    if said is not None:
        return bool(said)
    return any(workload.get(feature) is not None for feature in ("shared_prefix", "turns", "dataset", "trace"))


def _mean_tokens(workload: dict[str, Any], column: str) -> int | None:
    """Mean length that a workload asks for, to a whole token; null where its data decide.

    A plan states the mean of a distribution; an older one knows fixed lengths only.
    """
    mean = workload.get(f"{column}_mean", workload.get(column))
    return round(mean) if isinstance(mean, int | float) else None


def without_credentials(url: str) -> str:
    """`url` without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def next_attempt(home: Home, run_id: str, run_date: str) -> int:
    """Number of the next attempt at a run."""
    closed = [int(run["attempt"]) for run in manifests.attempts(home, run_id, run_date)]
    opened = [int(path.name.rpartition("-a")[2]) for path in home.incoming.glob(f"{run_id}-a*")]
    return max([0, *closed, *opened]) + 1
