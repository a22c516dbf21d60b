"""The Vega-Lite specification of a throughput–latency chart.

Colours are CSS variables of the page, so that a chart follows the reader's theme, and print, without being redrawn.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import altair as alt

Mark = dict[str, Any]
Limits = Sequence[tuple[str, float]]

_LOG_FROM = 25
"""Largest ÷ smallest latency from which a linear axis would press the light loads together."""

_LABEL_WIDTH, _LABEL_HEIGHT = 0.08, 0.045
"""Of a point's label, as shares of the chart's: 32 of 400 and 13 of 300 pixels."""

_CROSS = "M-1,-1L1,1M-1,1L1,-1"
_FONT = "system-ui, sans-serif"
_THEME: dict[str, Any] = {
    "background": "transparent",
    "font": _FONT,
    "autosize": {"type": "fit-x", "contains": "padding"},
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--soft)",
        "labelFontSize": 12,
        "titleColor": "var(--ink)",
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "gridColor": "var(--line)",
        "domainColor": "var(--faint)",
        "tickColor": "var(--faint)",
    },
}


def spec(marks: Sequence[Mark], *, x_title: str, y_title: str, limits: Limits, description: str) -> dict[str, Any]:
    """Vega-Lite of `marks`: x, y, run, order, label, standing (frontier, dominated, plain or invalid), chosen, tooltip.

    All x and y must be finite. `limits` are (label, x).
    """
    across = _Across.of([mark["x"] for mark in marks] + [limit for _, limit in limits])
    top = 1.25 * max(mark["y"] for mark in marks) or 1
    y = alt.Y("y", type="quantitative", title=y_title, scale=alt.Scale(domain=[0, top]))
    points = alt.Chart(alt.InlineData(values=[_flat(mark) for mark in marks])).encode(x=across.axis(x_title), y=y)
    layered = alt.LayerChart(
        layer=[
            *_lines(points),
            *_limits(limits, across),
            *_symbols(points, marks[0]["tooltip"]),
            _labels(marks, across, top).encode(x=alt.X("x", type="quantitative"), y=y),
        ],
        width="container",
        height=300,
        description=description,
    )
    # the theme beside it as it is: altair's configure_* copies the whole chart each time
    return {**layered.to_dict(), "config": _THEME}


def _flat(mark: Mark) -> Mark:
    """`mark` with the lines of its tooltip as plain fields: in names Vega-Lite would read dots as paths."""
    plain = {name: value for name, value in mark.items() if name != "tooltip"}
    return plain | {f"tip{index}": text for index, text in enumerate(mark["tooltip"].values())}


@dataclass(frozen=True)
class _Across:
    """The horizontal scale."""

    low: float
    high: float
    is_log: bool

    @classmethod
    def of(cls, shown: Sequence[float]) -> Self:
        low, high = min(shown), max(shown)  # room to the right is for the last label
        if low > 0 and high / low >= _LOG_FROM:
            return cls(low / 1.3, high * 1.6, True)
        return cls(0, 1.15 * high or 1, False)

    def share(self, x: float) -> float:
        """How far along the axis `x` is drawn: 0 left, 1 right."""
        if self.is_log:
            return math.log(x / self.low) / math.log(self.high / self.low)
        return x / self.high

    def axis(self, title: str) -> alt.X:
        kind: Any = "log" if self.is_log else "linear"
        scale = alt.Scale(type=kind, domain=[self.low, self.high], nice=False)
        full = f"{title.removesuffix(')')}, log scale)" if self.is_log else title
        return alt.X("x", type="quantitative", title=full, scale=scale, axis=alt.Axis(tickCount=6, grid=False))


def _lines(points: alt.Chart) -> Iterable[alt.Chart]:
    """All levels joined in order of load, then the frontier in order of latency."""
    by_load, by_latency = alt.Order("order", type="quantitative"), alt.Order("x", type="quantitative")
    runs = alt.Detail("run", type="nominal")
    yield points.mark_line(color="var(--faint)", strokeWidth=1.5).encode(order=by_load, detail=runs)
    yield (
        points.transform_filter(alt.datum.standing == "frontier")
        .mark_line(color="var(--accent)", strokeWidth=2.5)
        .encode(order=by_latency)
    )


def _symbols(points: alt.Chart, tooltip: dict[str, str]) -> Iterable[alt.Chart]:
    shown = [alt.Tooltip(f"tip{index}", type="nominal", title=name) for index, name in enumerate(tooltip)]
    frontier, invalid = alt.datum.standing == "frontier", alt.datum.standing == "invalid"
    yield points.transform_filter(alt.datum.chosen).mark_point(
        size=340, color="var(--chosen)", strokeWidth=2.5, opacity=1
    )
    # filled with the paper, or the lines would show through
    hollow: dict[str, Any] = {
        "filled": True,
        "fill": "var(--paper)",
        "stroke": "var(--accent)",
        "strokeWidth": 2,
        "opacity": 1,
    }
    yield points.transform_filter(~frontier & ~invalid).mark_point(size=80, **hollow).encode(tooltip=shown)
    yield (
        points.transform_filter(frontier)
        .mark_point(size=90, filled=True, color="var(--accent)", opacity=1)
        .encode(tooltip=shown)
    )
    crosses = points.transform_filter(invalid).mark_point(
        shape=_CROSS, size=70, color="var(--warn)", strokeWidth=2.5, opacity=1
    )
    yield crosses.encode(tooltip=shown)


def _labels(marks: Sequence[Mark], across: _Across, top: float) -> alt.Chart:
    """What each point is, beside it; points too near each other for a label each share one, as those of a search do."""
    placed: list[Mark] = []
    for mark in marks:
        x, y = across.share(mark["x"]), mark["y"] / top
        for label in placed:
            if abs(label["along"] - x) < _LABEL_WIDTH and abs(label["up"] - y) < _LABEL_HEIGHT:
                label["label"] += f", {mark['label']}"
                break
        else:
            placed.append({"x": mark["x"], "y": mark["y"], "along": x, "up": y, "label": mark["label"]})
    text = alt.Chart(alt.InlineData(values=placed)).encode(text=alt.Text("label", type="nominal"))
    labels: alt.Chart = text.mark_text(align="left", dx=10, dy=-10, fontSize=12, color="var(--ink)")
    return labels


def _limits(limits: Limits, across: _Across) -> Iterable[alt.Chart]:
    """A vertical rule for each limit, its label on the side with more room, one line below the other."""
    named: dict[float, list[str]] = {}
    for label, limit in limits:
        named.setdefault(limit, []).append(label)
    for index, (limit, labels) in enumerate(sorted(named.items())):
        left = across.share(limit) > 0.5
        data = alt.InlineData(values=[{"limit": limit, "text": "; ".join(labels)}])
        base = alt.Chart(data).encode(x=alt.X("limit", type="quantitative"))
        yield base.mark_rule(color="var(--limit)", strokeWidth=1.5, strokeDash=[6, 4])
        placed: dict[str, Any] = {"align": "right", "dx": -6} if left else {"align": "left", "dx": 6}
        text = base.mark_text(color="var(--limit)", fontSize=11, limit=220, **placed)
        yield text.encode(y=alt.value(9 + 16 * index), text=alt.Text("text", type="nominal"))
