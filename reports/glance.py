"""Last night at a glance: what moved, what it costs, what is in doubt."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reports.loads import load_of
from reports.moved import grouped
from reports.numbers import DASH, number, percent, when
from reports.sections import Section
from reports.source import Row, Source
from reports.words import reasons

MOST_LINES = 8
"""Lines that a list shows before it only counts."""


@dataclass(frozen=True)
class Line:
    """A line of a list: `mood` is good, bad or plain."""

    what: str
    text: str
    mood: str = "plain"


def glance(source: Source, sections: Sequence[Section]) -> dict[str, Any]:
    """What the template shows first."""
    told = _regressions(source)
    return {
        "tables": ["runs", "best_operating_points", "regressions", "usd_per_request", "server_counts"],
        "tiles": list(_tiles(sections, told, "regressions" not in source.lacking)),
        "moved": _few([*told, *_changes(sections)]),
        "nothing_moved": _nothing(sections),
        "doubts": _few(list(_doubts(sections))),
        "demands": source.rows("glance"),
        "unserved": source.rows("unserved"),
    }


def _tiles(sections: Sequence[Section], told: Sequence[Line], is_told: bool) -> Iterator[Row]:
    fresh = [section for section in sections if section.is_last_night]
    points = [point for section in fresh for point in section.points]
    best = [row for section in fresh for row in section.best]
    valid, chosen = sum(p["is_valid"] for p in points), sum(row["status"] == "chosen" for row in best)
    last = max(section.night for section in sections)
    yield _tile(
        "Endpoints measured", len(fresh), f"of {len(sections)}, night of {when(last)}", len(fresh) == len(sections)
    )
    yield _tile("Valid operating points", valid, f"of {len(points)}", valid == len(points))
    yield _tile("SLOs that can be held", chosen, f"of {len(best)}", chosen == len(best))
    if not is_told:
        yield {"name": "Regressions", "figure": DASH, "more": "not in this warehouse", "mood": ""}
        return
    worse = sum(line.mood == "bad" for line in told)
    yield _tile("Regressions", worse, "that stand", not worse)


def _tile(name: str, figure: int, more: str, is_good: bool) -> Row:
    return {"name": name, "figure": number(figure), "more": more, "mood": "good" if is_good else "bad"}


def _few(lines: Sequence[Line]) -> list[Line]:
    shown = list(lines[:MOST_LINES])
    return [*shown, Line("", f"and {len(lines) - len(shown)} more")] if len(lines) > len(shown) else shown


def _regressions(source: Source) -> list[Line]:
    """The changes of cost that stand, one line a change."""
    return [
        Line("", change.sentence(), "bad" if change.main["direction"] == "worse" else "good")
        for change in grouped(source.rows("moved"))
    ]


def _changes(sections: Sequence[Section]) -> Iterator[Line]:
    """What is served otherwise since the night before."""
    for section in sections:
        for row in section.changes:
            if row["night"] == section.night and row["what"] != "configuration":
                yield Line(
                    f"{section.endpoint} × {section.workload}",
                    f"{row['what']} {row['before'] or '–'} → {row['now'] or '–'}",
                )


def _nothing(sections: Sequence[Section]) -> str:
    if all(section.nights == 1 for section in sections):
        return "One night is no history: from the second night on this says what moved."
    return "Nothing beyond the noise of the nights before."


def _doubts(sections: Sequence[Section]) -> Iterator[Line]:
    for section in sections:
        name = f"{section.endpoint} × {section.workload}"
        if not section.is_last_night:
            yield Line(name, f"was not measured on the last night; its figures are of {when(section.night)}", "bad")
        for run in section.runs:
            if run["retracted_at"]:
                yield Line(name, f"run {run['run_id']} is retracted: {run['retracted_why']}", "bad")
            elif run["is_current"] and run["status"] != "complete":
                levels = f"{run['levels_measured']} of {run['levels_planned']} load levels measured"
                yield Line(
                    name,
                    f"{run['load']} is {run['status']}, {levels}{': ' + run['failure'] if run['failure'] else ''}",
                    "bad",
                )
            if run["is_current"] and run["rows_quarantined"]:
                yield Line(name, f"{number(run['rows_quarantined'])} rows of {run['load']} broke the contract", "bad")
        invalid = [point for point in section.points if not point["is_valid"]]
        if invalid:
            named = ", ".join(reasons([point["validity"] for point in invalid]))
            where = ", ".join(load_of(point) for point in invalid[:4]) + (" …" if len(invalid) > 4 else "")
            yield Line(name, f"{len(invalid)} of {len(section.points)} points are not valid ({named}): {where}", "bad")
        for best in section.best:
            if best["status"] != "chosen":
                yield Line(name, f"SLO {best['slo']}: {best['status'].replace('_', ' ')}", "bad")
            elif best["meets_slo_confident"] is False:
                yield Line(
                    name,
                    f"SLO {best['slo']} holds at {percent(best['attainment'])}, within the sampling error of its limit",
                )
