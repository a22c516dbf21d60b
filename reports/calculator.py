"""What the calculator on the page computes from: measured points, verdicts, time shares, price terms, demands.

The arithmetic is in `scripts/` (fleet, costs, ledger, answer); here rows of the warehouse only become JSON, under names that it knows.
"""

from collections.abc import Sequence
from typing import Any

from reports.loads import load_of
from reports.numbers import when
from reports.sections import Section
from reports.source import Row, Source
from reports.words import slo_text, unit, verdict

_TERMS = (
    "price_plan", "price_kind", "currency", "price_source", "priced_unit", "gpus_per_server", "instances_per_unit",
    "unit_year_usd", "tokens_per_s", "usd_per_mtok_input", "usd_per_mtok_cached_input", "usd_per_mtok_output",
    "usd_per_mtok_reasoning",
)  # fmt: skip
_HARDWARE = ("gpus_per_instance", "gpus_per_server", "instances_measured")
_DEMAND = ("demand", "slo", "peak_rps", "mean_rps", "headroom", "spares", "uptime", "max_instances", "growth_factor")
_SHARES = ("idle_share", "failed_share", "missed_share", "input_share", "output_share", "judged_requests", "failed_requests")  # fmt: skip
_CLASSES = ("failed", "missed", "good")
_TOKENS = ("input", "cached_input", "output", "reasoning")


MOST_RATES, MOST_RATES_IN_ALL = 1_000, 10_000
"""Rates of a recorded demand that the page carries, of one and of all; `sql/traces.sql` joins those beyond."""


def calculator(source: Source, sections: Sequence[Section]) -> dict[str, Any]:
    """`measured`: one object for each endpoint x workload that an SLO was judged for; `traces`: what demands recorded."""
    traces = source.rows("traces", [MOST_RATES, MOST_RATES_IN_ALL])
    places = {
        (of["catalog_hash"], of["demand"]): place for place, trace in enumerate(traces) for of in trace["of_demands"]
    }
    return {
        "measured": [_measured(section, places) for section in sections if section.best and section.points],
        "traces": [{name: trace[name] for name in ("recorded", "error_share", "rps", "shares")} for trace in traces],
    }


def _measured(section: Section, traces: dict[tuple[str, str], int]) -> dict[str, Any]:
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
        "demands": [_demand(row, traces) for row in section.demands],
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


def _demand(row: Row, traces: dict[tuple[str, str], int]) -> dict[str, Any]:
    """`trace` is the place of its recorded rates among `traces`; on its night they have grown by `growth_factor`."""
    return {name: row[name] for name in _DEMAND} | {"trace": traces.get((row["catalog_hash"], row["demand"]))}
