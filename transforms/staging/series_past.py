"""staging.series_past: the valid nights of each series that a new night is held against; the new ones are among them.

grain: series_key, night
spans: nights

Numbers stand for what is compared, since there are many rows: series_key; fleet_key; lineage_key, series and lineage
of staging.comparable_nights; comparable_key, series, loads, measure and metric version; price_key, prices alone;
terms_key, prices and demand. value_usd is read from the measure's column. Earlier nights are rows of curated.cost_trends.
"""

import duckdb

from schemas.columns import COST_TRENDS
from transforms.earlier_rows import earlier_rows

READS = (
    "staging.comparable_nights", "staging.plan_terms", "curated.cost_per_million_tokens", "raw.build_scope",
)  # fmt: skip

# Nights are those of the 140 days before the first new one, of which a baseline takes at most 120. Only a series that has
# fewer among them, of the loads, SLO and lengths that it has tonight, is followed further: for 400 days.
_NIGHTS = """
create or replace table staging.series_past as
with scope as (
    select
        since,
        since - interval 140 days as recent,
        since - interval 400 days as earliest,
    from raw.build_scope
),

fleets as (
    select
        fleet_key,
        catalog_hash,
        measure,
        hash(demand_terms) as demand_key,
        hash(lineage) as lineage_no,
        hash(loads, measure, metric_version) as comparable_no,
    from staging.comparable_nights
    cross join scope
    where night >= scope.since
),

new as materialized (
    select
        hash(costs.series_id) as series_key,
        costs.night,
        fleets.fleet_key,
        hash(plans.price_terms) as price_key,
        hash(price_key, fleets.demand_key) as terms_key,
        hash(series_key, fleets.lineage_no) as lineage_key,
        hash(series_key, fleets.comparable_no) as comparable_key,
        case fleets.measure
            when 'usd_per_mtok' then costs.usd_per_mtok
            when 'usd_per_mtok_input' then costs.usd_per_mtok_input
            when 'usd_per_mtok_output' then costs.usd_per_mtok_output
            else costs.usd_per_request
        end as value_usd,
    from curated.cost_per_million_tokens as costs
    cross join scope
    inner join fleets on hash(costs.fleet_id) = fleets.fleet_key
    inner join staging.plan_terms as plans
        on
            fleets.catalog_hash = plans.catalog_hash
            and costs.price_plan = plans.price_plan
            and costs.night = plans.night
    where costs.night >= scope.since and value_usd > 0 and isfinite(value_usd)
),

-- not materialized: each of its readers asks for nights of its own; of each column alone, since few values are many rows
known as not materialized (
    select
        hash(trends.series_id) as series_key,
        trends.night,
        hash(trends.fleet_id) as fleet_key,
        hash(trends.price_terms) as price_key,
        hash(price_key, hash(trends.demand_terms)) as terms_key,
        hash(series_key, hash(trends.lineage)) as lineage_key,
        hash(series_key, hash(trends.loads, trends.measure, trends.metric_version)) as comparable_key,
        trends.value_usd,
    from {trends} as trends
    cross join scope
    where trends.night < scope.since and trends.value_usd is not null
),

-- as above
recent as not materialized (
    select * from new
    union all
    select known.*
    from known
    cross join scope
    where known.night >= scope.recent
),

-- the last night of a lineage, and that of any, are among the recent ones where one of the lineage is
short as materialized (
    select recent.series_key
    from recent
    cross join scope
    group by recent.series_key, recent.lineage_key
    having max(recent.night) >= any_value(scope.since) and count(*) filter (where recent.night < scope.since) < 120
),

-- no row where no series is short: then no older night is read
further as materialized (
    select
        min(scope.recent) as recent,
        min(scope.earliest) as earliest,
    from scope
    cross join short
    having count(*) > 0
)

select * from recent
union all
select known.*
from known
cross join further
semi join short on known.series_key = short.series_key
where known.night < further.recent and known.night >= further.earliest
"""


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Look the nights up."""
    with earlier_rows(con, COST_TRENDS) as trends:
        con.execute(_NIGHTS.format(trends=trends))
