"""Data of the charts that span endpoints: cost against interactivity, the ledger, the cost over the nights.

Each kind is drawn by one template (`vega.py`) from rows that the reader picks on the page (`scripts/figures.js`).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from reports.loads import load_of
from reports.moved import UNITS
from reports.numbers import when
from reports.source import Row, Source
from reports.words import BUCKETS, mark_text

NIGHTLY = 120
"""Nights, counted back from the last, that stand for themselves in a trend; older ones are a week's median."""
SPAN_NIGHTS = 400
TREND_POINTS = 12_000
"""Most points that the page carries in all; the cheapest series come first."""
_WEEK_MINUTES = 7 * 24 * 60


def interactivity(source: Source) -> list[Row]:
    """Series of (tokens/s/user, price, load): one for each endpoint, workload and plan."""
    found: dict[tuple[str, ...], Row] = {}
    for row in source.rows("interactivity"):
        key = (row["endpoint"], row["workload"], row["price_plan"])
        named = {"endpoint": key[0], "workload": key[1], "plan": key[2], "currency": row["currency"], "points": []}
        series = found.setdefault(key, named)
        series["points"].append([_short(row["interactivity_tps"]), _short(row["usd_per_mtok"]), load_of(row)])
    return list(found.values())


def ledgers(source: Source) -> dict[str, Any]:
    """The buckets in their order, and a row for each fleet, plan and method with its amounts."""
    rows = []
    for row in source.rows("ledger"):
        amounts = dict(zip(row["buckets"], row["usd_shown"], strict=True))
        rows.append(
            {
                "demand": row["demand"],
                "endpoint": row["endpoint"],
                "plan": row["price_plan"],
                "slo": row["slo"],
                "method": row["allocation_method"],
                "currency": row["currency"],
                "at_peak": row["mean_basis"] == "peak",
                "year": round(row["fleet_year_usd"], 2),
                "usd": [amounts.get(bucket, 0 if bucket == "unallocated" else None) for bucket in BUCKETS],
            }
        )
    return {"buckets": list(BUCKETS), "rows": rows}


def trends(source: Source, last_night: datetime) -> dict[str, Any]:
    """Series over nights, what is left out of them, and where prices changed and regressions were told."""
    since, nightly = last_night - timedelta(days=SPAN_NIGHTS), last_night - timedelta(days=NIGHTLY)
    marks: dict[str, list[Row]] = {}
    for row in source.rows("marks", [since]):
        mark = {"minute": row["minute"], "kind": row["kind"], "text": mark_text(row)}
        marks.setdefault(row["series_id"], []).append(mark)
    shown: list[Row] = []
    points, left_out, weekly_until = 0, 0, _minutes(nightly)
    for row in _cheapest_first(source.rows("trend", [since, nightly])):
        points += len(row["minutes"])
        if points > TREND_POINTS:
            left_out += 1
            continue
        shown.append(_series(row, weekly_until) | {"marks": marks.get(row["series_id"], [])})
    is_weekly = any(series["minutes"] and series["minutes"][0] < weekly_until for series in shown)
    return {"series": shown, "left_out": left_out, "weekly_until": when(nightly)[:10] if is_weekly else None}


def _cheapest_first(rows: Sequence[Row]) -> list[Row]:
    """The cheapest plan of each endpoint, workload and SLO before every second one; each in their names' order."""
    ranked: list[tuple[int, Row]] = []
    seen: dict[tuple[str, ...], int] = {}
    for row in rows:
        key = (row["endpoint"], row["workload"], row["slo"])
        seen[key] = seen.get(key, -1) + 1
        ranked.append((seen[key], row))
    return [row for _, row in sorted(ranked, key=lambda pair: (pair[0], pair[1]["endpoint"], pair[1]["slo"]))]


def _series(row: Row, weekly_until: int) -> Row:
    names = {"endpoint": "endpoint", "workload": "workload", "slo": "slo", "plan": "price_plan", "currency": "currency"}
    per = UNITS.get(row["measure"], "1M tokens")
    minutes, values, lows, highs = zip(*_with_gaps(row, weekly_until), strict=True)
    columns = {"minutes": minutes, "values": values, "lows": lows, "highs": highs}
    return {short: row[name] for short, name in names.items()} | {"per": per} | columns


def _with_gaps(row: Row, weekly_until: int) -> Iterator[tuple[int, float | None, float | None, float | None]]:
    """The points, and one without a value where nights are missing between two: a line must not bridge them."""
    minutes: list[int] = row["minutes"]
    steps = [after - before for before, after in pairwise(minutes) if before >= weekly_until]
    usual = median(steps) if steps else _WEEK_MINUTES
    before: int | None = None
    for at, *values in zip(minutes, row["values_usd"], row["lows_usd"], row["highs_usd"], strict=True):
        longest = max(usual, _WEEK_MINUTES) if before is not None and before < weekly_until else usual
        if before is not None and at - before > 1.6 * longest:
            yield before + 1, None, None, None
        yield at, *(None if value is None else _short(value) for value in values)  # type: ignore[misc]
        before = at


def _short(value: float) -> float:
    """Four significant digits: what a chart can show."""
    return float(f"{value:.4g}")


def _minutes(at: datetime) -> int:
    return int((at - datetime(1970, 1, 1)).total_seconds() // 60)
