"""A night added to a long history says what a build of all nights says, although it looks at few of them.

Costs are made up: nights that are far apart, or few, loads that change and come back, prices and demands that change.
"""

from collections.abc import Iterator

import duckdb
import pytest

from schemas.columns import (
    BEST_OPERATING_POINTS,
    CHANGE_POINTS,
    COST_PER_MILLION_TOKENS,
    PRICE_PLANS,
    RUNS,
    Table,
)
from transforms.runner import build

NIGHTS = 460
# by endpoint: on which nights it is measured, and which loads it then has
ENDPOINTS = {
    "each-night": ("true", "'l'"),
    "every-third": ("n % 3 = 1", "'l'"),
    "away-for-most-of-a-year": ("n not between 60 and 400", "'l'"),
    "away-for-longer-than-looked-at": ("n not between 5 and 430", "'l'"),
    "other-loads-and-back": ("true", "case when n between 300 and 330 or n >= 445 then 'finer' else 'l' end"),
    "new": ("n >= 450", "'l'"),
}
GIVEN = (
    "staging.comparable_nights", "staging.night_effects", "curated.cost_per_million_tokens", "curated.price_plans",
    "curated.change_points", "curated.best_operating_points", "curated.runs",
)  # fmt: skip
MEASURED = " union all ".join(
    f"select '{name}' as endpoint, n, {loads} as loads from nights where {when}"
    for name, (when, loads) in ENDPOINTS.items()
)
# a third of the nights of plan `own` and basis `demand` have no cost; prices change on night 200 and 452, and the
# demand on night 447; what is asked of `every-third` changes every 60 nights
TABLES = f"""
create table nights as select n, timestamp '2025-01-01 02:00' + to_days(n::integer) as night from range({NIGHTS}) as r (n);
create table measured as
select *, concat(endpoint, '@', n) as fleet_id, concat('run of ', endpoint, ' ', n // 7) as run_id, concat('catalog', n) as catalog_hash
from ({MEASURED}) inner join nights using (n);
create table staging.comparable_nights as
select fleet_id, hash(fleet_id) as fleet_key, endpoint, 'w' as workload, 'slo' as slo, 'd' as demand, night, catalog_hash,
    'usd_per_mtok' as measure, loads, 'tokens' as lengths, 'terms' as slo_terms, 1 as metric_version, 1.0 as growth_factor,
    concat('asked', n >= 447, case when endpoint = 'every-third' then n // 60 end) as demand_terms,
    concat('load ', loads) as lineage
from measured;
insert into curated.price_plans by name
select catalog_hash, price_plan, night, 'rent' as kind, case when n < 200 then 2.0 when n < 452 then 2.5 else 3.0 end as usd_per_hour
from (select distinct catalog_hash, n, night from measured) cross join (values ('own'), ('rent')) as p (price_plan);
insert into curated.cost_per_million_tokens by name
select concat_ws('/', endpoint, price_plan, cost_basis) as series_id, fleet_id, run_id, night, night::date as run_date,
    endpoint, 'w' as workload, 'slo' as slo, 'd' as demand, price_plan, cost_basis, 'price_ratio' as allocation_method,
    'USD' as currency, 'gpu' as priced_unit, 'chosen' as status, 1 as metric_version,
    case when price_plan = 'own' and cost_basis = 'demand' and hash(n) % 3 = 0 then null
        else (1 + hash(endpoint, n, price_plan, cost_basis) % 1000 / 1000) end as usd_per_mtok
from measured cross join (values ('own'), ('rent')) as p (price_plan)
    cross join (values ('capacity'), ('demand')) as b (cost_basis);
insert into curated.best_operating_points by name
select endpoint, 'w' as workload, 'slo' as slo, night from measured;
insert into curated.runs by name
select distinct on (run_id) run_id, 1 as attempt, true as is_current, night, endpoint, concat('engine ', n // 30) as engine_version
from measured order by run_id, n;
insert into curated.change_points by name
select concat_ws('/', endpoint, 'w', 'slo', 'gpu_seconds') as performance_id, night, endpoint, 2.0 as performance_value,
    2.1 as baseline_value, 0.02 as baseline_spread_share, 1.5 as sigmas, first_value(night) over ages as baseline_since,
    case when n % 40 between 8 and 20 then 'open' when n % 40 = 21 then 'settled' when n % 40 = 22 then 'passed' else 'quiet' end as state,
    case when n % 40 between 8 and 22 then concat(endpoint, n // 40) end as change_id,
    first_value(night) over (partition by endpoint, n // 40, n % 40 between 8 and 22 order by n) as first_night,
    first_value(night) over (partition by endpoint, n // 40, n % 40 between 5 and 22 order by n) as step_night,
    'worse' as direction, 0.05 as change_share, 3.0 as change_sigmas, 0.99 as confidence
from measured window ages as (partition by endpoint order by n rows between 90 preceding and current row);
"""
# the change of a cost as prices, what is asked and performance would share it
EFFECTS = """
create table staging.night_effects as
select series_id, night,
    case when same_price then 0 else 0.5 end * (value_usd - previous_value_usd) as price_effect_usd,
    case when same_scope then 0 else 0.3 end * (value_usd - previous_value_usd) as scope_effect_usd,
    value_usd - previous_value_usd - price_effect_usd - scope_effect_usd as performance_effect_usd
from staging.night_pairs
"""


def empty(con: duckdb.DuckDBPyConnection, table: Table) -> None:
    columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
    con.execute(f"create table {table.schema}.{table.name} ({columns})")


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """The history, and `whole.*`: what a build of all nights says of it."""
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute(
            "attach ':memory:' as raw; attach ':memory:' as staging; attach ':memory:' as whole; create schema curated"
        )
        for table in (COST_PER_MILLION_TOKENS, CHANGE_POINTS, RUNS, PRICE_PLANS, BEST_OPERATING_POINTS):
            empty(con, table)
        con.execute(TABLES)
        con.execute("create table raw.build_scope as select min(night) as since from nights")
        build(con, wanted=("staging.night_pairs",), given=GIVEN)
        con.execute(EFFECTS)
        build(con, wanted=("curated.regressions",), given=GIVEN)
        con.execute(
            "create table whole.cost_trends as from curated.cost_trends; create table whole.regressions as from curated.regressions"
        )
        yield con


@pytest.mark.parametrize("nights", [1, 3, 18, 200])
def test_the_last_nights_are_those_of_a_build_of_all(con: duckdb.DuckDBPyConnection, nights: int) -> None:
    con.execute(
        f"create or replace table raw.build_scope as select night as since from nights where n = {NIGHTS - nights}"
    )
    con.execute("drop table if exists curated.regressions")
    since = "(select since from raw.build_scope)"
    build(con, wanted=("curated.cost_trends",), given=GIVEN)
    expected = con.execute(f"from whole.cost_trends where night >= {since} order by all").fetchall()
    assert con.execute("from curated.cost_trends order by all").fetchall() == expected
    # of the trends a build keeps the earlier nights
    con.execute(f"insert into curated.cost_trends from whole.cost_trends where night < {since}")
    build(con, wanted=("curated.regressions",), given=(*GIVEN, "curated.cost_trends"))
    told = con.execute(f"from whole.regressions where night >= {since} order by all").fetchall()
    assert told and con.execute("from curated.regressions order by all").fetchall() == told


def test_the_history_has_what_could_go_wrong(con: duckdb.DuckDBPyConnection) -> None:
    def of_last_night(endpoint: str, series: str = "rent/capacity") -> tuple[object, ...]:
        [row] = con.execute(
            f"select days_since_previous, baseline_nights, baseline_break from whole.cost_trends where series_id = '{endpoint}/{series}' "
            "order by night desc limit 1"
        ).fetchall()
        return row

    # the baseline of the performance is 90 nights old, and the change that is open began on night 445
    assert of_last_night("each-night") == (1, 445 - 369, None)
    assert of_last_night("every-third")[0] == 3
    # prices changed while it was away
    assert of_last_night("away-for-most-of-a-year") == (1, 445 - 401, None)
    broken = con.execute(
        "select distinct baseline_break from whole.cost_trends where night = (select max(night) - interval 14 days from nights)"
    ).fetchall()
    assert ("load finer",) in broken
