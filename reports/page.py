"""The HTML report: one file that asks the network for nothing."""

import json
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

from reports import loads, numbers, words
from reports.charts import charts
from reports.sections import HISTORY_NIGHTS, Section, read
from warehouse.files import write_bytes
from warehouse.home import Home

_SERVER = ("server_running_mean", "server_waiting_mean", "kv_cache_usage_max", "server_prefix_cache_hit_share")
"""Columns of an operating point that the engine's own metrics page gives."""


def write_report(home: Home, out: Path | None = None) -> Path:
    """Write the report on the published warehouse to `out`, or HOME/report.html; readers see the old or the new whole.

    Raises:
        WarehouseError: there is no warehouse.
        LandingError: the file cannot be written; the old one is as it was.

    """
    path = out or home.report
    write_bytes(path, render(home).encode())
    return path


def render(home: Home) -> str:
    """The page.

    Raises:
        WarehouseError: there is no warehouse.

    """
    totals, sections = read(home)
    shown = [_context(section, index) for index, section in enumerate(sections)]
    has_charts = any(chart["spec"] for section in shown for chart in section["charts"])
    return _template().render(
        totals=totals,
        sections=shown,
        css=Markup(_resource("report.css")),
        vega=_vega() if has_charts else None,
        built_at=datetime.now(UTC),
        published_at=datetime.fromtimestamp(home.warehouse.stat().st_mtime, UTC),
        warehouse=str(home.warehouse),
        history_nights=HISTORY_NIGHTS,
    )


def _context(section: Section, index: int) -> dict[str, Any]:
    """A section as the template wants it."""
    points = {point["operating_point_id"]: point for point in section.points}
    hardware = (section.points or section.runs)[0]
    card = _card(section)
    return {
        "id": f"section-{index}",
        "data": section,
        "hardware": hardware,
        "processor": words.unit(hardware),
        "headlines": [_headline(section, best, points) for best in section.best],
        "charts": [
            {"id": f"chart-{index}-{number}", "about": chart, "spec": _json(chart.spec) if chart.spec else None}
            for number, chart in enumerate(charts(section))
        ],
        "chosen": {best["operating_point_id"] for best in section.best},
        "reasons": words.reasons([point["validity"] for point in section.points]),
        "verdicts": _verdicts(section),
        "card": card,
        "is_priced": any(row["status"] == "chosen" and row["price_plan"] for row in card),
        "loads": loads.legend(section.points),
        "client_errors": _client_errors(section),
        "server_said": any(point[name] is not None for point in section.points for name in _SERVER),
        "current_runs": [run for run in section.runs if run["is_current"]],
    }


def _card(section: Section) -> list[dict[str, Any]]:
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


def _headline(section: Section, best: dict[str, Any], points: dict[str, Any]) -> dict[str, Any]:
    bounds = [(b.metric, b.statistic, b.limit) for b in section.bounds if b.slo == best["slo"]]
    processor = words.unit((section.points or section.runs)[0])
    share = section.attainment_shares.get(best["slo"])
    verdict, detail = words.verdict(best, points, by_share=share is not None)
    fleets: dict[str, list[dict[str, Any]]] = {}
    for row in section.card:
        if row["slo"] == best["slo"]:
            fleets.setdefault(row["demand"], []).append(row)
    return {
        "slo": best["slo"],
        "status": best["status"],
        "asks": words.slo_text(bounds, share),
        "verdict": verdict,
        "detail": detail,
        "fleets": [words.fleet(rows, processor) for rows in fleets.values()],
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


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": lambda value: numbers.exact(numbers.number(value), value),
        "percent": lambda value: numbers.exact(numbers.percent(value), value),
        "money": lambda value, currency: numbers.exact(numbers.money(value, currency), value),
        "when": numbers.when,
        "load": loads.load_of,
        "load_label": loads.load_label,
    }
    environment.globals |= {"interval": numbers.interval, "money_interval": numbers.money_interval}
    return environment.from_string(_resource("template.html"))


def _resource(name: str) -> str:
    return files("reports").joinpath(name).read_text(encoding="utf-8")


def _json(value: Any) -> Markup:
    """JSON that cannot end the script element it stands in, whatever the names in it say."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


@cache
def _vega() -> Markup:
    """Vega as one script that defines `vegaEmbed`; made in a second, so once a process."""
    source = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # nothing in it may end the script element; both sequences can only stand in string literals
    return Markup(source.replace("</script", "<\\/script").replace("<!--", "<\\!--"))
