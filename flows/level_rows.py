"""The columns of `raw.levels` that the workers' last words give."""

from collections.abc import Sequence
from typing import Any

from flows.children import Event
from loadgen.spec import ShardSpec

GRAVITY = ("error_share", "interrupted", "over_saturated", "max_duration", "confidence", "duration", "count")
"""Stop reasons, the gravest first: it stands for the level where shards differ."""


def level_row(spec: ShardSpec, search: str, broken: BaseException | None, done: Sequence[Event]) -> dict[str, Any]:
    """Columns of `raw.levels`, but the row counts that landing adds.

    `spec` is one of the level's, `search` how its load was chosen (sweep, saturate, goodput), `broken` what a worker
    ended with that could not go on, `done` the others' last events.
    """
    reason = next((reason for reason in GRAVITY if any(event["stop_reason"] == reason for event in done)), None)
    status, failure = _ending(reason, broken, done)
    return {
        "level_index": spec.identity["level_index"],
        "load_kind": spec.shape.kind,
        "concurrency": spec.shape.concurrency,
        "request_rate": spec.shape.rate,
        "arrivals": spec.shape.arrivals,
        "search": search,
        "shards": spec.shards,
        "status": status,
        "stop_reason": reason,
        "failure": failure,
        "client_cpu_share": _worst(done, "cpu_share"),
        "loop_lag_p99_ms": _worst(done, "loop_lag_p99_ms"),
        "late_start_ms": _worst(done, "late_start_ms"),
        "turns_left_out": _sum(done, "turns_left_out"),
    }


def _ending(reason: str | None, broken: BaseException | None, done: Sequence[Event]) -> tuple[str, str | None]:
    if broken is not None:
        return "failed", str(broken)
    if reason == "error_share":
        first = next(
            event["first_failure"] for event in done if event["stop_reason"] == reason and event["first_failure"]
        )
        return "stopped", f"too many requests failed; the first: {first['outcome']}: {first['error']}"
    if reason == "interrupted":
        return "interrupted", "stopped on request"
    if reason == "over_saturated":
        return "stopped", "over-saturated: requests came faster than they were served, and the queue only grew"
    return "complete", None


def _sum(done: Sequence[Event], measure: str) -> int | None:
    known = [event[measure] for event in done if event.get(measure) is not None]  # another machine's may be older
    return sum(known) if known else None


def _worst(done: Sequence[Event], measure: str) -> float | None:
    known = (event["health"].get(measure) for event in done if event["health"])  # another machine's may be older
    return max((value for value in known if value is not None), default=None)
