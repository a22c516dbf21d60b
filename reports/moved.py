"""What moved: the changes that stand on the newest nights, for terminal, artifact, event and gate."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from reports.numbers import money
from warehouse.ask import own_rows
from warehouse.home import Home

Row = dict[str, Any]

NEWEST = """max(night) filter (
            where not (contains(coalesce(no_value, ''), 'retracted') and night > make_timestamp(epoch_us(now())) + interval 1 day)
        )"""
"""A series' newest night in `cost_trends`. One to come that was retracted (a wrong --night, or clock) hides no other."""

_STANDING = f"""
with newest as (
    select series_id, {NEWEST} as night
    from curated.cost_trends
    group by series_id
)

select moved.*
from curated.regressions as moved
inner join newest using (series_id, night)
order by moved.endpoint, moved.workload, moved.slo, abs(moved.change_share) desc nulls last, moved.series_id
"""

UNITS = {
    "usd_per_request": "a request",
    "usd_per_mtok_input": "1M input tokens",
    "usd_per_mtok_output": "1M output tokens",
}
"""What a measure is the price of; the others are of 1M tokens."""


@dataclass(frozen=True)
class Change:
    """One change of an endpoint's costs: its rows of `regressions` on the newest night, the largest first."""

    rows: list[Row]

    @property
    def main(self) -> Row:
        """The series that moved most."""
        return self.rows[0]

    @property
    def key(self) -> str:
        """One for all nights and series of the change."""
        row = self.main
        where = "/".join((row["endpoint"], row["workload"], row["slo"]))
        what = "performance" if row["cause"] == "performance" else row["regression_id"].partition("@")[0]
        return f"{where}/{what}/{row['direction']}@{row['first_night']:%Y-%m-%dT%H:%M:%S}"

    def sentence(self) -> str:
        """The change in a line: what, by how much, since when, how sure, and what else changed."""
        row = self.main
        size = row["performance_change_share"] if row["cause"] == "performance" else row["change_share"]
        what = {
            "performance": f"{_percent(size)} {'more' if (size or 0) > 0 else 'less'} GPU time for the same work",
            "price": f"the price moved the cost by {_signed(size)}",
            "scope": f"what is asked (demand, SLO, workload) moved the cost by {_signed(size)}",
        }[row["cause"]]
        sure = "known exactly" if row["cause"] != "performance" else f"{certainty(row['confidence'])} sure"
        cost = (
            f"{money(row['reference_usd'], row['currency'])} -> {money(row['value_usd'], row['currency'])} for "
            f"{UNITS.get(row['measure'], '1M tokens')} ({row['price_plan']}, {row['cost_basis']})"
        )
        suspects = f"; changed then: {', '.join(row['suspects'])}" if row["suspects"] else ""
        head = f"{row['endpoint']} x {row['workload']}, SLO {row['slo']}"
        return f"{head}: {row['direction']} since {row['step_night']:%Y-%m-%d}: {what}, {sure}: {cost}{suspects}"


def standing(home: Home, run_ids: Sequence[str] | None = None) -> list[Change]:
    """The changes that are open on the newest night of their series; with `run_ids` only of what these measured.

    Raises:
        WarehouseError: there is no warehouse, or it cannot be read.

    """
    return grouped(row for row in own_rows(home, _STANDING) if run_ids is None or row["run_id"] in run_ids)


def grouped(rows: Iterable[Row]) -> list[Change]:
    """The open changes that rows of `regressions` tell of, in their order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        for change in (row, *(row | other for other in row["also"] or ())):
            if change["state"] == "open":
                groups.setdefault(Change([change]).key, []).append(change)
    return [Change(sorted(of_one, key=_size, reverse=True)) for of_one in groups.values()]


def _size(row: Row) -> float:
    return abs(float(row["change_share"] or 0.0))


def said(changes: list[Change]) -> str:
    """The changes for a terminal, a line each; nothing where there are none."""
    return "\n".join(change.sentence() for change in changes)


def certainty(confidence: float) -> str:
    """A confidence in percent, which never rounds to certain."""
    return "over 99.9 %" if confidence > 0.999 else f"{100 * confidence:.1f} %"


def _percent(share: float | None) -> str:
    return "?" if share is None else f"{abs(share):.1%}"


def _signed(share: float | None) -> str:
    return "?" if share is None else f"{share:+.1%}"
