"""Where a chart's axis runs, and which labels of its points would lie upon each other."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

_LOG_FROM = 12
"""Largest ÷ smallest latency from which a linear axis would press the light loads together."""

_LABEL_WIDTH, _LABEL_HEIGHT = 0.08, 0.05
"""Of a point's label, as shares of the chart's: 32 of 400 and 14 of 280 pixels."""

Mark = dict[str, Any]


@dataclass(frozen=True)
class Across:
    """A horizontal scale from 0, or a logarithmic one where the values span much."""

    low: float
    high: float
    is_log: bool

    @classmethod
    def of(cls, shown: Sequence[float]) -> Self:
        """Of these values, with room to the right for the last label."""
        low, high = min(shown), max(shown)
        if low > 0 and high / low >= _LOG_FROM:
            return cls(low / 1.3, high * 1.6, True)
        return cls(0, 1.15 * high or 1, False)

    def share(self, x: float) -> float:
        """How far along the axis `x` is drawn: 0 left, 1 right."""
        if self.is_log:
            return math.log(x / self.low) / math.log(self.high / self.low)
        return x / self.high

    @property
    def scale(self) -> dict[str, Any]:
        """For Vega-Lite."""
        return {"type": "log" if self.is_log else "linear", "domain": [self.low, self.high], "nice": False}

    def titled(self, title: str) -> str:
        """The axis's title."""
        return f"{title.removesuffix(')')}, log scale)" if self.is_log else title


def labels(marks: Sequence[Mark], across: Across, top: float) -> list[Mark]:
    """What each point is, beside it; points too near each other for a label each share one, as those of a search do."""
    placed: list[tuple[float, float, Mark]] = []
    for mark in marks:
        x, y = across.share(mark["x"]), mark["y"] / top
        for along, up, label in placed:
            if abs(along - x) < _LABEL_WIDTH and abs(up - y) < _LABEL_HEIGHT:
                label["label"] += f", {mark['label']}"
                break
        else:
            placed.append((x, y, {"x": mark["x"], "y": mark["y"], "label": mark["label"]}))
    return [label for _, _, label in placed]


def limit_lines(limits: Iterable[tuple[str, float]], across: Across) -> list[Mark]:
    """A line for each limit: its words, which side of it has room for them, and how many pixels down they stand."""
    named: dict[float, list[str]] = {}
    for label, limit in limits:
        named.setdefault(limit, []).append(label)
    return [
        {"limit": limit, "text": "; ".join(words), "left": across.share(limit) > 0.5, "place": 9 + 16 * index}
        for index, (limit, words) in enumerate(sorted(named.items()))
    ]
