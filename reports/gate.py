"""What the gate says of each series: whether its cost rose by more than a limit, and whether that is more than noise."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, log1p, sqrt
from typing import Any

from reports.moved import NEWEST, UNITS, certainty
from reports.numbers import money
from warehouse.ask import own_rows
from warehouse.home import Home

Row = dict[str, Any]

SURE_SIGMAS = 3.0
"""One night alone counts from so many sigmas of the series' own noise on: 1 in 700 of noise, 5 % and more of 2 % noise."""
_SIGMAS_OF_A_BOUND = 1.96
"""A 95 % interval reaches so far to either side."""
FILTERS = ("endpoint", "workload", "slo", "demand", "price_plan", "cost_basis", "series_id")

_OF_A_CHANGE = ("cause", "direction", "step_night", "first_night", "confidence", "reference_usd", "suspects")

_NEWEST = f"""
with newest as (
    select
        series_id,
        {NEWEST} as night,
        bool_or(value_usd is not null) as had_value,
    from curated.cost_trends
    where true {{chosen}}
    group by series_id
),

tonight as (
    select
        trends.*,
        newest.had_value,
        moved.cause,
        moved.direction,
        moved.step_night,
        moved.first_night,
        moved.confidence,
        moved.reference_usd,
        moved.change_share as moved_share,
        moved.suspects,
        moved.also,
    from curated.cost_trends as trends
    inner join newest using (series_id, night)
    left join curated.regressions as moved using (series_id, night)
    -- a whole token's price is the same however it is split
    where trends.allocation_method <> 'processor_sharing'
),

-- what prices and demand have done since the baseline, or where there is none, since the change
exact as (
    select
        tonight.series_id,
        sum(coalesce(past.price_effect_usd, 0) + coalesce(past.scope_effect_usd, 0)) as exact_usd,
    from tonight
    inner join curated.cost_trends as past
        on
            tonight.series_id = past.series_id
            and past.night <= tonight.night
            and coalesce(past.night > tonight.baseline_until, past.night >= tonight.step_night)
    group by tonight.series_id
)

select
    tonight.*,
    exact.exact_usd,
from tonight
left join exact using (series_id)
order by endpoint, workload, slo, demand, price_plan, cost_basis
"""


@dataclass(frozen=True)
class Verdict:
    """What is said of a series on its newest night: ok, tripped, noise, no_baseline or no_value."""

    row: Row
    verdict: str
    change_share: float | None
    confidence: float | None
    why: str

    def as_json(self) -> Row:
        """For scripts."""
        names = ("series_id", *FILTERS[:-1], "night", "measure", "currency", "value_usd")
        row = self.row
        held = row["direction"] == "worse"
        return {name: row[name] for name in names} | {
            "verdict": self.verdict,
            "change_share": self.change_share,
            "confidence": self.confidence,
            "since": row["step_night"] if held else row["night"] if self.verdict == "tripped" else None,
            "cause": row["cause"] if held else None,
            "suspects": row["suspects"] if held else [],
            "performance_effect_usd": row["performance_effect_usd"],
            "price_effect_usd": row["price_effect_usd"],
            "scope_effect_usd": row["scope_effect_usd"],
            "why": self.why,
        }

    def sentence(self) -> str:
        """For a terminal."""
        row = self.row
        name = f"{row['endpoint']} x {row['workload']}, SLO {row['slo']}, {row['demand']}, {row['price_plan']}, {row['cost_basis']}"
        return f"{name} on {row['night']:%Y-%m-%d %H:%M}: {self.why}"


def judge(
    home: Home, limit: float, against: str = "baseline", chosen: Mapping[str, tuple[str, ...]] | None = None
) -> list[Verdict]:
    """Hold the newest night of each series against its baseline, or `previous` night; `limit` is a share.

    `chosen` names the series that count, by column.

    Raises:
        WarehouseError: there is no warehouse, or it cannot be read.

    """
    wanted = {name: list(values) for name, values in (chosen or {}).items() if values}
    conditions = "".join(f" and list_contains(${name}, {name})" for name in wanted)
    rows = own_rows(home, _NEWEST.format(chosen=conditions), wanted)
    return [_verdict(_telling(row), limit, against) for row in rows]


def _telling(row: Row) -> Row:
    """The row with a slower endpoint as its change, if there is one: prices and demand are in `exact_usd` as well."""
    changes = [row, *(row["also"] or ())]
    slower = next((c for c in changes if c["direction"] == "worse" and c["cause"] == "performance"), row)
    if slower is row:
        return row
    return row | {name: slower[name] for name in _OF_A_CHANGE} | {"moved_share": slower["change_share"]}


def _verdict(row: Row, limit: float, against: str) -> Verdict:
    if row["value_usd"] is None:
        if row["status"] == "infeasible" and row["had_value"]:
            return Verdict(
                row, "tripped", None, 1.0, "no operating point meets the SLO any more: there is no cost to compare"
            )
        return Verdict(row, "no_value", None, None, f"not judged: {row['no_value']}")
    before = row["baseline_usd"] if against == "baseline" else row["previous_value_usd"]
    if before is None and against == "baseline" and row["direction"] == "worse":
        before = row["reference_usd"]
        if row["cause"] != "performance" and row["exact_usd"] <= limit * before:
            before = None  # the rest of the rise has no noise to be told from
    if before is None:
        because = f"; {row['baseline_break']} is new" if row["baseline_break"] else ""
        what = (
            f"{row['baseline_nights']} valid nights before it, a baseline takes 5"
            if against == "baseline"
            else "no valid night before it"
        )
        return Verdict(row, "no_baseline", None, None, f"not judged: {what}{because}")
    change = row["value_usd"] / before - 1
    unit = UNITS.get(row["measure"], "1M tokens")
    moved = f"{money(before, row['currency'])} -> {money(row['value_usd'], row['currency'])} for {unit} ({change:+.1%})"
    if against == "baseline" and row["direction"] == "worse" and row["cause"] == "performance":
        # a change that stands is known by the mean of its nights, better than by tonight's alone
        moved, change = f"{moved}, {row['moved_share']:+.1%} in the mean since then", max(change, row["moved_share"])
    if change <= limit:
        return Verdict(row, "ok", change, None, moved)
    trips, confidence, how = _sureness(row, before, limit, against)
    if not trips:
        return Verdict(row, "noise", change, None, f"{moved}, within its own noise so far: {how}")
    return Verdict(row, "tripped", change, confidence, f"{moved}, {how}{_since(row)}")


def _sureness(row: Row, before: float, limit: float, against: str) -> tuple[bool, float | None, str]:
    """Whether a rise from `before` by more than the limit trips, how sure it is (null: not known), and that in words."""
    if row["direction"] == "worse" and row["cause"] == "performance":
        return True, row["confidence"], f"{certainty(row['confidence'])} sure"
    exact_usd = row["exact_usd"]
    if against == "previous":
        exact_usd = (row["price_effect_usd"] or 0.0) + (row["scope_effect_usd"] or 0.0)
    if (exact_usd or 0.0) > limit * before:
        return True, 1.0, f"{exact_usd / before:+.1%} by prices or demand, known exactly"
    if against == "baseline" and row["direction"] == "worse" and row["moved_share"] > limit:
        # in a young series, whose baseline has nights of both prices
        return True, 1.0, f"{row['moved_share']:+.1%} of it by {row['cause']}, known exactly"
    if not row["performance_id"]:
        return True, 1.0, "known exactly"
    sigmas, noise = _sigmas(row, before, exact_usd or 0.0, against)
    if sigmas is None:
        return True, None, "its noise is not known yet"
    if sigmas < SURE_SIGMAS:
        return False, None, f"{sigmas:.1f} sigmas of {noise}"
    from transforms.changes import confidence

    return True, confidence(sigmas), f"{sigmas:.1f} sigmas of its own noise, {certainty(confidence(sigmas))} sure"


def _sigmas(row: Row, before: float, exact_usd: float, against: str) -> tuple[float | None, str]:
    """How much slower the endpoint is than before, in sigmas of the series' noise, and that noise in words.

    Until the nights tell what they differ by, a night's own interval stands for it; null where it has none.
    """
    noise = row["noise_share"]
    if noise is not None:
        in_words = f"{100 * noise:.1f} % a night"
        if against == "baseline":
            return row["sigmas"] or 0.0, in_words
    elif row["value_usd_lo"] and row["value_usd_hi"]:
        from transforms.changes import LEAST_SPREAD

        noise = max(LEAST_SPREAD, log(row["value_usd_hi"] / row["value_usd_lo"]) / (2 * _SIGMAS_OF_A_BOUND))
        in_words = f"{100 * noise:.1f} %, its own interval: what nights differ by is not known yet"
    else:
        return None, ""
    slower_usd = row["performance_effect_usd"] if against == "previous" else row["value_usd"] - before - exact_usd
    return log1p(max(-0.99, (slower_usd or 0.0) / before)) / (noise * sqrt(2)), in_words


def _since(row: Row) -> str:
    if row["direction"] != "worse":
        return ""
    suspects = f"; changed then: {', '.join(row['suspects'])}" if row["suspects"] else ""
    return f", since {row['step_night']:%Y-%m-%d}, by {row['cause']}{suspects}"
