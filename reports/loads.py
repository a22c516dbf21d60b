"""What a load level is called: `concurrency` or `request_rate` of its row in words."""

from collections.abc import Sequence
from typing import Any

from reports.numbers import number

Row = dict[str, Any]


def load_of(point: Row) -> str:
    """The load level: concurrency of a closed loop, arrival rate of an open one."""
    if point["concurrency"] is not None:
        return f"concurrency {point['concurrency']}"
    return f"{number(point['request_rate'])} requests/s offered"


def load_label(point: Row) -> str:
    """The same in a word: `c=8`, `4/s`."""
    if point["concurrency"] is not None:
        return f"c={point['concurrency']}"
    return f"{number(point['request_rate'])}/s"


def legend(points: Sequence[Row]) -> str:
    """What the labels of `points` mean, by the first closed and the first open loop of them."""
    first = {point["concurrency"] is None: point for point in reversed(points)}
    return "; ".join(f"{load_label(first[kind])} is {load_of(first[kind])}" for kind in sorted(first))
