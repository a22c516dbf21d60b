"""Which labels of a chart's points stand together, before a browser draws them; and its templates."""

import json
from typing import Any

from reports.placing import Across, labels, limit_lines
from reports.vega import templates


def mark(label: str, x: float, y: float) -> dict[str, Any]:
    return {"x": x, "y": y, "label": label}


def shown(*marks: dict[str, Any]) -> list[str]:
    """The labels at the points, on a chart a quarter higher than the highest."""
    top = 1.25 * max(mark["y"] for mark in marks)
    return [label["label"] for label in labels(marks, Across.of([mark["x"] for mark in marks]), top)]


def test_points_too_near_each_other_share_a_label() -> None:
    # 618 and 624 of 780 up: 2.2 pixels of 280; 0 and 0.6 of 11.5 along
    assert shown(mark("c=8", 10.0, 618), mark("c=4", 10.0, 311), mark("c=16", 9.4, 624)) == ["c=8, c=16", "c=4"]


def test_points_far_apart_in_one_direction_have_their_own() -> None:
    assert shown(mark("c=8", 100.0, 620), mark("c=16", 510.0, 620)) == ["c=8", "c=16"]


def test_an_axis_is_logarithmic_where_it_spans_a_dozen_fold() -> None:
    # 600 / 50 = 12; 550 / 50 = 11
    assert [Across.of([50.0, high]).is_log for high in (600.0, 550.0)] == [True, False]
    assert Across.of([50.0, 600.0]).titled("TTFT p50 (ms)") == "TTFT p50 (ms, log scale)"


def test_limits_of_one_value_share_a_line_and_words_stand_where_there_is_room() -> None:
    # the axis ends at 1.15 x 100: 20 is on its left half, 100 on its right
    lines = limit_lines([("a <= 100", 100.0), ("b <= 20", 20.0), ("c <= 100", 100.0)], Across.of([10.0, 100.0]))
    assert [(line["text"], line["left"], line["place"]) for line in lines] == [
        ("b <= 20", False, 9),
        ("a <= 100; c <= 100", True, 25),
    ]


def test_templates_hold_no_data_and_every_colour_is_the_pages() -> None:
    for kind, template in templates().items():
        text = json.dumps(template)
        assert "datasets" not in template, kind
        assert "#" not in text.replace("https://vega.github.io", ""), kind
