"""What the calculator on the page computes from: measured points, verdicts, time shares, price terms, demands.

The arithmetic is in `scripts/` (fleet, costs, ledger, answer); here rows of the warehouse only become JSON, under names that it knows.
"""

from collections.abc import Sequence
from typing import Any

from reports.loads import load_of
from reports.numbers import when
from reports.sections import Section
from reports.source import Row
from reports.words import slo_text, unit, verdict

_TERMS = (
    "price_plan", "price_kind", "currency", "price_source", "priced_unit", "gpus_per_server", "instances_per_unit",
    "unit_year_usd", "tokens_per_s", "usd_per_mtok_input", "usd_per_mtok_cached_input", "usd_per_mtok_output",
    "usd_per_mtok_reasoning",
)  # fmt: skip
_HARDWARE = ("gpus_per_instance", "gpus_per_server", "instances_measured")
_DEMAND = ("demand", "slo", "peak_rps", "mean_rps", "headroom", "spares", "uptime", "max_instances")
_SHARES = ("idle_share", "failed_share", "missed_share", "input_share", "output_share", "judged_requests", "failed_requests")  # fmt: skip
_CLASSES = ("failed", "missed", "good")
_TOKENS = ("input", "cached_input", "output", "reasoning")


def calculator(sections: Sequence[Section]) -> list[dict[str, Any]]:
    """One object for each endpoint x workload that an SLO was judged for."""
    return [_measured(section) for section in sections if section.best and section.points]


def traces(sections: Sequence[Section]) -> dict[str, dict[str, list[float]]]:
    """The recorded rates of demands and the share of the time at each, once for all endpoints."""
    return {
        name: {"rps": demand["trace_rps"], "shares": demand["trace_shares"]}
        for section in sections
        for demand in section.demands
        if (name := _trace_of(demand))
    }


def _measured(section: Section) -> dict[str, Any]:
    hardware = section.hardware
    run = next((run for run in section.runs if run["is_current"]), section.runs[0])
    return {
        "endpoint": section.endpoint,
        "workload": section.workload,
        "night": when(section.night),
        "role": run["role"] or "aggregated",
        "processor": unit(hardware),
        **{name: hardware[name] for name in _HARDWARE},
        "points": [_point(point) for point in section.points if point["is_valid"]],
        "slos": [_slo(section, best) for best in section.best],
        "plans": [{name: row[name] for name in _TERMS} for row in section.terms],
        "demands": _demands(section),
    }


def _point(point: Row) -> dict[str, Any]:
    load = point["concurrency"] if point["concurrency"] is not None else point["request_rate"]
    rates = ("request_rps", "request_rps_lo", "request_rps_hi", "request_rps_per_gpu", "e2e_mean_ms")
    tokens = {"isl": "input", "csl": "cached_input", "osl": "output", "rsl": "reasoning"}
    return {
        "id": point["operating_point_id"],
        "label": load_of(point),
        "load": load,
        "is_valid": point["is_valid"],
        **{name: point[name] for name in rates},
        **{short: point[f"{name}_tokens_mean"] for short, name in tokens.items()},
    }


def _slo(section: Section, best: Row) -> dict[str, Any]:
    slo, share = best["slo"], section.attainment_shares.get(best["slo"])
    points = {point["operating_point_id"]: point for point in section.points}
    said = verdict(best, points, by_share=share is not None)
    bounds = [(b.metric, b.statistic, b.limit) for b in section.bounds if b.slo == slo]
    return {
        "slo": slo,
        "asks": slo_text(bounds, share),
        "verdict": said[0],
        "detail": said[1],
        "judged": {
            row["operating_point_id"]: {"meets_slo": row["meets_slo"], "good_rps": row["good_rps"]}
            for row in section.attainment
            if row["slo"] == slo and points[row["operating_point_id"]]["is_valid"]
        },
        "shares": {row["operating_point_id"]: _shares(row) for row in section.time_shares if row["slo"] == slo},
    }


def _shares(row: Row) -> dict[str, Any]:
    tokens = [f"{group}_{kind}_tokens" for group in _CLASSES for kind in _TOKENS]
    return {name: row[name] for name in (*_SHARES, *tokens)}


def _demands(section: Section) -> list[dict[str, Any]]:
    return [{name: row[name] for name in _DEMAND} | {"trace": _trace_of(row)} for row in section.demands]


def _trace_of(demand: Row) -> str | None:
    """What `traces` calls the trace of a demand: endpoints of one night share it."""
    if not demand["trace_rps"]:
        return None
    return f"{demand['demand']} {demand['catalog_hash']} {demand['peak_rps']}"
