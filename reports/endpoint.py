"""One endpoint x workload as the template shows it: headlines, curves, rate card, points, client, runs."""

from typing import Any

from reports import loads, numbers, words
from reports.charts import charts
from reports.sections import Section
from reports.source import Row

_SERVER = ("server_running_mean", "server_waiting_mean", "kv_cache_usage_max", "server_prefix_cache_hit_share")
"""Columns of an operating point that the engine's own metrics page gives."""


def describe(section: Section, index: int) -> dict[str, Any]:
    """A section as the template wants it."""
    points = {point["operating_point_id"]: point for point in section.points}
    card = _card(section)
    return {
        "id": f"section-{index}",
        "data": section,
        "hardware": section.hardware,
        "processor": words.unit(section.hardware),
        "summary": _summary(section),
        "headlines": [_headline(section, best, points) for best in section.best],
        "charts": [{"id": f"curve-{index}-{number}", "about": chart} for number, chart in enumerate(charts(section))],
        "chosen": {best["operating_point_id"] for best in section.best},
        "reasons": words.reasons([point["validity"] for point in section.points]),
        "verdicts": _verdicts(section),
        "card": card,
        "is_priced": any(row["status"] == "chosen" and row["price_plan"] for row in card),
        "loads": loads.legend(section.points),
        "client_errors": _client_errors(section),
        "server_said": any(point[name] is not None for point in section.points for name in _SERVER),
        "power_known": any(point["gpu_power_w"] is not None for point in section.points),
        "current_runs": [run for run in section.runs if run["is_current"]],
    }


def _summary(section: Section) -> str:
    """The line beside its name, also while it is folded."""
    best = max((b["request_rps"] for b in section.best if b["status"] == "chosen"), default=None)
    chosen = sum(row["status"] == "chosen" for row in section.best)
    valid = sum(point["is_valid"] for point in section.points)
    held = f"{chosen} of {len(section.best)} SLOs held" if section.best else "no SLO"
    rate = f", up to {numbers.number(best)} requests/s" if best is not None else ""
    stale = "" if section.is_last_night else f", last measured {numbers.when(section.night)}"
    return f"{held}{rate}, {valid} of {len(section.points)} points valid{stale}"


def _card(section: Section) -> list[Row]:
    """The rate card; a demand without a chosen point stands in it once, not under every price plan."""
    unmet = {row["demand"]: row for row in reversed(section.card) if row["status"] != "chosen"}
    return [row for row in section.card if row["status"] == "chosen" or row is unmet[row["demand"]]]


def _client_errors(section: Section) -> dict[str, list[str]]:
    """The runs behind each error bar; all runs of a night share one unless they were begun apart."""
    said: dict[str, list[str]] = {}
    for run in section.runs:
        if run["is_current"]:
            said.setdefault(words.client_error(run), []).append(run["load"])
    return said


def _headline(section: Section, best: Row, points: dict[str, Row]) -> dict[str, Any]:
    bounds = [(b.metric, b.statistic, b.limit) for b in section.bounds if b.slo == best["slo"]]
    share = section.attainment_shares.get(best["slo"])
    verdict, detail = words.verdict(best, points, by_share=share is not None)
    fleets: dict[str, list[Row]] = {}
    for row in section.card:
        if row["slo"] == best["slo"]:
            fleets.setdefault(row["demand"], []).append(row)
    return {
        "slo": best["slo"],
        "status": best["status"],
        "asks": words.slo_text(bounds, share),
        "verdict": verdict,
        "detail": detail,
        "fleets": [words.fleet(rows, words.unit(section.hardware)) for rows in fleets.values()],
    }


def _verdicts(section: Section) -> dict[str, dict[str, str]]:
    """By point, then SLO: chosen, met, missed or undecided, with the attainment where it decides."""
    chosen = {(best["operating_point_id"], best["slo"]) for best in section.best}
    said: dict[str, dict[str, str]] = {point["operating_point_id"]: {} for point in section.points}
    for row in section.attainment:
        word = "chosen" if (row["operating_point_id"], row["slo"]) in chosen else row["verdict"]
        share = f", {numbers.percent(row['attainment'])}" if row["attainment_share"] is not None else ""
        said[row["operating_point_id"]][row["slo"]] = word + share
    return said
