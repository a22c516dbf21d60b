-- staging.performance_nights: what the performance of a new night (raw.build_scope.since and later) was, prices and
--   demands left out, for all that costs follow from. That of earlier nights is in curated.change_points.
-- grain: performance_id, night
-- spans: nights
-- columns: performance_value, less is better: GPU-seconds for 1M tokens (or a request, where tokens were not counted)
--   of all requests (gpu_seconds: costs on the bases capacity and demand) or of good ones (gpu_seconds_good: slo); how
--   many requests one good one takes (good_share: a provisioned unit, whose rate is promised); the bill of an API plan
--   at one price list, for all or for good answers; own_error_share, of the night's own rate; lineage, see
--   comparable_nights.
with nights as (
    select distinct on (endpoint, workload, slo, night)
        nights.*,
        attainment.good_rps / nullif(nights.instances_measured, 0) as good_rps_per_instance,
        gpus_per_instance * case measure when 'usd_per_request' then 1 else 1e6 / nullif(tokens_per_request, 0) end
            as gpus_for_tokens,
        case
            when rps_per_instance_lo > 0 then ln(rps_per_instance_hi / rps_per_instance_lo) / (2 * 2.262)
        end as own_error_share,
    from staging.comparable_nights as nights
    cross join raw.build_scope as scope
    left join curated.slo_attainment as attainment using (operating_point_id, slo)
    where nights.status = 'chosen' and nights.night >= scope.since
    order by endpoint, workload, slo, night, demand
),

hardware as (
    select
        endpoint,
        workload,
        slo,
        night,
        run_date,
        metric_version,
        lineage,
        own_error_share,
        unnest(['gpu_seconds', 'gpu_seconds_good', 'good_share']) as measure,
        unnest([
            gpus_for_tokens / nullif(rps_per_instance, 0),
            gpus_for_tokens / nullif(good_rps_per_instance, 0),
            rps_per_instance / nullif(good_rps_per_instance, 0)
        ]) as performance_value,
    from nights
),

bills as (
    select
        nights.endpoint,
        nights.workload,
        nights.slo,
        nights.night,
        any_value(nights.run_date) as run_date,
        any_value(nights.metric_version) as metric_version,
        -- at other prices it is another bill
        any_value(concat_ws(
            ' | ', nights.lineage,
            concat_ws(
                ' ', plans.price_in, 'cached', plans.price_cached, plans.price_out, 'thought', plans.price_reasoning
            )
        )) as lineage,
        0.0 as own_error_share,
        costs.price_plan || case costs.cost_basis when 'slo' then ' bill of good answers' else ' bill' end as measure,
        any_value(coalesce(costs.usd_per_mtok, costs.usd_per_request)) as performance_value,
    from curated.cost_per_million_tokens as costs
    cross join raw.build_scope as scope
    inner join nights using (endpoint, workload, slo, night)
    inner join curated.price_plans as plans
        on
            nights.catalog_hash = plans.catalog_hash
            and costs.price_plan = plans.price_plan
            and costs.night = plans.night
    where
        costs.night >= scope.since
        and costs.priced_unit = 'request'
        and costs.cost_basis <> 'demand'
        and costs.allocation_method = 'price_ratio'
    group by nights.endpoint, nights.workload, nights.slo, nights.night, costs.price_plan, costs.cost_basis
),

final as (
    select * from hardware
    union all by name
    select * from bills
)

select
    concat_ws('/', endpoint, workload, slo, measure) as performance_id,
    night,
    run_date,
    endpoint,
    workload,
    slo,
    measure,
    metric_version,
    lineage,
    performance_value,
    coalesce(own_error_share, 0) as own_error_share,
from final
where performance_value > 0 and isfinite(performance_value)
