"""The Vega-Lite templates of the page's charts: one of a kind, filled by `scripts/charts.js` with a chart's own data.

A string `$name` in a template stands for a value of the chart; data come as the datasets that it names. Colours are
CSS variables of the page, so that a chart follows the reader's theme, and print, without being redrawn.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

import altair as alt

SERIES = tuple(f"var(--series-{number})" for number in range(1, 9))
"""Colours of lines that are told apart; reports/scripts/charts.js names the lines."""

_CROSS = "M-1,-1L1,1M-1,1L1,-1"
_FONT = "system-ui, -apple-system, 'Segoe UI', sans-serif"
_THEME: dict[str, Any] = {
    "background": "transparent",
    "font": _FONT,
    "autosize": {"type": "fit-x", "contains": "padding"},
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--soft)",
        "labelFontSize": 12,
        "titleColor": "var(--soft)",
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "gridColor": "var(--line)",
        "domainColor": "var(--faint)",
        "tickColor": "var(--faint)",
        "labelOverlap": True,
    },
}
_AS_GIVEN = 1
"""Height that stands for one that the chart brings along."""


@cache
def templates() -> dict[str, dict[str, Any]]:
    """Every template by its kind."""
    drawn = {"curve": _curve(), "interactivity": _interactivity(), "ledger": _ledger(), "trend": _trend()}
    # the theme beside it as it is: altair's configure_* copies the whole chart each time
    return {kind: _open(chart.to_dict(validate=False)) | {"config": _THEME} for kind, chart in drawn.items()}


def _open(spec: dict[str, Any]) -> dict[str, Any]:
    """`spec` with the scales and titles that a chart brings along."""
    for layer in spec["layer"]:
        for channel, encoded in layer.get("encoding", {}).items():
            if isinstance(encoded, dict) and encoded.get("scale") == {"domain": [0, 1]}:
                encoded["scale"] = f"${channel}_scale"
    if spec["height"] == _AS_GIVEN:
        spec["height"] = "$height"
    return spec


def _named(name: str) -> alt.Chart:
    return alt.Chart(alt.NamedData(name))


def _axis() -> alt.Axis:
    return alt.Axis(tickCount=6, grid=False)


def _x(field: str = "x", **more: Any) -> alt.X:
    return alt.X(field, type="quantitative", scale=alt.Scale(domain=[0, 1]), title="$x_title", axis=_axis(), **more)


def _y(field: str = "y", **more: Any) -> alt.Y:
    return alt.Y(field, type="quantitative", scale=alt.Scale(domain=[0, 1]), title="$y_title", axis=alt.Axis(tickCount=5), **more)  # fmt: skip


def _tip() -> alt.Tooltip:
    """One field whose value is an object: vega-tooltip lays its lines out as a table."""
    return alt.Tooltip("tip", type="nominal")


def _layered(*layers: alt.Chart, height: int) -> alt.LayerChart:
    return alt.LayerChart(layer=list(layers), width="container", height=height, description="$description")


def _curve() -> alt.LayerChart:
    """Throughput against latency: all levels joined in order of load, the frontier in order of latency."""
    points = _named("points").encode(x=_x(), y=_y())
    return _layered(
        points.mark_line(color="var(--faint)", strokeWidth=1.5).encode(
            order=alt.Order("order", type="quantitative"), detail=alt.Detail("run", type="nominal")
        ),
        points.transform_filter(alt.datum.standing == "frontier")
        .mark_line(color="var(--accent)", strokeWidth=2.5)
        .encode(order=alt.Order("x", type="quantitative")),
        *_limits(),
        *_symbols(points),
        *_labels(),
        height=280,
    )


def _labels() -> Iterable[alt.Chart]:
    """What each point is, on a halo of paper, for lines run below it."""
    labels = _named("labels").encode(x=_x(), y=_y(), text=alt.Text("label", type="nominal"))
    placed: dict[str, Any] = {"align": "left", "dx": 9, "dy": -11, "fontSize": 12}
    yield labels.mark_text(stroke="var(--paper)", strokeWidth=4, color="var(--paper)", **placed)
    yield labels.mark_text(color="var(--ink)", **placed)


def _limits() -> Iterable[alt.Chart]:
    """A vertical rule for each limit, its words on the side with more room, one line below the other."""
    rules = _named("limits").encode(x=_x("limit"))
    yield rules.mark_rule(color="var(--limit)", strokeWidth=1.5, strokeDash=[6, 4])
    sides: tuple[tuple[bool, dict[str, Any]], ...] = (
        (True, {"align": "right", "dx": -6}),
        (False, {"align": "left", "dx": 6}),
    )
    for left, placed in sides:
        text = rules.transform_filter(alt.datum.left == left).mark_text(
            color="var(--limit)", fontSize=11, limit=220, **placed
        )
        yield text.encode(y=alt.Y("place", type="quantitative", scale=None, axis=None), text=alt.Text("text", type="nominal"))  # fmt: skip


def _symbols(points: alt.Chart) -> Iterable[alt.Chart]:
    frontier, invalid = alt.datum.standing == "frontier", alt.datum.standing == "invalid"
    yield points.transform_filter(alt.datum.chosen).mark_point(
        size=340, color="var(--chosen)", strokeWidth=2.5, opacity=1
    )
    # filled with the paper, or the lines would show through
    hollow: dict[str, Any] = {"filled": True, "fill": "var(--paper)", "stroke": "var(--accent)", "strokeWidth": 2}
    shown = points.encode(tooltip=_tip())
    yield shown.transform_filter(~frontier & ~invalid).mark_point(size=80, opacity=1, **hollow)
    yield shown.transform_filter(frontier).mark_point(size=90, filled=True, color="var(--accent)", opacity=1)
    yield shown.transform_filter(invalid).mark_point(
        shape=_CROSS, size=70, color="var(--warn)", strokeWidth=2.5, opacity=1
    )


def _coloured() -> alt.Color:
    """By the number of the line, so that a colour is a place in the legend; what has no colour is grey."""
    scale = alt.Scale(domain=list(range(9)), range=["var(--faint)", *SERIES])
    return alt.Color("colour", type="ordinal", scale=scale, legend=None)


def _interactivity() -> alt.LayerChart:
    """The least price within each interactivity: a point holds down to the next slower one."""
    line = alt.Detail("series", type="nominal")
    points = _named("points").encode(x=_x(), y=_y(), color=_coloured(), detail=line)
    return _layered(
        _named("apis").mark_rule(color="var(--soft)", strokeWidth=1.2, strokeDash=[2, 3]).encode(y=_y()),
        _named("apis")
        .mark_text(align="left", dx=4, dy=-6, fontSize=11, color="var(--soft)", limit=260)
        .encode(y=_y(), x=alt.value(0), text=alt.Text("label", type="nominal")),
        points.mark_line(interpolate="step-before", strokeWidth=2).encode(order=alt.Order("x", type="quantitative")),
        points.transform_filter(alt.datum.isPoint).mark_point(size=70, filled=True, opacity=1).encode(tooltip=_tip()),
        height=340,
    )


def _ledger() -> alt.LayerChart:
    """A bar for each fleet and plan, stacked by bucket from what served a request to what stood idle."""
    bars = _named("buckets").encode(
        x=alt.X("x", type="quantitative", title="$x_title", axis=alt.Axis(tickCount=5, format="$x_format"), stack="zero"),
        y=alt.Y("fleet", type="nominal", title=None, sort=None, axis=alt.Axis(labelLimit=190, ticks=False, domain=False)),
        color=alt.Color("colour", type="nominal", scale=None, legend=None),
        order=alt.Order("order", type="quantitative"),
        tooltip=_tip(),
    )  # fmt: skip
    return _layered(bars.mark_bar(height={"band": 0.72}, stroke="var(--paper)", strokeWidth=1), height=_AS_GIVEN)


def _trend() -> alt.LayerChart:
    """A value over nights with its band; nights without one are gaps."""
    x = alt.X("at", type="temporal", title=None, axis=alt.Axis(tickCount=6, tickMinStep=86_400_000, grid=False, format="%-d %b %Y"), scale=alt.Scale(domain=[0, 1]))  # fmt: skip
    nights = _named("nights").encode(x=x)
    marks = _named("marks").encode(x=x)
    return _layered(
        nights.mark_area(color="var(--accent)", opacity=0.18, invalid="break-paths-filter-domains").encode(
            y=_y("low"), y2="high"
        ),
        marks.transform_filter(alt.datum.kind == "price").mark_rule(
            color="var(--soft)", strokeDash=[2, 3], strokeWidth=1.2
        ),
        marks.transform_filter(alt.datum.kind == "scope").mark_rule(
            color="var(--faint)", strokeDash=[6, 4], strokeWidth=1.2
        ),
        nights.mark_line(color="var(--accent)", strokeWidth=2, invalid="break-paths-filter-domains").encode(
            y=_y(), tooltip=alt.value(None)
        ),
        nights.mark_point(color="var(--accent)", filled=True, size=26, opacity=1).encode(y=_y(), tooltip=_tip()),
        marks.transform_filter(alt.datum.kind == "regression")
        .mark_point(shape="triangle-down", size=150, filled=True, color="var(--limit)", opacity=1, yOffset=-14)
        .encode(y=_y(), tooltip=_tip()),
        marks.transform_filter(alt.datum.kind == "better")
        .mark_point(shape="triangle-up", size=150, filled=True, color="var(--chosen)", opacity=1, yOffset=-14)
        .encode(y=_y(), tooltip=_tip()),
        height=260,
    )
