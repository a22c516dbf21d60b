"""The figures of a level of a run that is still open, by the ordinary transforms: no metric is defined twice."""

from dataclasses import dataclass
from typing import Any

import duckdb

from schemas.catalog import Catalog
from schemas.errors import BuildError, LandingError, WarehouseError
from transforms.memory import in_memory
from transforms.runner import build
from warehouse import manifests, sources
from warehouse.runs import RunFolder, now
from warehouse.scratch import use_threads

Row = dict[str, Any]


_JUDGED = ("curated.operating_points", "curated.slo_attainment")


@dataclass(frozen=True)
class Preview:
    """What `operating_points` and `slo_attainment` will say of a level; no point where nothing was measured."""

    point: Row | None
    attainment: dict[str, Row]  # by SLO


def preview(folder: RunFolder, level_index: int) -> Preview:
    """Figures of a landed level, from its own parts alone (about a second, in memory).

    Raises:
        WarehouseError: the level has not landed, or the transforms do not accept it.

    """
    manifest = _provisional(folder, level_index)
    try:
        slos = Catalog(slos=manifests.read_catalog(folder.home, manifest.run["catalog_hash"]).slos)
        with in_memory(folder.path / ".spill") as con:
            use_threads(con, sources.landed_bytes(folder.home, [manifest]))
            sources.attach(con, folder.home, [manifest], slos)
            build(con, wanted=_JUDGED)
            points = _rows(con, "operating_points")
            attainment = _rows(con, "slo_attainment")
    except (BuildError, LandingError, duckdb.Error) as error:
        raise WarehouseError(f"level {level_index} of {manifest.run['run_id']} cannot be judged: {error}") from error
    return Preview(points[0] if points else None, {row["slo"]: row for row in attainment})


def _provisional(folder: RunFolder, level_index: int) -> manifests.Manifest:
    """The manifest of a run that had this level alone and was complete."""
    landed = [entry for entry in folder.levels() if entry["level"]["level_index"] == level_index]
    run = folder.run() | {"status": "complete", "failure": None, "ended_at": now(), "levels_measured": len(landed)}
    if not landed:
        raise WarehouseError(f"level {level_index} of {run['run_id']} has not landed: nothing to judge it by")
    [entry] = landed
    run |= {"rows_quarantined": entry["level"]["rows_quarantined"]}
    return manifests.Manifest(run, [entry["level"]], entry["parts"], plan={})


def _rows(con: duckdb.DuckDBPyConnection, table: str) -> list[Row]:
    found = con.execute(f"from curated.{table}")
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
