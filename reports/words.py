"""What the page says in words: verdicts, misses and reasons, in the reader's terms."""

import math
from collections.abc import Sequence
from typing import Any

from reports.loads import load_of
from reports.moved import certainty
from reports.numbers import DASH, interval, money, number, percent, signed_percent

Row = dict[str, Any]

METRICS = {
    "ttft": "TTFT",
    "ttft_from_schedule": "TTFT from schedule",
    "ttfa": "TTFA",
    "tpot": "TPOT",
    "itl": "ITL",
    "e2e": "E2E",
    "ntpot": "NTPOT",
    "interactivity": "interactivity",
    "error_share": "error share",
    "quality_score": "quality score",
}

STATUSES = {
    "infeasible": "infeasible: no valid point meets the SLO",
    "undecided": "undecided: no point can be judged by the SLO",
    "no_valid_point": "no valid operating point",
    "unknown_power": "the power of this endpoint is not known, and the demand has a power budget",
}
"""Why a demand has no fleet."""

BUCKETS = {
    "output": "Output of good requests",
    "input": "Input of good requests",
    "cached_input": "Cached input of good requests",
    "slo_missed": "Requests beyond the SLO",
    "failed": "Failed requests",
    "idle": "Idle: hours below the peak, downtime, rounding up",
    "headroom": "Headroom above the peak",
    "spare": "Spare instances",
    "stranded": "Stranded: GPUs that no instance uses",
    "unallocated": "Not known which",
}
"""Buckets of the ledger, from what served a request to what stood by."""


def mark_text(row: Row) -> str:
    """What is marked on a trend: a change of performance, of prices, or of what is asked."""
    if row["kind"] in ("price", "scope"):
        what = "prices changed" if row["kind"] == "price" else "what is asked changed (demand, SLO)"
        return f"{what}: {signed_percent(row['share'])}"
    suspects = f"; changed then: {', '.join(row['suspects'])}" if row["suspects"] else ""
    since = f"since {row['step_night']:%Y-%m-%d}"
    head = f"{signed_percent(row['share'])} GPU time for the same work {since}"
    return f"{head}, {certainty(row['confidence'])} sure{suspects}"


VALIDITY = {
    "imported_summary": "figures of another tool over its whole test, without a steady-state window of ours: it may be chosen",
    "retracted": "its run was retracted after it was measured: kept and shown, never chosen",
    "client_bound": "the load generator was the limit (over 85 % of a core, over 1 % of the requests sent late, or "
    "event-loop lag without kernel stamps); the endpoint may be faster. Of fewer than 100 requests one that is late is "
    "enough: measure more",
    "unsteady": "fewer requests were in flight than the level asked for (below 95 % of its concurrency), or its queue only "
    "grew and it was stopped (over-saturated), or one of its workers died",
    "under_sampled": "too few requests completed in the steady-state window (under 5 × concurrency, or no window), or the level "
    "ended before the later turns of its conversations (more than half as many left out as were sent): measure longer",
    "cache_contaminated": "the server answered over 1 % of the input from a cache, in a workload that shares no prefix",
    "osl_mismatch": "the mean output length is more than 5 % off the length that was asked for",
    "errors_high": "more than 5 % of the requests failed",
    "clock_suspect": "time stamps were impossible in more than 1 % of the requests, the clock was stepped by over 50 ms, "
    "or calibration found the client's median wrong by over 1 ms (TTFT) or 0.5 ms (ITL)",
    "littles_law": "requests in flight, rate and latency contradict each other (Little's law)",
}


def client_error(run: Row) -> str:
    """The error bar of a run: how wrong its client was at the reference endpoint."""
    if run.get("suite") == "imported":
        return "not known: measured by another tool"
    if run["calibration_streams"] is None:
        return "not known: no calibration before this run"
    ttft, itl = (
        " / ".join(f"{run[f'calibration_{metric}_error_{statistic}_ms']:+z.2f}" for statistic in ("p50", "p99"))
        for metric in ("ttft", "itl")
    )
    rate = run["calibration_tokens_per_s"]
    held = "no token rate that was tried held" if rate is None else f"up to {number(rate, 2)} tokens/s held"
    return f"TTFT p50 / p99 {ttft} ms, ITL {itl} ms at {run['calibration_streams']} streams; {held}"


def unit(point: Row) -> str:
    """What throughput is a share of: an endpoint without GPUs counts CPUs in their place."""
    return "CPU" if point["accelerator"] == "cpu" else "GPU"


def reasons(validity: Sequence[str]) -> dict[str, str]:
    """The reasons that occur among `validity` values, explained."""
    named = {reason for text in validity for reason in text.split(",") if reason != "valid"}
    return {
        reason: VALIDITY.get(reason, "a reason that this version of the report does not know")
        for reason in sorted(named)
    }


def slo_text(bounds: Sequence[tuple[str, str | None, float]], attainment_share: float | None) -> str:
    """An SLO as a sentence: bounds are (metric, statistic, limit)."""
    if not bounds:
        return "no bounds: the highest throughput"
    limits = " and ".join(_bound(*bound) for bound in bounds)
    return limits if attainment_share is None else f"{percent(attainment_share)} of requests within {limits}"


def _bound(metric: str, statistic: str | None, limit: float) -> str:
    name = f"{METRICS.get(metric, metric)} {_statistic(statistic)}".strip()
    return f"{name} ≥ {number(limit)} tokens/s" if metric == "interactivity" else f"{name} ≤ {number(limit)} ms"


def _statistic(statistic: str | None) -> str:
    return (statistic or "").replace("_", ".")


def verdict(best: Row, points: dict[str, Row], *, by_share: bool) -> tuple[str, str]:
    """The headline of one SLO and its detail: where to run, or why nowhere.

    `points` by operating_point_id; `by_share`: a share of good requests decides.
    """
    if best["status"] == "chosen":
        point = points[best["operating_point_id"]]
        return f"Run at {load_of(point)}", _chosen(best, point, by_share)
    if best["status"] == "infeasible":
        near = points.get(best["nearest_operating_point_id"])
        return (
            "Infeasible: no valid point meets it",
            f"Nearest miss: {_miss(best)}{f', at {load_of(near)}' if near else ''}.",
        )
    if best["status"] == "undecided":
        return "Undecided: no point can be judged", f"{best['reasons']} (too few samples, or no token counts)."
    named = reasons((best["reasons"] or "").split("; ")) if best["points"] else {}
    return "No valid point to choose from", f"{'; '.join(named.values()) or best['reasons']}."


def _chosen(best: Row, point: Row, by_share: bool) -> str:
    rate = f"{number(best['request_rps'])} requests/s"
    if spread := interval(best["request_rps_lo"], best["request_rps_hi"]):
        rate += f" ({spread})"
    tokens = "" if point["output_tps"] is None else f", {number(point['output_tps'])} output tokens/s"
    share = f", {percent(best['attainment'])} of requests good" if by_share else ""
    doubt = " (within the sampling error of the limit)" if best["meets_slo_confident"] is False else ""
    return f"{rate}{tokens}{share}{doubt}."


def _miss(best: Row) -> str:
    metric, value, limit = best["nearest_metric"], best["nearest_value"], best["nearest_limit"]
    by = percent(best["nearest_excess"]) if _finite(best["nearest_excess"]) else None
    if metric == "attainment":
        return f"{percent(value)} of requests are good where {percent(limit)} must be{f', {by} short' if by else ''}"
    name = f"{METRICS.get(metric, metric)} {_statistic(best['nearest_statistic'])}".strip()
    if not _finite(value):
        return f"{name} has no bound, for too many requests failed, against a limit of {number(limit)}"
    if metric in ("interactivity", "quality_score"):
        per = " tokens/s" if metric == "interactivity" else ""
        return f"{name} {number(value)}{per} where {number(limit)} is the least{f', {by} short' if by else ''}"
    if metric == "error_share":
        return f"{percent(value)} of requests failed where {percent(limit)} may"
    return f"{name} {number(value)} ms against a limit of {number(limit)} ms{f', {by} over' if by else ''}"


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def fleet(rows: Sequence[Row], processor: str) -> str:
    """The headline of one demand, from its rows of the rate card (one a price plan)."""
    first = rows[0]
    said = f"{first['demand']}, peak {number(first['peak_rps'])} requests/s: "
    if first["servers"] is None:
        return f"{said}no fleet without a chosen point."
    hardware = f"{_count(first['servers'], 'server')} ({_count(first['gpus'], processor)}"
    said += f"{hardware}, {percent(first['utilisation'])} utilised)"
    if first["share_of_load_served"] is not None and first["share_of_load_served"] < 1:
        said += f"; the budget carries only {percent(first['share_of_load_served'])} of the peak"
    prices = [f"{_price(row)} on {row['price_plan']}" for row in rows if row["price_plan"]]
    return f"{said}; {', '.join(prices) if prices else 'no price plan fits its hardware'}."


def _price(row: Row) -> str:
    if row["usd_per_mtok"] is not None:
        return f"{money(row['usd_per_mtok'], row['currency'])} per 1M tokens"
    if row["usd_per_1k_prompts"] is not None:
        return f"{money(row['usd_per_1k_prompts'], row['currency'])} per 1k prompts (token counts unknown)"
    return DASH


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
