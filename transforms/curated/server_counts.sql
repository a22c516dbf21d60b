-- curated.server_counts: the fleet that a demand needs on an endpoint (docs/economics.md, Servers).
-- grain: fleet_id
-- columns: comments in schemas/columns.py. Sized by the macro size_fleet at the measured rate and at both ends of its
--   interval. A budget of N instances cuts the headroom before the spares, the peak's own instances last: n1' =
--   min(n1, max(0, N - spares)), n0' = min(n0, n1'), spares' = min(spares, N). Budgets of GPUs and of power count those
--   that instances use. A demand without a chosen point is a row with its status and null counts; so is one with a
--   power budget on an endpoint whose power is not known (unknown_power).
--   Endpoints with the role prefill or decode are the pools of disaggregated fleets: each is sized by itself.
-- assertions (server_counts.test.sql): without a budget the fleet carries peak and headroom; within one it is kept
with best as (
    select * from curated.best_operating_points
),

points as (
    select * from curated.operating_points
),

demanded as (
    select
        demands.* exclude (peak_rps, mean_rps, max_instances),
        concat_ws('/', demands.demand, best.endpoint, strftime(best.night, '%Y-%m-%dT%H:%M:%S')) as fleet_id,
        best.endpoint,
        best.night,
        best.run_date,
        best.status as best_status,
        best.metric_version,
        best.run_id,
        best.operating_point_id,
        hardware.role,
        hardware.model,
        hardware.accelerator,
        hardware.gpus_per_instance,
        hardware.gpus_per_server,
        hardware.gpus_per_instance * hardware.power_kw_per_gpu as kw_per_instance,
        growth_factor(demands.growth, demands.as_of, best.run_date) as growth_factor,
        demands.peak_rps,
        demands.mean_rps,
        -- least() skips nulls: a missing budget is no budget
        least(
            demands.max_instances,
            demands.max_gpus // nullif(hardware.gpus_per_instance, 0),
            floor(round(demands.max_power_kw / nullif(hardware.gpus_per_instance * hardware.power_kw_per_gpu, 0), 9))
        ) as budget,
        points.request_rps / nullif(points.instances_measured, 0) as point_rate,
        points.request_rps_lo / nullif(points.instances_measured, 0) as point_rate_lo,
        points.request_rps_hi / nullif(points.instances_measured, 0) as point_rate_hi,
    from best
    inner join raw.demands as demands using (catalog_hash, workload, slo)
    inner join staging.hardware as hardware using (endpoint, workload, night)
    left join points using (operating_point_id)
),

grown as (
    select
        *,
        peak_rps * growth_factor as peak,
        mean_rps * growth_factor as mean,
        case
            when best_status = 'chosen' and max_power_kw is not null and kw_per_instance is null then 'unknown_power'
            else best_status
        end as status,
        -- a fleet that cannot be sized has no rate
        case when status = 'chosen' then point_rate end as rate,
        case when status = 'chosen' then point_rate_lo end as rate_lo,
        case when status = 'chosen' then point_rate_hi end as rate_hi,
    from demanded
),

rates as (
    select
        *,
        unnest(['rate', 'rate_lo', 'rate_hi']) as rate_name,
        unnest([rate, case when rate_lo > 0 then rate_lo end, rate_hi]) as sizing_rate,
    from grown
),

needed as (
    select
        rates.fleet_id,
        rates.rate_name,
        rates.gpus_per_instance,
        rates.gpus_per_server,
        rates.budget,
        case when bare.instances is not null then least(rates.spares, coalesce(rates.budget, rates.spares)) end
            as spares_kept,
        bare.instances as n0,
        ample.instances - rates.spares as n1,
        case when rates.budget is null then n1 else least(n1, greatest(0, rates.budget - rates.spares)) end as n1_kept,
    from rates
    cross join
        lateral (
            from size_fleet(rates.peak, rates.sizing_rate, rates.gpus_per_instance, rates.gpus_per_server)
        ) as bare
    cross join lateral (
        from size_fleet(
            rates.peak, rates.sizing_rate, rates.gpus_per_instance, rates.gpus_per_server,
            headroom := rates.headroom, spares := rates.spares
        )
    ) as ample
),

counted as (
    select
        *,
        n1_kept + spares_kept as n,
    from needed
    where n0 is not null
),

-- a peak of n at a rate of 1 is n instances: the same macro houses what the budget left
housed as (
    select
        counted.*,
        fleet.servers,
        fleet.gpus,
        fleet.stranded_gpus,
        least(counted.n0, counted.n1_kept) as n0_kept,
    from counted
    cross join lateral (from size_fleet(counted.n, 1, counted.gpus_per_instance, counted.gpus_per_server)) as fleet
),

fleets as (
    select
        grown.*,
        housed.n0_kept,
        housed.n1_kept,
        housed.spares_kept,
        housed.n,
        housed.servers,
        housed.gpus,
        housed.stranded_gpus,
        at_hi.n as n_at_rate_hi,
        at_lo.n as n_at_rate_lo,
        case
            when grown.gpus_per_instance <= grown.gpus_per_server
                then grown.gpus_per_server // nullif(grown.gpus_per_instance, 0)
            else 1 / ceil(grown.gpus_per_instance / nullif(grown.gpus_per_server, 0))
        end as instances_per_server,
        housed.n * grown.rate as fleet_rate,
        -- what the loss of one full server takes away
        greatest(1, instances_per_server) as instances_lost,
        housed.n0 + instances_lost as n_to_survive,
    from grown
    left join housed on grown.fleet_id = housed.fleet_id and housed.rate_name = 'rate'
    left join housed as at_hi on grown.fleet_id = at_hi.fleet_id and at_hi.rate_name = 'rate_hi'
    left join housed as at_lo on grown.fleet_id = at_lo.fleet_id and at_lo.rate_name = 'rate_lo'
)

select
    fleet_id,
    demand,
    application,
    endpoint,
    workload,
    slo,
    night,
    run_date,
    status,
    run_id,
    operating_point_id,
    catalog_hash,
    metric_version,
    role,
    model,
    accelerator,
    gpus_per_instance,
    gpus_per_server,
    peak as peak_rps,
    mean as mean_rps,
    mean_source,
    peak / nullif(mean, 0) as peak_to_average,
    growth_factor,
    headroom,
    uptime,
    try_cast(budget as bigint) as max_instances,
    rate as rps_per_instance,
    rate_lo as rps_per_instance_lo,
    rate_hi as rps_per_instance_hi,
    rate * instances_per_server as rps_per_server,
    try_cast(n0_kept as bigint) as instances_for_peak,
    try_cast(n1_kept as bigint) as instances_with_headroom,
    try_cast(spares_kept as bigint) as spares,
    try_cast(n as bigint) as instances,
    servers,
    gpus,
    stranded_gpus,
    n * kw_per_instance as power_kw,
    peak / nullif(fleet_rate, 0) as utilisation,
    mean / nullif(fleet_rate, 0) as utilisation_at_mean,
    -- least(1, null) is 1: an unknown fleet must not serve everything
    case when fleet_rate is not null then least(1, coalesce(fleet_rate / nullif(peak, 0), 1)) end
        as share_of_load_served,
    (n - least(n, instances_lost)) * rate >= peak * (1 - 1e-9) as survives_one_server,
    try_cast(n_to_survive as bigint) as instances_to_survive,
    try_cast(ceil(round(n_to_survive / instances_per_server, 9)) as bigint) as servers_to_survive,
    try_cast(n_at_rate_hi as bigint) as instances_lo,
    try_cast(n_at_rate_lo as bigint) as instances_hi,
from fleets
