"""A search: the levels of a run are found while measuring, each tried as an ordinary level of the run."""

import asyncio
import json
import math
from dataclasses import asdict, replace
from typing import Any

from flows.levels import around, measured
from loadgen.plan import LevelPlan, RunPlan, closed_level, open_level
from loadgen.search import Found, Trial, search_of, verdict
from schemas.catalog import Catalog
from schemas.catalog.loads import Load
from schemas.errors import UsageError
from warehouse.files import write_bytes
from warehouse.preview import Preview, preview
from warehouse.runs import RunFolder


async def search(plan: RunPlan, folder: RunFolder, catalog: Catalog) -> tuple[str, str | None]:
    """Measure levels until the search of `plan` has found what it looks for; returns the run's (status, failure).

    Raises:
        UsageError: the SLO that is to hold does not apply to the workload.
        WarehouseError: a level cannot be judged.

    """
    here, config, load = around.get(), plan.search, catalog.loads[plan.load]
    assert config is not None
    _check_slo(plan, catalog, config["slo"])
    looking = search_of(config)
    failure, delivered = None, False
    while not here.stop.is_set() and (trial := looking.next()) is not None:
        level = level_of(load, len(plan.levels) + 1, trial)
        plan = replace(plan, levels=(*plan.levels, level))
        _note_begun(folder, plan)
        again = f", {trial.lengthen} times as long" if trial.lengthen > 1 else ""
        here.progress.say(f"{config['kind']} search: trying {looking.label(trial.load)}{again}")
        row = await measured(folder, level)
        if row["status"] == "failed":
            return "failed", f"level {level.shape.label} was given up: {row['failure']}"
        if row["status"] == "interrupted":
            break
        failure = row["failure"] if row["stop_reason"] == "error_share" else None
        delivered = delivered or failure is None
        found = await _learned(folder, row, level.level_index, config["slo"])
        here.progress.say(f"  {looking.label(trial.load)}: {found.note}")
        looking.tell(trial, found)
    if here.stop.is_set():
        return "interrupted", "stopped on request; what was measured is kept"
    if not delivered:
        return "failed", f"every level that the search tried was given up: {failure}"
    here.progress.say(looking.finding)
    return "complete", None


def level_of(load: Load, index: int, trial: Trial) -> LevelPlan:
    """Level `index` of a run, as the search wants it."""
    assert load.search is not None
    closed = load.search.over == "concurrency"
    level = closed_level(load, index, int(trial.load)) if closed else open_level(load, index, trial.load)
    stop, times = level.stop, trial.lengthen
    longer = replace(
        stop,
        requests=None if stop.requests is None else stop.requests * times,
        duration_s=None if stop.duration_s is None else stop.duration_s * times,
        min_requests=stop.min_requests * times,
        max_duration_s=stop.max_duration_s * times,
    )
    return replace(level, stop=longer)


def _check_slo(plan: RunPlan, catalog: Catalog, name: str | None) -> None:
    slo = catalog.slos[name] if name is not None else None
    if slo is not None and slo.workloads and plan.workload not in slo.workloads:
        raise UsageError(
            f"the search of load {plan.load!r} is to hold {name!r}, which does not apply to workload {plan.workload!r} "
            f"(slos.yaml: workloads: {', '.join(slo.workloads)})"
        )


def _note_begun(folder: RunFolder, plan: RunPlan) -> None:
    """Before a level starts: its run would be closed by what stands in the folder if this process died."""
    write_bytes(folder.plan_path, json.dumps(asdict(plan), indent=1, sort_keys=True).encode())
    folder.update(levels_planned=len(plan.levels))


async def _learned(folder: RunFolder, row: dict[str, Any], level_index: int, slo: str | None) -> Found:
    """What a landed level says for the search."""
    if row["stop_reason"] == "error_share":
        return Found(None, gave_up=True, note=row["failure"])
    figures = await asyncio.to_thread(preview, folder, level_index)
    return replace(_found(figures, slo), gave_up=row["status"] == "stopped")


def _found(figures: Preview, slo: str | None) -> Found:
    """The figures that decide, also in words."""
    point = figures.point or {}
    validity = point.get("validity", "valid")
    doubt = "" if validity == "valid" else f"; {validity}"
    rps = _throughput(point)
    if slo is None:
        return Found(rps, note=("no throughput" if rps is None else f"{rps:.4g} requests/s") + doubt)
    judged = figures.attainment.get(slo)
    holds = verdict(judged)
    if holds is False and "client_bound" in validity:
        holds = None  # not the endpoint's doing: the level is measured again, for longer
    return Found(rps, holds=holds, note=_said(judged) + doubt)


def _throughput(point: dict[str, Any]) -> float | None:
    """Requests/s of a level; the rate that was offered where an open loop kept up with it.

    Arrivals are random: short levels of two rates may well deliver alike, and that would look like a plateau. A level
    keeps up if what is under way has grown by at most a tenth of what came, or by what chance adds (two sigma).
    """
    rps: float | None = point.get("request_rps")
    if rps is None or point.get("load_kind") != "open" or point["completions_in_window"] is None:
        return rps
    came, left = point["requests_in_window"], point["requests_in_window"] - point["completions_in_window"]
    kept_up = left <= max(0.1 * came, 2 * math.sqrt(came))
    return float(point["request_rate"]) if kept_up else rps


def _said(judged: dict[str, Any] | None) -> str:
    """What decides an SLO, with its figures."""
    if judged is None:
        return "not enough requests to judge"
    if judged["attainment_share"] is not None and judged["attainment"] is not None:
        return "attainment {attainment:.3f}, {attainment_lo:.3f}–{attainment_hi:.3f}".format(**judged)
    if judged["worst_value"] is None:
        return f"{judged['worst_metric'] or 'the SLO'} cannot be judged: too few requests"
    return "{} {} {:.4g}, limit {:.4g}".format(
        judged["worst_metric"], judged["worst_statistic"] or "", judged["worst_value"], judged["worst_limit"]
    ).replace("  ", " ")
