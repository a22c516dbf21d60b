"""curated.change_points: each night's performance against its baseline, and the changes in it, as episodes.

grain: performance_id, night

Of staging.performance_nights; the judgement is `transforms.changes`. Nights are compared within a lineage. Earlier nights,
and what was known after them, are taken from the table's own rows, so that a night's work does not grow with the history.
"""

from collections.abc import Iterator
from datetime import datetime
from math import expm1
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.arrow import arrow_schema
from schemas.columns import CHANGE_POINTS
from transforms.changes import KEPT_NIGHTS, Array, Episode, Known, Seen, confidence, follow
from transforms.earlier_rows import earlier_rows

READS = ("staging.performance_nights", "raw.build_scope")

Row = dict[str, Any]
Nights = npt.NDArray[np.datetime64]

_NIGHTS = """
with scope as (
    select since, since - interval {recent_days} days as recent from raw.build_scope
),

new as (
    select performance_id, lineage, hash(performance_id, lineage) as lineage_key,
        any_value(endpoint) as endpoint, any_value(workload) as workload, any_value(slo) as slo, any_value(measure) as measure,
        list({{run_date: run_date, metric_version: metric_version}} order by night) as provenance,
    from staging.performance_nights
    group by performance_id, lineage
),

-- not materialized: each of its readers asks for nights and columns of its own
kept as not materialized (
    select
        hash(kept.performance_id, kept.lineage) as lineage_key,
        kept.night,
        kept.performance_value,
        kept.own_error_share,
        kept.baseline_since,
        {{baseline_since: kept.baseline_since, state: kept.state, first_night: kept.first_night,
            step_night: kept.step_night, direction: kept.direction, change_sigmas: kept.change_sigmas}} as known,
    from {kept} as kept
    cross join scope
    where kept.night < scope.since
),

recent as materialized (
    select kept.* exclude (known)
    from kept
    cross join scope
    semi join new on kept.lineage_key = new.lineage_key
    where kept.night >= scope.recent
),

-- fewer nights than can matter: those are followed further
short as materialized (
    select new.lineage_key
    from new
    left join recent on new.lineage_key = recent.lineage_key
    group by new.lineage_key
    having count(recent.night) < {reach}
),

nights as (
    select * from recent
    union all by name
    select kept.* exclude (known)
    from kept
    cross join scope
    semi join short on kept.lineage_key = short.lineage_key
    where kept.night < scope.recent
    union all by name
    select hash(performance_id, lineage) as lineage_key, night, performance_value, own_error_share,
    from staging.performance_nights
),

at_hand as (
    select lineage_key,
        list_sort(list({{night: night, value: performance_value, own: own_error_share}})) as nights,
        count(baseline_since) as known_nights,
        list(distinct baseline_since) filter (where baseline_since is not null) as starts,
        max(night) filter (where baseline_since is not null) as last_night,
    from nights
    group by lineage_key
)

select new.* exclude (lineage_key), at_hand.* exclude (lineage_key), kept.known as last_known,
from new
inner join at_hand on new.lineage_key = at_hand.lineage_key
left join kept on at_hand.lineage_key = kept.lineage_key and at_hand.last_night = kept.night
order by new.performance_id, new.lineage
"""
_RECENT_DAYS = KEPT_NIGHTS + 24
"""Few series were not measured on enough of these nights."""


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Make the rows from `raw.build_scope.since` on."""
    with earlier_rows(con, CHANGE_POINTS, while_made=True) as kept:
        query = _NIGHTS.format(kept=kept, reach=KEPT_NIGHTS, recent_days=_RECENT_DAYS)
        lineages = con.sql(query).to_arrow_table()
    # as arrays: a Python object for each night of each series would take as long as to judge the new ones
    nights = [found.values for found in lineages["nights"]]
    made = [
        row
        for lineage, found in zip(lineages.drop_columns("nights").to_pylist(), nights, strict=True)
        for row in _followed(lineage, *(found.field(name).to_numpy() for name in ("night", "value", "own")))
    ]
    con.register("made_rows", pa.Table.from_pylist(made, schema=arrow_schema(CHANGE_POINTS)))
    con.execute("create or replace table curated.change_points as from made_rows")
    con.unregister("made_rows")


def _followed(lineage: Row, nights: Nights, performance_values: Array, own_errors: Array) -> Iterator[Row]:
    """Rows of the new nights of a lineage, judged after those known."""
    first, before = lineage["known_nights"], lineage["last_known"]
    seen = follow(np.log(performance_values), own_errors, _known(before, lineage["starts"], first, nights))
    if before and _instant(before["baseline_since"]) < nights[0]:  # a baseline that began before the nights at hand
        nights = np.concatenate([[_instant(before["baseline_since"])], nights[1:]])
    same = {name: lineage[name] for name in ("performance_id", "lineage", "endpoint", "workload", "slo", "measure")}
    for index, now in enumerate(seen, start=first):
        own_columns = {"night": nights[index].item(), "performance_value": float(performance_values[index])}
        own_columns["own_error_share"] = float(own_errors[index])
        yield (
            same | own_columns | lineage["provenance"][index - first] | _columns(lineage["performance_id"], now, nights)
        )


def _columns(performance_id: str, seen: Seen, nights: Nights) -> Row:
    """What is known after a night, as columns."""
    baseline = {
        "baseline_since": nights[seen.since].item(),
        "baseline_nights": seen.nights,
        "baseline_value": None if seen.centre is None else float(np.exp(seen.centre)),
        "baseline_spread_share": seen.spread,
        "sigmas": seen.sigmas,
        "state": seen.state,
    }
    episode = seen.episode
    if episode is None:
        return baseline
    found = nights[episode.found].item()
    return baseline | {
        "change_id": f"{performance_id}@{found:%Y-%m-%dT%H:%M:%S}",
        "first_night": found,
        "step_night": nights[episode.step].item(),
        "direction": "worse" if episode.worse else "better",
        "change_share": expm1(episode.change),
        "change_sigmas": episode.sigmas,
        "confidence": confidence(episode.sigmas),
    }


def _known(before: Row | None, starts_at: list[datetime] | None, nights: int, all_nights: Nights) -> Known:
    """What was known, from the rows; what lies before the nights at hand is as far away as the first of them."""
    if before is None or starts_at is None:
        return Known()

    def number(night: datetime) -> int:
        index = int(np.searchsorted(all_nights, _instant(night)))
        return index if index < len(all_nights) and all_nights[index] == _instant(night) else 0

    reference = number(before["baseline_since"])
    last = Seen(reference, 0)
    if before["state"] == "open":
        found, step = number(before["first_night"]), number(before["step_night"])
        episode = Episode(found, step, reference, before["direction"] == "worse", sigmas=before["change_sigmas"])
        last = Seen(reference, 0, episode=episode, state="open")
    return Known(nights, last, frozenset(number(night) for night in starts_at))


def _instant(night: datetime) -> np.datetime64:
    return np.datetime64(night, "us")
