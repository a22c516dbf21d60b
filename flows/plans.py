"""Which runs a suite means, and what `ratecard plan` shows of them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from loadgen.plan import PROBE_STAGES, LevelPlan, RunPlan, plan_run
from schemas.catalog import Catalog
from schemas.errors import UsageError
from warehouse import manifests
from warehouse.home import Home


def plan_suites(catalog: Catalog, suite: str | None, schedule: str | None, night: datetime) -> list[RunPlan]:
    """Runs of `suite`, or of every suite with `schedule`, in the catalog's order.

    Raises:
        UsageError: no such suite, or none with that schedule.

    """
    if (suite is None) == (schedule is None):
        raise UsageError("give a suite or a schedule, one of the two")
    names = [suite] if suite is not None else [name for name, s in catalog.suites.items() if s.schedule == schedule]
    have = ", ".join(catalog.suites) or "none"
    if not names:
        raise UsageError(f"no suite has the schedule {schedule!r} (suites.yaml has {have})")
    if names[0] not in catalog.suites:
        raise UsageError(f"no suite {names[0]!r} in suites.yaml: expected one of {have}")
    return [plan for name in names for plan in _plan_suite(catalog, name, night)]


def _plan_suite(catalog: Catalog, suite: str, night: datetime) -> list[RunPlan]:
    return [
        plan_run(
            suite=suite,
            names=(endpoint, workload, load),
            endpoint=catalog.endpoints[endpoint],
            workload=catalog.workloads[workload],
            load=catalog.loads[load],
            night=night,
        )
        for entry in catalog.suites[suite].measure
        for endpoint in entry.endpoints
        for workload in entry.workloads
        for load in entry.loads
    ]


LEVEL_FIELDS = (
    "level", "shape", "concurrency", "request_rate", "arrivals", "shards", "warmup_requests", "requests",
    "requests_are", "expected_s", "at_most_s",
)  # fmt: skip


def is_measured(home: Home, plan: RunPlan) -> bool:
    """Whether the night of `plan` is measured already, so that nothing is to be done; what was retracted is not."""
    attempts = manifests.attempts(home, plan.run_id, plan.run_date)
    return any(run["status"] == "complete" and run["retracted_at"] is None for run in attempts)


def plan_rows(plans: list[RunPlan], pace: dict[tuple[str, str, int], float]) -> list[dict[str, Any]]:
    """One row a level, and one for a search; null where it cannot be known beforehand.

    `expected_s` comes from the level's duration, its rate, or an earlier night's `pace` (seconds a request).
    """
    return [row for plan in plans for row in _rows(plan, pace)]


def _rows(plan: RunPlan, pace: dict[tuple[str, str, int], float]) -> Iterator[dict[str, Any]]:
    if plan.search is not None:
        yield _names(plan) | _of_search(plan.search)
    for level in plan.levels:
        yield _names(plan) | _of_level(level, pace.get((plan.endpoint, plan.workload, level.shape.concurrency or 0)))


def _names(plan: RunPlan) -> dict[str, Any]:
    return {"suite": plan.suite, "endpoint": plan.endpoint, "workload": plan.workload, "load": plan.load}


def _of_search(search: dict[str, Any]) -> dict[str, Any]:
    holds = f" that holds {search['slo']}" if search["slo"] else ""
    return dict.fromkeys(LEVEL_FIELDS) | {
        "shape": f"search: {search['kind']} over {search['over']} {search['start']:g}–{search['max']:g}{holds}",
        "requests_are": "unknown",
    }


def _of_level(level: LevelPlan, seconds_per_request: float | None) -> dict[str, Any]:
    shape, stop = level.shape, level.stop
    return {
        "level": level.level_index,
        "shape": shape.label,
        "concurrency": shape.concurrency,
        "request_rate": shape.rate,
        "arrivals": shape.arrivals,
        "shards": level.shards,
        "warmup_requests": level.warmup_requests,
        "requests": level.least_requests,
        "requests_are": "exact" if stop.requests is not None else "at least",
        "expected_s": _expected_s(level, seconds_per_request),
        "at_most_s": stop.max_duration_s,
    }


def _expected_s(level: LevelPlan, seconds_per_request: float | None) -> float | None:
    shape, stop = level.shape, level.stop
    if stop.duration_s is not None:
        return stop.duration_s
    if shape.rate is not None:  # a ramp's mean is halfway
        mean = (shape.ramp_from + shape.rate) / 2 if shape.arrivals == "ramp" else shape.rate
        seconds_per_request = 1 / mean
    if seconds_per_request is None:
        return None
    return min(seconds_per_request * (level.least_requests + level.warmup_requests), stop.max_duration_s)


def plan_summary(plans: list[RunPlan], rows: list[dict[str, Any]]) -> str:
    """The whole in words: runs, requests, time."""
    levels = [row for row in rows if row["level"] is not None]
    searches = len(rows) - len(levels)
    requests = sum(row["requests"] + row["warmup_requests"] for row in levels) + sum(PROBE_STAGES) * len(plans)
    least = "" if all(row["requests_are"] == "exact" for row in rows) else "at least "
    counts = [f"{len(plans)} runs"]
    counts += [f"{len(levels)} levels"] if levels else []
    counts += [f"{searches} searches (levels found as they go)"] if searches else []
    where = ", ".join(sorted({"a local engine" if plan.launch else plan.target.url for plan in plans}))
    return (
        f"{', '.join(counts)}, {least}{requests} requests (warm-up and probes included), {_time(rows)}, to {where}. "
        f"{_left_out(plans)}Nothing was sent."
    )


def _left_out(plans: list[RunPlan]) -> str:
    """What the files of data sets and traces hold that cannot be sent."""
    skipped = {plan.workload: plan.workload_config["entries_skipped"] for plan in plans}
    return "".join(
        f"{workload} leaves {count:,} entries of its file out, which say nothing or not how long the answer is. "
        for workload, count in skipped.items()
        if count
    )


def _time(rows: list[dict[str, Any]]) -> str:
    if any(row["at_most_s"] is None for row in rows):
        return "as long as the searches take"
    known = [row["expected_s"] for row in rows if row["expected_s"] is not None]
    if len(known) == len(rows):
        return f"about {sum(known):.0f} s"
    return f"at most {sum(row['at_most_s'] for row in rows):.0f} s (no earlier night to tell how long)"
