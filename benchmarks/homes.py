"""Data homes full of simulated runs, landed the real way: parts in `incoming/`, checked, moved, closed by a manifest."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.traces import IDENTITY, RUN_DATE, Level, simulate
from schemas.arrow import write_options
from schemas.catalog import Catalog
from schemas.columns import REQUEST_TRACES
from warehouse import runs
from warehouse.home import Home

ROWS_PER_GROUP = 1024
"""As the load generator writes them."""


@dataclass(frozen=True)
class Landed:
    """What lies in `raw/`."""

    home: Home
    levels: int
    requests: int
    gaps: int
    files: list[str]
    file_bytes: int


def land(root: Path, levels: Sequence[Level], catalog: Catalog) -> Landed:
    """One closed run of `levels` in a new home at `root`. Raises RuntimeError where a row was quarantined."""
    home = Home(root)
    home.prepare()
    folder = runs.begin(home, plan_of(levels), catalog)
    requests = gaps = 0
    for level in levels:
        table = simulate(level)
        requests += table.num_rows
        gaps += pc.sum(pc.list_value_length(table["gaps_us"])).as_py()
        part = folder.path / f"a1-l{level.index:03d}-s000.parquet"
        pq.write_table(table, part, row_group_size=ROWS_PER_GROUP, **write_options(REQUEST_TRACES))
        for landed in folder.land_level(level_row(level))[1]:
            if landed.rows_quarantined:
                raise RuntimeError(f"level {level.index}: simulated rows broke the contract: {landed.reasons}")
    folder.close("complete", None)
    files = sorted(home.raw.rglob("*.parquet"))
    return Landed(home, len(levels), requests, gaps, list(map(str, files)), sum(f.stat().st_size for f in files))


def plan_of(levels: Sequence[Level]) -> dict[str, Any]:
    """As much of a plan as `warehouse.runs` reads."""
    unknown = ("engine", "engine_version", "precision", "quality_score", "quality_source", "memory_gib_per_gpu")
    counts = ("gpus_per_instance", "gpus_per_server", "instances_measured")
    return IDENTITY | {
        "night": f"{RUN_DATE}T00:00:00",
        "target": {"url": "http://127.0.0.1:1/v1", "api": "chat", "model": IDENTITY["model"]},
        "endpoint_config": dict.fromkeys(unknown)
        | dict.fromkeys(counts, 1)
        | {"accelerator": "cpu", "role": "aggregated"},
        "workload_config": {"input_tokens": 250, "output_tokens": levels[0].mean_chunks},
        "levels": [{"level_index": level.index, "concurrency": level.concurrency} for level in levels],
    }


def level_row(level: Level) -> dict[str, Any]:
    """Columns of `raw.levels` of a level that went well."""
    return {
        "level_index": level.index,
        "load_kind": "closed",
        "concurrency": level.concurrency,
        "request_rate": None,
        "status": "complete",
        "failure": None,
        "client_cpu_share": 0.1,
        "loop_lag_p99_ms": 0.1,
    }
