"""One section for each endpoint x workload: the rows of its latest night, named as in the warehouse."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from reports.source import Row, Source

HISTORY_NIGHTS = 10
_PARTS = (
    "runs", "points", "frontier", "attainment", "best", "card", "demands", "bounds", "terms", "time_shares", "changes",
)  # fmt: skip
"""Queries of which each section takes its own rows."""


@dataclass(frozen=True)
class Bound:
    """One limit of an SLO; `statistic` is null where a share of requests decides."""

    slo: str
    metric: str
    statistic: str | None
    limit: float


@dataclass(frozen=True)
class Section:
    """The latest night of one endpoint x workload; `history` holds older nights, `changes` what changed over them."""

    endpoint: str
    workload: str
    night: datetime
    nights: int
    is_last_night: bool
    runs: list[Row]
    points: list[Row]
    frontier: list[Row]
    attainment: list[Row]
    best: list[Row]
    card: list[Row]
    demands: list[Row]
    terms: list[Row]
    time_shares: list[Row]
    changes: list[Row]
    history: list[Row]
    bounds: list[Bound]

    @property
    def attainment_shares(self) -> dict[str, float]:
        """Share of good requests that decides, of the SLOs that have one."""
        return {row["slo"]: row["attainment_share"] for row in self.attainment if row["attainment_share"] is not None}

    @cached_property
    def on_frontier(self) -> dict[tuple[str, str, str, str], bool]:
        """By point, latency metric, statistic and throughput metric, where the point competes."""
        return {
            (row["operating_point_id"], row["latency_metric"], row["statistic"], row["throughput_metric"]): row[
                "is_on_frontier"
            ]
            for row in self.frontier
        }

    @property
    def hardware(self) -> Row:
        """What served it: the columns of a point, or of a run where nothing was measured."""
        return (self.points or self.runs)[0]


def read_sections(source: Source) -> list[Section]:
    """The sections, newest night first."""
    parts = {name: _by_section(source.rows(name)) for name in _PARTS}
    parts["history"] = _by_section(source.rows("history", [HISTORY_NIGHTS]))
    return list(_sections(source, parts))


def _sections(source: Source, parts: dict[str, dict[tuple[str, str], list[Row]]]) -> Iterator[Section]:
    for row in source.shown():
        own: dict[str, Any] = {name: found.get((row["endpoint"], row["workload"]), []) for name, found in parts.items()}
        bounds = [Bound(b["slo"], b["metric"], b["statistic"], b["limit_value"]) for b in own.pop("bounds")]
        yield Section(**row, **own, bounds=bounds)


def _by_section(rows: list[Row]) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["endpoint"], row["workload"]), []).append(row)
    return found
