"""Verdicts in words."""

import re
from pathlib import Path
from typing import Any

import pytest

from reports.loads import legend, load_label
from reports.words import VALIDITY, client_error, reasons, slo_text, verdict
from tests.reports.houses import CALIBRATION

POINTS: dict[str, dict[str, Any]] = {
    "p": {"concurrency": 1, "request_rate": None},
    "o": {"concurrency": None, "request_rate": 2.5},
}


def missed(metric: str, statistic: str | None, value: float, limit: float, excess: float, near: str = "p") -> str:
    """The detail of an infeasible SLO."""
    best: dict[str, Any] = {
        "status": "infeasible", "nearest_operating_point_id": near, "nearest_metric": metric,
        "nearest_statistic": statistic, "nearest_value": value, "nearest_limit": limit, "nearest_excess": excess,
    }  # fmt: skip
    headline, detail = verdict(best, POINTS, by_share=False)
    assert headline == "Infeasible: no valid point meets it"
    return detail


@pytest.mark.parametrize(
    ("miss", "said"),
    [
        (("ttft", "p50", 612.0, 500.0, 0.224), "TTFT p50 612 ms against a limit of 500 ms, 22.4 % over"),
        (("tpot", "p99_9", 60.0, 50.0, 0.2), "TPOT p99.9 60 ms against a limit of 50 ms, 20 % over"),
        (("attainment", None, 0.72, 0.9, 0.2), "72 % of requests are good where 90 % must be, 20 % short"),
        (("interactivity", "p90", 15.0, 20.0, 0.25), "interactivity p90 15 tokens/s where 20 is the least, 25 % short"),
        (("quality_score", None, 0.6, 0.8, 0.25), "quality score 0.6 where 0.8 is the least, 25 % short"),
        (("error_share", None, 0.03, 0.01, 2.0), "3 % of requests failed where 1 % may"),
    ],
)  # fmt: skip
def test_a_near_miss_says_by_how_much_and_where(miss: Any, said: str) -> None:
    assert missed(*miss) == f"Nearest miss: {said}, at concurrency 1."


def test_failures_put_a_percentile_beyond_any_limit() -> None:
    said = missed("ttft", "p90", float("inf"), 500.0, float("inf"), near="o")
    assert said.startswith("Nearest miss: TTFT p90 has no bound, for too many requests failed")
    assert said.endswith("at 2.5 requests/s offered.")


def test_a_miss_without_a_value_has_no_number_made_up() -> None:
    assert "None" not in missed("ttft", "p90", None, 500.0, None)  # type: ignore[arg-type]


def test_an_slo_reads_as_a_sentence() -> None:
    bounds = [("ttft", "p50", 500.0), ("interactivity", "p90", 20.0)]
    assert slo_text(bounds, None) == "TTFT p50 ≤ 500 ms and interactivity p90 ≥ 20 tokens/s"
    assert slo_text([("ttft", None, 500.0)], 0.95) == "95 % of requests within TTFT ≤ 500 ms"
    assert slo_text([], None) == "no bounds: the highest throughput"


def test_reasons_are_explained_once_and_a_new_one_is_not_lost() -> None:
    explained = reasons(["valid", "unsteady,errors_high", "errors_high", "brand_new"])
    assert list(explained) == ["brand_new", "errors_high", "unsteady"]
    assert explained["errors_high"] == "more than 5 % of the requests failed"


def test_a_short_level_that_one_late_request_spoils_is_told_to_be_longer() -> None:
    # 1 of 99 is over 1 %, 1 of 100 is not
    assert (
        "Of fewer than 100 requests one that is late is enough: measure more"
        in reasons(["client_bound"])["client_bound"]
    )


def test_a_level_has_a_label_that_says_its_kind() -> None:
    assert [load_label(POINTS[name]) for name in "po"] == ["c=1", "2.5/s"]
    assert legend([POINTS["o"], POINTS["p"]]) == "c=1 is concurrency 1; 2.5/s is 2.5 requests/s offered"
    assert legend([]) == ""


def test_an_error_bar_says_at_what_load_it_was_found() -> None:
    said = "TTFT p50 / p99 +0.04 / -0.13 ms, ITL +0.00 / +0.05 ms at 64 streams; "
    assert client_error(CALIBRATION) == f"{said}up to 12,000 tokens/s held"
    assert client_error(CALIBRATION | {"calibration_tokens_per_s": None}) == f"{said}no token rate that was tried held"
    assert client_error(dict.fromkeys(CALIBRATION)) == "not known: no calibration before this run"


def test_every_reason_of_the_documentation_is_explained() -> None:
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    table = text.split("## Validity")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(VALIDITY)
