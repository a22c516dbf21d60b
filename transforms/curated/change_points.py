"""curated.change_points: each night's performance against its baseline, and the changes in it, as episodes.

grain: performance_id, night

Of staging.performance_nights; the judgement is `transforms.changes`. Nights are compared within a lineage. What was known
after earlier nights is taken from the table's own rows, so that a night's work does not grow with the history.
"""

from collections.abc import Iterator
from datetime import datetime
from math import expm1
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from schemas.arrow import arrow_schema
from schemas.columns import CHANGE_POINTS
from transforms.changes import KEPT_NIGHTS, Episode, Known, Seen, confidence, follow

READS = ("staging.performance_nights", "raw.build_scope")

Row = dict[str, Any]

_KEPT = """
select count(*) from duckdb_tables()
where database_name = current_database() and schema_name = 'curated' and table_name = 'change_points__kept'
"""
_NIGHTS = """
with since as (
    select coalesce(since, '-infinity'::timestamp) as since from raw.build_scope
),

counted as (
    select
        nights.*,
        night < since as is_known,
        count(*) filter (where night >= since) over lineages as new_nights,
        row_number() over (lineages order by night desc) as age,
    from staging.performance_nights as nights cross join since
    window lineages as (partition by performance_id, lineage)
)

select
    performance_id, lineage,
    list(night order by night) as nights,
    list(counted.performance_value order by night) as performance_values,
    list(counted.own_error_share order by night) as own_errors,
    list({{run_date: counted.run_date, metric_version: counted.metric_version}} order by night) as provenance,
    any_value(counted.endpoint) as endpoint, any_value(counted.workload) as workload, any_value(counted.slo) as slo,
    any_value(counted.measure) as measure,
    count(*) filter (where is_known) as known_nights,
    {before} as before,
from counted {joined}
where new_nights > 0 and age <= new_nights + {reach}
group by performance_id, lineage
order by performance_id, lineage
"""
# the runner keeps a table's earlier rows under this name while it is made anew
_JOINED = "left join curated.change_points__kept as kept using (performance_id, lineage, night)"
_BEFORE = """struct_pack(
    starts := list(distinct kept.baseline_since) filter (where is_known),
    baseline_since := arg_max(kept.baseline_since, night) filter (where is_known),
    state := arg_max(kept.state, night) filter (where is_known),
    first_night := max(kept.first_night) filter (where is_known and kept.state = 'open' and age = new_nights + 1),
    step_night := max(kept.step_night) filter (where is_known and age = new_nights + 1),
    direction := max(kept.direction) filter (where is_known and age = new_nights + 1),
    change_sigmas := max(kept.change_sigmas) filter (where is_known and age = new_nights + 1)
)"""


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Make the rows from `raw.build_scope.since` on."""
    has_earlier = con.execute(_KEPT).fetchone() != (0,)
    before, joined = (_BEFORE, _JOINED) if has_earlier else ("null", "")
    found = con.execute(_NIGHTS.format(before=before, joined=joined, reach=KEPT_NIGHTS))
    names = [column[0] for column in found.description or ()]
    lineages = [dict(zip(names, values, strict=True)) for values in found.fetchall()]
    made = [row for lineage in lineages for row in _followed(lineage)]
    con.register("made_rows", pa.Table.from_pylist(made, schema=arrow_schema(CHANGE_POINTS)))
    con.execute("create or replace table curated.change_points as from made_rows")
    con.unregister("made_rows")


def _followed(lineage: Row) -> Iterator[Row]:
    """Rows of the new nights of a lineage, judged after those known."""
    nights, first = lineage["nights"], lineage["known_nights"]
    values = np.log(np.array(lineage["performance_values"], dtype=np.float64))
    own = np.array(lineage["own_errors"], dtype=np.float64)
    known = _known(lineage["before"], first, nights)
    seen = follow(values, own, known)
    if (
        known.nights and lineage["before"]["baseline_since"] < nights[0]
    ):  # a baseline that began before the nights at hand
        nights = [lineage["before"]["baseline_since"], *nights[1:]]
    same = {name: lineage[name] for name in ("performance_id", "lineage", "endpoint", "workload", "slo", "measure")}
    for index, now in enumerate(seen, start=first):
        own_columns = {"night": nights[index], "performance_value": lineage["performance_values"][index]}
        own_columns["own_error_share"] = lineage["own_errors"][index]
        yield same | own_columns | lineage["provenance"][index] | _columns(lineage["performance_id"], now, nights)


def _columns(performance_id: str, seen: Seen, nights: list[datetime]) -> Row:
    """What is known after a night, as columns."""
    baseline = {
        "baseline_since": nights[seen.since],
        "baseline_nights": seen.nights,
        "baseline_value": None if seen.centre is None else float(np.exp(seen.centre)),
        "baseline_spread_share": seen.spread,
        "sigmas": seen.sigmas,
        "state": seen.state,
    }
    episode = seen.episode
    if episode is None:
        return baseline
    found = nights[episode.found]
    return baseline | {
        "change_id": f"{performance_id}@{found:%Y-%m-%dT%H:%M:%S}",
        "first_night": found,
        "step_night": nights[episode.step],
        "direction": "worse" if episode.worse else "better",
        "change_share": expm1(episode.change),
        "change_sigmas": episode.sigmas,
        "confidence": confidence(episode.sigmas),
    }


def _known(before: Row | None, nights: int, all_nights: list[datetime]) -> Known:
    """What was known, from the rows; what lies before the nights at hand is as far away as the first of them."""
    if before is None or not nights:
        return Known()
    number = {night: index for index, night in enumerate(all_nights)}
    starts = frozenset(number.get(night, 0) for night in before["starts"])
    since = number.get(before["baseline_since"], 0)
    last = Seen(since, 0)
    if before["state"] == "open":
        found, step = number.get(before["first_night"], 0), number.get(before["step_night"], 0)
        episode = Episode(found, step, since, before["direction"] == "worse", sigmas=before["change_sigmas"])
        last = Seen(since, 0, episode=episode, state="open")
    return Known(nights, last, starts)
