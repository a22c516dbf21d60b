-- curated.demands: what was asked of fleets on each night: demands and their SLOs, as its catalog snapshot has them.
-- grain: catalog_hash, demand, night
-- columns: comments in schemas/columns.py. slo_terms is the whole SLO in one line, so that a changed one shows.
with nights as (
    select distinct
        catalog_hash,
        night,
        run_date,
    from staging.attempts
),

bounds as (
    select
        catalog_hash,
        slo,
        string_agg(concat_ws(' ', metric, statistic, limit_value), ', ' order by bound_index) as limits,
    from raw.slo_bounds
    group by catalog_hash, slo
),

rates as (
    select
        catalog_hash,
        demand,
        list(rps order by rps) as trace_rps,
        list(share order by rps) as trace_shares,
    from raw.demand_rates
    group by catalog_hash, demand
)

select
    demands.catalog_hash,
    demands.demand,
    nights.night,
    nights.run_date,
    demands.application,
    demands.workload,
    demands.slo,
    demands.peak_rps,
    demands.mean_rps,
    demands.mean_source,
    demands.growth,
    demands.as_of,
    demands.headroom,
    demands.spares,
    demands.uptime,
    demands.max_instances,
    demands.max_gpus,
    demands.max_power_kw,
    demands.price_plans,
    rates.trace_rps,
    rates.trace_shares,
    concat_ws(
        ', ', bounds.limits, 'attainment ' || slos.attainment_share, 'errors ' || slos.max_error_share,
        'quality ' || slos.min_quality_score
    ) as slo_terms,
    metric_version.metric_version,
from nights
cross join staging.metric_version as metric_version
inner join raw.demands as demands using (catalog_hash)
left join raw.slos as slos using (catalog_hash, slo)
left join bounds using (catalog_hash, slo)
left join rates using (catalog_hash, demand)
