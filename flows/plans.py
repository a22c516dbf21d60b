"""Which runs a suite means, and what `ratecard plan` shows of them."""

from datetime import datetime
from typing import Any

from loadgen.plan import PROBE_STAGES, LevelPlan, RunPlan, plan_run
from schemas.catalog import Catalog
from schemas.errors import UsageError


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


def plan_rows(plans: list[RunPlan], pace: dict[tuple[str, str, int], float]) -> list[dict[str, Any]]:
    """One row a level; `expected_s` from the level's duration or an earlier night's `pace` (seconds a request)."""
    return [
        _row(plan, level, pace.get((plan.endpoint, plan.workload, level.concurrency)))
        for plan in plans
        for level in plan.levels
    ]


def _row(plan: RunPlan, level: LevelPlan, seconds_per_request: float | None) -> dict[str, Any]:
    expected = level.duration_s
    if expected is None and seconds_per_request is not None:
        expected = min(seconds_per_request * (level.least_requests + level.warmup_requests), level.max_duration_s)
    return {
        "suite": plan.suite,
        "endpoint": plan.endpoint,
        "workload": plan.workload,
        "load": plan.load,
        "level": level.level_index,
        "concurrency": level.concurrency,
        "warmup_requests": level.warmup_requests,
        "requests": level.least_requests,
        "requests_are": "exact" if level.duration_s is None else "at least",
        "expected_s": expected,
        "at_most_s": level.max_duration_s,
    }


def plan_summary(plans: list[RunPlan], rows: list[dict[str, Any]]) -> str:
    """The whole in words: runs, requests, time."""
    requests = sum(row["requests"] + row["warmup_requests"] for row in rows) + sum(PROBE_STAGES) * len(plans)
    least = "" if all(row["requests_are"] == "exact" for row in rows) else "at least "
    known = [row["expected_s"] for row in rows if row["expected_s"] is not None]
    at_most = sum(row["at_most_s"] for row in rows)
    time = (
        f"about {sum(known):.0f} s"
        if len(known) == len(rows)
        else f"at most {at_most:.0f} s (no earlier night to tell how long)"
    )
    where = ", ".join(sorted({"a local engine" if plan.launch else plan.target.url for plan in plans}))
    return f"{len(plans)} runs, {len(rows)} levels, {least}{requests} requests (warm-up and probes included), {time}, to {where}. Nothing was sent."
