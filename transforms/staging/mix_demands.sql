-- staging.mix_demands: each demand for a mix of workloads, on each night that measured one of them.
-- grain: mix_id
-- columns: of raw.demands, and night, run_date, metric_version; peak_rps and mean_rps are those of the night, growth
--   included. A night that was measured again after an edit of the catalog has two snapshots: the later one asks;
--   retracted runs only where all are.
with runs as (
    select * from staging.attempts
    where is_current
    qualify (retracted_at is null) = bool_or(retracted_at is null) over (partition by night)
),

nights as (
    select
        night,
        any_value(run_date) as run_date,
        arg_max(catalog_hash, started_at) as catalog_hash,
        list(distinct workload) as workloads,
    from runs
    group by night
),

classes as (
    select
        catalog_hash,
        demand,
        list(workload) as workloads,
    from raw.demand_classes
    group by catalog_hash, demand
),

grown as (
    select
        demands.*,
        nights.night,
        nights.run_date,
        growth_factor(demands.growth, demands.as_of, nights.run_date) as growth_factor,
    from nights
    inner join raw.demands as demands using (catalog_hash)
    inner join classes using (catalog_hash, demand)
    where list_has_any(nights.workloads, classes.workloads)
)

select
    concat_ws('/', grown.demand, strftime(grown.night, '%Y-%m-%dT%H:%M:%S')) as mix_id,
    grown.demand,
    grown.application,
    grown.slo,
    grown.night,
    grown.run_date,
    grown.catalog_hash,
    metric_version.metric_version,
    grown.peak_rps * grown.growth_factor as peak_rps,
    grown.mean_rps * grown.growth_factor as mean_rps,
    grown.headroom,
    grown.spares,
    grown.uptime,
    grown.max_instances,
    grown.max_gpus,
    grown.max_power_kw,
    grown.price_plans,
from grown
cross join staging.metric_version as metric_version
