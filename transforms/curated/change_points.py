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
import pyarrow as pa

from schemas.arrow import arrow_schema
from schemas.columns import CHANGE_POINTS
from transforms.changes import KEPT_NIGHTS, Episode, Known, Seen, confidence, follow

READS = ("staging.performance_nights", "raw.build_scope")

Row = dict[str, Any]

_NIGHTS = """
with new as (
    select performance_id, lineage, hash(performance_id, lineage) as lineage_key, count(*) as new_nights,
        any_value(endpoint) as endpoint, any_value(workload) as workload, any_value(slo) as slo, any_value(measure) as measure,
        list({{run_date: run_date, metric_version: metric_version}} order by night) as provenance,
    from staging.performance_nights
    group by performance_id, lineage
),

nights as (
    select hash(performance_id, lineage) as lineage_key, night, performance_value, own_error_share,
        {{baseline_since: baseline_since, state: state, first_night: first_night, step_night: step_night,
            direction: direction, change_sigmas: change_sigmas}} as known,
    from {kept}
    where night < (select since from raw.build_scope)
    union all by name
    select hash(performance_id, lineage) as lineage_key, night, performance_value, own_error_share,
    from staging.performance_nights
),

counted as (
    select
        nights.*,
        new_nights,
        row_number() over (partition by lineage_key order by night desc) as age,
    from nights
    inner join new using (lineage_key)
),

at_hand as (
    select lineage_key,
        list(night order by night) as nights,
        list(performance_value order by night) as performance_values,
        list(own_error_share order by night) as own_errors,
        count(known) as known_nights,
        list(distinct known.baseline_since) filter (where known is not null) as starts,
        arg_max(known, night) filter (where known is not null) as last_known,
    from counted
    where age <= new_nights + {reach}
    group by lineage_key
)

select * from new inner join at_hand using (lineage_key) order by performance_id, lineage
"""
# the runner keeps a table's earlier rows under this name while it is made anew: what was known after each night
_KEPT = "curated.change_points__kept"


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Make the rows from `raw.build_scope.since` on."""
    con.register("no_rows", pa.Table.from_pylist([], schema=arrow_schema(CHANGE_POINTS)))
    found = con.execute(_NIGHTS.format(kept=_KEPT if _has_earlier(con) else "no_rows", reach=KEPT_NIGHTS))
    names = [column[0] for column in found.description or ()]
    lineages = [dict(zip(names, values, strict=True)) for values in found.fetchall()]
    con.unregister("no_rows")
    made = [row for lineage in lineages for row in _followed(lineage)]
    con.register("made_rows", pa.Table.from_pylist(made, schema=arrow_schema(CHANGE_POINTS)))
    con.execute("create or replace table curated.change_points as from made_rows")
    con.unregister("made_rows")


def _has_earlier(con: duckdb.DuckDBPyConnection) -> bool:
    query = "select count(*) from duckdb_tables() where database_name = current_database() and concat(schema_name, '.', table_name) = ?"
    return con.execute(query, [_KEPT]).fetchone() != (0,)


def _followed(lineage: Row) -> Iterator[Row]:
    """Rows of the new nights of a lineage, judged after those known."""
    nights, first = lineage["nights"], lineage["known_nights"]
    values = np.log(np.array(lineage["performance_values"], dtype=np.float64))
    own = np.array(lineage["own_errors"], dtype=np.float64)
    before = lineage["last_known"]
    known = _known(before, lineage["starts"], first, nights)
    seen = follow(values, own, known)
    if before and before["baseline_since"] < nights[0]:  # a baseline that began before the nights at hand
        nights = [before["baseline_since"], *nights[1:]]
    same = {name: lineage[name] for name in ("performance_id", "lineage", "endpoint", "workload", "slo", "measure")}
    for index, now in enumerate(seen, start=first):
        own_columns = {"night": nights[index], "performance_value": lineage["performance_values"][index]}
        own_columns["own_error_share"] = lineage["own_errors"][index]
        yield (
            same | own_columns | lineage["provenance"][index - first] | _columns(lineage["performance_id"], now, nights)
        )


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


def _known(before: Row | None, starts_at: list[datetime] | None, nights: int, all_nights: list[datetime]) -> Known:
    """What was known, from the rows; what lies before the nights at hand is as far away as the first of them."""
    if before is None or starts_at is None:
        return Known()
    number = {night: index for index, night in enumerate(all_nights)}
    starts = frozenset(number.get(night, 0) for night in starts_at)
    reference = number.get(before["baseline_since"], 0)
    last = Seen(reference, 0)
    if before["state"] == "open":
        found, step = number.get(before["first_night"], 0), number.get(before["step_night"], 0)
        episode = Episode(found, step, reference, before["direction"] == "worse", sigmas=before["change_sigmas"])
        last = Seen(reference, 0, episode=episode, state="open")
    return Known(nights, last, starts)
