"""Throughput–latency charts: which latencies are drawn, and what is drawn of each operating point."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reports.loads import load_label, load_of
from reports.numbers import interval, number, percent
from reports.placing import Across, labels, limit_lines
from reports.sections import Bound, Section
from reports.words import METRICS, unit
from schemas.columns import STATISTICS

Row = dict[str, Any]

_INTERACTIVITY = {"mean": "mean", "p50": "p50", "p75": "p25", "p90": "p10", "p95": "p5", "p99": "p1"}
"""The slow tail of interactivity is its low percentile."""


@dataclass(frozen=True)
class Axis:
    """A latency metric and statistic, and the SLO limits on it as (label, limit)."""

    metric: str
    statistic: str
    limits: tuple[tuple[str, float], ...] = ()

    @property
    def column(self) -> str:
        """Its column of curated.operating_points."""
        if self.metric == "interactivity":
            return f"interactivity_{_INTERACTIVITY[self.statistic]}_tps"
        return f"{self.metric}_{self.statistic}_ms"

    @property
    def frontier(self) -> tuple[str, str]:
        """Its metric and statistic in curated.pareto_frontier."""
        return self.metric, _INTERACTIVITY[self.statistic] if self.metric == "interactivity" else self.statistic

    @property
    def name(self) -> str:
        """For a title."""
        return f"{METRICS[self.metric]} {self.frontier[1].replace('_', '.')}"

    @property
    def unit(self) -> str:
        """Of its values."""
        return "tokens/s/user" if self.metric == "interactivity" else "ms"


@dataclass(frozen=True)
class Chart:
    """A drawn chart: `drawing` fills the template `curve`, null where no point has both; `missing` counts those left out."""

    axis: Axis
    throughput: str
    drawing: dict[str, Any] | None
    missing: int


def charts(section: Section) -> list[Chart]:
    """One chart for each latency that an SLO bounds; TTFT and TPOT where none does."""
    return [_chart(section, axis) for axis in axes(section)] if section.points else []


def axes(section: Section) -> list[Axis]:
    """The latencies to draw, each with all its limits."""
    limits: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for bound in section.bounds:
        label = _limit(bound, section.attainment_shares.get(bound.slo))
        limits.setdefault((bound.metric, _statistic(section, bound)), []).append((label, bound.limit))
    drawn = limits or {("ttft", "p50"): [], ("tpot", "p50"): []}
    return [Axis(metric, statistic, tuple(found)) for (metric, statistic), found in drawn.items()]


def _limit(bound: Bound, share: float | None) -> str:
    """What the limit asks, with the share of requests that must be within it where that is what decides."""
    sign, per = ("≥", "tokens/s") if bound.metric == "interactivity" else ("≤", "ms")
    needed = f": {percent(share)}" if bound.statistic is None and share else ""
    return f"{bound.slo}{needed} {sign} {number(bound.limit)} {per}"


def _statistic(section: Section, bound: Bound) -> str:
    """The statistic that the bound states; where a share of requests decides, the percentile of that share.

    A bound holds for 90 % of the requests just where its p90 is within the limit. A lower percentile stands in where
    the samples of some point are too few for it.
    """
    if bound.statistic is not None:
        return bound.statistic
    share = section.attainment_shares.get(bound.slo, 0.5)
    known = {
        name: sum(_finite(p.get(Axis(bound.metric, name).column)) for p in section.points) for name in _INTERACTIVITY
    }
    fitting = [name for name, q in STATISTICS.items() if q is not None and name in known and q <= max(share, 0.5)]
    return next((name for name in reversed(fitting) if known[name] == known["p50"]), "p50")


def _chart(section: Section, axis: Axis) -> Chart:
    has_tokens = any(_finite(point["output_tps_per_gpu"]) for point in section.points)
    throughput = "output_tps" if has_tokens else "request_rps"
    values = [row for point in section.points if (row := _mark(section, point, axis, throughput))]
    title = f"{'Output tokens/s' if has_tokens else 'Requests/s'} per {unit(section.points[0])}"
    described = f"{title} against {axis.name}: {section.endpoint} with {section.workload}, {len(values)} load levels"
    drawing = _drawing(values, axis, title, described) if values else None
    return Chart(axis, title, drawing, len(section.points) - len(values))


def _drawing(marks: Sequence[Row], axis: Axis, y_title: str, description: str) -> dict[str, Any]:
    across = Across.of([mark["x"] for mark in marks] + [limit for _, limit in axis.limits])
    top = 1.25 * max(mark["y"] for mark in marks) or 1
    return {
        "kind": "curve",
        "values": {
            "x_title": across.titled(f"{axis.name} ({axis.unit})"),
            "y_title": y_title,
            "x_scale": across.scale,
            "y_scale": {"domain": [0, top], "nice": False},
            "description": description,
        },
        "data": {
            "points": list(marks),
            "labels": labels(marks, across, top),
            "limits": limit_lines(axis.limits, across),
        },
    }


def _mark(section: Section, point: Row, axis: Axis, throughput: str) -> Row | None:
    """What is drawn of a point; null where latency or throughput is not known."""
    x, y = point.get(axis.column), point[f"{throughput}_per_gpu"]
    if not (_finite(x) and _finite(y)):
        return None
    ident = point["operating_point_id"]
    chosen = [row["slo"] for row in section.best if row["operating_point_id"] == ident]
    standing = _standing(section, point, (*axis.frontier, throughput))
    return {
        "x": x,
        "y": y,
        "run": point["run_id"],
        "order": point["concurrency"] if point["concurrency"] is not None else point["request_rate"],
        "label": load_label(point),
        "standing": standing,
        "chosen": bool(chosen),
        "tip": _tip(point, standing, chosen),
    }


def _standing(section: Section, point: Row, frontier: tuple[str, str, str]) -> str:
    if not point["is_valid"]:
        return "invalid"
    words = {True: "frontier", False: "dominated", None: "plain"}
    return words[section.on_frontier.get((point["operating_point_id"], *frontier))]


def _tip(point: Row, standing: str, chosen: Sequence[str]) -> dict[str, str]:
    words = {"frontier": "on the frontier", "dominated": "dominated", "plain": "valid", "invalid": "not valid"}
    return {
        "load": load_of(point),
        "standing": words[standing] + (f"; chosen for {', '.join(chosen)}" if chosen else ""),
        "requests/s": _rate(point, "request_rps"),
        "output tokens/s": _rate(point, "output_tps"),
        **{
            f"{METRICS[m]} p50 / p90": f"{number(point[f'{m}_p50_ms'])} / {number(point[f'{m}_p90_ms'])} ms"
            for m in ("ttft", "tpot", "e2e")
        },
        "errors": percent(point["error_share"]),
        "validity": point["validity"].replace(",", ", "),
    }


def _rate(point: Row, name: str) -> str:
    spread = interval(point[f"{name}_lo"], point[f"{name}_hi"])
    return number(point[name]) + (f" ({spread})" if spread else "")


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
