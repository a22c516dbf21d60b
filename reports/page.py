"""The HTML report: one file that asks the network for nothing."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from reports import bundle, figures, loads, numbers, vega
from reports.calculator import calculator
from reports.endpoint import describe
from reports.glance import glance
from reports.sections import HISTORY_NIGHTS, Section, read_sections
from reports.source import Row, Source, opened
from reports.words import BUCKETS, STATUSES
from warehouse.files import write_bytes
from warehouse.home import Home

OPEN_SECTIONS = 3
"""Endpoints that stand open; more than these are folded."""
MOST_FLEETS = 60
"""Rows of the table of servers, over all endpoints."""
SCRIPTS = ("numbers", "known", "fleet", "costs", "ledger", "answer", "charts", "figures", "calculator")


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
    with opened(home) as source:
        (totals,) = source.rows("totals")
        if totals["runs"]:
            bundle.begin()  # takes the longest, and runs beside all that follows
        sections = read_sections(source)
        context = _parts(source, totals, sections) if sections else {}
        return _environment().get_template("page.html").render(
            totals=totals,
            lacking=source.lacking,
            css=Markup(resource("templates", "report.css")),
            built_at=datetime.now(UTC),
            published_at=datetime.fromtimestamp(home.warehouse.stat().st_mtime, UTC),
            warehouse=str(home.warehouse),
            history_nights=HISTORY_NIGHTS,
            open_sections=OPEN_SECTIONS,
            **({"sections": []} | context),
        )  # fmt: skip


def _parts(source: Source, totals: Row, sections: Sequence[Section]) -> dict[str, Any]:
    """Everything below the header."""
    shown = [describe(section, index) for index, section in enumerate(sections)]
    trends = figures.trends(source, totals["last_night"])
    data: dict[str, Any] = {
        "templates": vega.templates(),
        "words": BUCKETS,
        "curves": {c["id"]: c["about"].drawing for s in shown for c in s["charts"] if c["about"].drawing},
        "interactivity": figures.interactivity(source),
        "apis": _apis(sections),
        "ledgers": figures.ledgers(source),
        "trends": trends,
        "calculator": calculator(source, sections),
    }
    fleets = _fleets(sections)
    more = {name: source.rows(name) for name in ("mixes", "savings", "break_even")}
    has = {
        "calculator": bool(data["calculator"]["measured"]),
        "interactivity": bool(data["interactivity"]),
        "ledger": bool(data["ledgers"]["rows"]),
        "trend": bool(trends["series"]),
        "servers": bool(fleets),
        "more": any(more.values()),
    }
    return more | {
        "sections": shown,
        "glance": glance(source, sections),
        "buckets": BUCKETS,
        "statuses": STATUSES,
        "fleets": fleets[:MOST_FLEETS],
        "fleets_left_out": len(fleets) - len(fleets[:MOST_FLEETS]),
        "has": has,
        "parts": [(id_, title) for id_, title in PARTS if has.get(id_, True)],
        "trend_tables": ["cost_trends", "regressions"],
        "more_tables": [
            table for table, rows in zip(("fleet_mixes", "savings", "break_even"), more.values(), strict=True) if rows
        ],
        "nights": totals["nights"],
        "weekly_until": trends["weekly_until"],
        "trends_left_out": trends["left_out"],
        "data_json": _json(data),
        "vega": bundle.begin()(),
        "scripts": Markup("\n".join(resource("scripts", f"{name}.js") for name in SCRIPTS)),
    }


PARTS = (
    ("last-night", "Last night"), ("calculator", "Calculator"), ("interactivity", "Interactivity"), ("ledger", "Ledger"),
    ("servers", "Servers"), ("trend", "Trend"), ("more", "Mixes, savings, break-even"), ("endpoints", "Endpoints"),
)  # fmt: skip
"""Parts of the page and their names in its contents."""


def _fleets(sections: Sequence[Section]) -> list[Row]:
    """The row of each fleet, whatever plans price it, by demand."""
    first = {row["fleet_id"]: row for section in sections for row in reversed(section.card)}
    return sorted(first.values(), key=lambda row: (row["demand"], row["status"] != "chosen", row["endpoint"]))


def _apis(sections: Sequence[Section]) -> list[Row]:
    """What 1M tokens of each workload cost by the APIs' price lists, once a plan and price."""
    found: dict[tuple[str, str, str], Row] = {}
    for section in sections:
        for row in section.card:
            if row["price_kind"] == "api" and row["usd_per_mtok"] is not None:
                key = (section.workload, row["price_plan"], numbers.money(row["usd_per_mtok"], row["currency"]))
                named = {"workload": key[0], "plan": key[1], "currency": row["currency"], "y": row["usd_per_mtok"]}
                found.setdefault(key, named)
    return list(found.values())


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: resource("templates", name)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": lambda value: numbers.exact(numbers.number(value), value),
        "percent": lambda value: numbers.exact(numbers.percent(value), value),
        "signed": lambda value: numbers.exact(numbers.signed_percent(value), value),
        "money": lambda value, currency: numbers.exact(numbers.money(value, currency), value),
        "when": numbers.when,
        "load": loads.load_of,
        "load_label": loads.load_label,
    }
    environment.globals |= {"interval": numbers.interval, "money_interval": numbers.money_interval}
    return environment


def resource(folder: str, name: str) -> str:
    """A file of this package."""
    return files("reports").joinpath(folder, name).read_text(encoding="utf-8")


def _json(value: Any) -> Markup:
    """JSON that cannot end the script element it stands in, whatever the names in it say."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))
