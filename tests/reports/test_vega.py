"""The specification of a chart, before a browser draws it."""

from typing import Any

from reports.vega import spec


def mark(label: str, x: float, y: float) -> dict[str, Any]:
    return {
        "x": x, "y": y, "run": "run", "order": 1, "label": label, "standing": "plain", "chosen": False,
        "tooltip": {"load": label},
    }  # fmt: skip


def labels(*marks: dict[str, Any]) -> list[str]:
    """The labels at the points: the last layer."""
    drawn = spec(marks, x_title="TTFT p50 (ms)", y_title="tokens/s", limits=(), description="a chart")
    return [value["label"] for value in drawn["datasets"][drawn["layer"][-1]["data"]["name"]]]


def test_points_too_near_each_other_share_a_label() -> None:
    # 618 and 624 of 780 up: 2.3 pixels of 300; 0 and 0.6 of 11.5 along
    assert labels(mark("c=8", 10.0, 618), mark("c=4", 10.0, 311), mark("c=16", 9.4, 624)) == ["c=8, c=16", "c=4"]


def test_points_far_apart_in_one_direction_have_their_own() -> None:
    assert labels(mark("c=8", 100.0, 620), mark("c=16", 510.0, 620)) == ["c=8", "c=16"]
