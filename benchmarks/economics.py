"""The whole economics rebuilt over many operating points: from points and attainment to every table with money.

The points are made up and stand where the traces' tables would; everything from the choice of a point on is built by
the nightly SQL files, assertions included, in a process of its own (`benchmarks.alone`).
"""

from dataclasses import dataclass

from benchmarks.alone import alone
from benchmarks.made_up_points import Shape
from benchmarks.tables import Section


@dataclass(frozen=True)
class Row:
    """One size: seconds of the economics alone."""

    points: int
    fleets: int
    costs: int
    ledger: int
    seconds: float
    kcosts_per_s: float
    peak_mib: float
    slowest: str
    growth_of_points: float | None = None
    growth_of_time: float | None = None


def run(quick: bool) -> list[Section]:
    """A fifth of the points, then all."""
    rows: list[Row] = []
    for nights in (1, 5) if quick else (5, 25):
        rows.append(_row(nights, rows[-1] if rows else None))
    of = Shape()
    note = (
        f"{of.slos} SLOs x {of.demands} demands x {of.plans} price plans; "
        f"{of.endpoints} endpoints x {of.levels} levels a night"
    )
    return [Section("economics", "points and attainment to every table with money", rows, (note,))]


def _row(nights: int, before: Row | None) -> Row:
    done = alone("economics", str(nights))
    seconds: dict[str, float] = done.found["seconds"]
    spent, rows = sum(seconds.values()), done.found["rows"]
    points = nights * Shape().endpoints * Shape().levels
    slowest = sorted(seconds, key=lambda name: -seconds[name])[:3]
    return Row(
        points=points,
        fleets=rows["curated.server_counts"],
        costs=rows["curated.cost_per_million_tokens"],
        ledger=rows["curated.cost_ledger"],
        seconds=spent,
        kcosts_per_s=rows["curated.cost_per_million_tokens"] / spent / 1e3,
        peak_mib=done.peak_mib,
        slowest=", ".join(f"{name.partition('.')[2]} {seconds[name]:.1f} s" for name in slowest),
        growth_of_points=points / before.points if before else None,
        growth_of_time=spent / before.seconds if before else None,
    )
