-- curated.cost_by_slo_limit: what a latency limit costs (docs/economics.md, What a tighter SLO costs).
-- grain: endpoint, workload, night, price_plan, latency_metric, statistic, operating_point_id
-- columns: comments in schemas/columns.py. Measured points only: each valid point's latency is a limit, and within it
--   the point with the most requests a second a GPU is the cheapest, on full servers that never fail (uptime 1).
--   A point within half of the limit says what twice as tight costs (a running maximum, looked up at half the limit).
--   Plans are those of the endpoint's fleets that pay for hardware.
-- assertions (cost_by_slo_limit.test.sql): the cheapest point is within the limit; a looser limit costs no more
with frontier as (
    select
        operating_point_id,
        endpoint,
        workload,
        night,
        latency_metric,
        statistic,
        latency,
        throughput_per_gpu,
        case when latency_metric = 'interactivity' then -latency else latency end as slowness,
    from curated.pareto_frontier
    where throughput_metric = 'request_rps'
),

within_limit as (
    select
        *,
        max({ 'rps': throughput_per_gpu, 'id': operating_point_id }) over (
            partition by endpoint, workload, night, latency_metric, statistic
            order by slowness
            range between unbounded preceding and current row
        ) as cheapest,
    from frontier
),

-- half the latency, or twice the tokens a second
tighter as (
    select
        limits.*,
        tight.cheapest as tight_cheapest,
    from within_limit as limits
    asof left join within_limit as tight
        on
            limits.endpoint = tight.endpoint
            and limits.workload = tight.workload
            and limits.night = tight.night
            and limits.latency_metric = tight.latency_metric
            and limits.statistic = tight.statistic
            and limits.slowness * case limits.latency_metric when 'interactivity' then 2 else 0.5 end >= tight.slowness
),

plans as (
    select
        endpoint,
        workload,
        night,
        price_plan,
        any_value(currency) as currency,
        any_value(valid_from) as valid_from,
        any_value(unit_year_usd) as unit_year_usd,
        any_value(instances_per_unit) as instances_per_unit,
        any_value(gpus_per_instance) as gpus_per_instance,
    from staging.offers
    where unit in ('server', 'instance')
    group by endpoint, workload, night, price_plan
),

points as (
    select
        operating_point_id,
        run_date,
        run_id,
        metric_version,
        input_tokens_mean + output_tokens_mean as tokens,
    from curated.operating_points
),

told as (
    select
        tighter.*,
        limits.run_date,
        limits.run_id,
        limits.metric_version,
        cheapest.tokens as cheapest_tokens,
        tight.tokens as tight_tokens,
    from tighter
    inner join points as limits using (operating_point_id)
    inner join points as cheapest on tighter.cheapest.id = cheapest.operating_point_id
    left join points as tight on tighter.tight_cheapest.id = tight.operating_point_id
),

priced as (
    select
        told.*,
        plans.price_plan,
        plans.currency,
        plans.valid_from,
        plans.unit_year_usd
        / nullif(plans.instances_per_unit * plans.gpus_per_instance, 0) / 31536000 as gpu_second_usd,
    from told
    inner join plans using (endpoint, workload, night)
)

select
    endpoint,
    workload,
    night,
    price_plan,
    latency_metric,
    statistic,
    operating_point_id,
    run_date,
    run_id,
    metric_version,
    currency,
    valid_from as price_valid_from,
    latency as limit_value,
    cheapest.id as cheapest_point_id,
    cheapest.rps as request_rps_per_gpu,
    gpu_second_usd / nullif(cheapest.rps, 0) as usd_per_request,
    gpu_second_usd / nullif(cheapest.rps, 0) * 1e6 / nullif(cheapest_tokens, 0) as usd_per_mtok,
    tight_cheapest.id as twice_as_tight_point_id,
    gpu_second_usd / nullif(tight_cheapest.rps, 0) * 1e6 / nullif(tight_tokens, 0) as usd_per_mtok_twice_as_tight,
    cheapest.rps / nullif(tight_cheapest.rps, 0) as times_dearer_twice_as_tight,
from priced
-- what depends on plan and cheapest point alone lies together then: the rows take less than half of the space
order by night, price_plan, request_rps_per_gpu
