-- staging.series_nights: what each series cost on each night that a trend looks at, and the night to hold it against.
-- grain: series_id, night
-- spans: nights
-- columns: value_usd, in the measure's column, and its interval; is_new, from raw.build_scope.since on (the others are
--   valid nights of the 400 days before); previous_night, the last valid one of the same loads, measure and metric
--   version; is_step, whether prices or demands are not those of the valid night before; baseline_from, baseline_to,
--   which nights may be its baseline: at most 120 valid ones, since the last step that is 14 valid nights old, and
--   before a younger one.
with scope as (
    select
        since,
        since - interval 400 days as earliest,
    from raw.build_scope
),

plans as (
    select
        catalog_hash,
        price_plan,
        night,
        md5(
            concat_ws(
                '|', kind, gpus_per_server, server_price, 'salvage', salvage, depreciation_years, hosting_year,
                software_year,
                licence_basis,
                'kw',
                power_kw,
                pue,
                usd_per_kwh,
                'staff',
                staff_year,
                'other',
                other_year,
                rent_unit, usd_per_hour, tokens_per_s, price_in, 'cached', price_cached, price_out, 'thought',
                price_reasoning
            )
        ) as price_terms,
    from curated.price_plans
),

costs as (
    select
        costs.series_id,
        costs.fleet_id,
        costs.night,
        costs.run_date,
        costs.endpoint,
        costs.workload,
        costs.slo,
        costs.demand,
        costs.price_plan,
        costs.cost_basis,
        costs.allocation_method,
        costs.currency,
        costs.priced_unit,
        costs.status,
        costs.run_id,
        costs.operating_point_id,
        costs.metric_version,
        nights.catalog_hash,
        nights.measure,
        nights.loads,
        nights.lengths,
        nights.slo_terms,
        nights.lineage,
        nights.demand_terms,
        nights.growth_factor,
        plans.price_terms,
        costs.night >= scope.since as is_new,
        -- ends of the interval: the split of a pool's tokens has none of its own
        case nights.measure
            when 'usd_per_mtok' then [costs.usd_per_mtok, costs.usd_per_mtok_lo, costs.usd_per_mtok_hi]
            when 'usd_per_mtok_input'
                then
                    [
                        costs.usd_per_mtok_input,
                        costs.usd_per_mtok_input * costs.usd_per_request_lo / costs.usd_per_request,
                        costs.usd_per_mtok_input * costs.usd_per_request_hi / costs.usd_per_request
                    ]
            when 'usd_per_mtok_output'
                then
                    [
                        costs.usd_per_mtok_output,
                        costs.usd_per_mtok_output * costs.usd_per_request_lo / costs.usd_per_request,
                        costs.usd_per_mtok_output * costs.usd_per_request_hi / costs.usd_per_request
                    ]
            else [costs.usd_per_request, costs.usd_per_request_lo, costs.usd_per_request_hi]
        end as cost,
        cost[1] as value_usd,
        cost[2] as value_usd_lo,
        cost[3] as value_usd_hi,
        coalesce(value_usd > 0 and isfinite(value_usd), false) as is_valid,
    from curated.cost_per_million_tokens as costs
    cross join scope
    inner join staging.comparable_nights as nights using (fleet_id)
    inner join plans
        on
            nights.catalog_hash = plans.catalog_hash
            and costs.price_plan = plans.price_plan
            and costs.night = plans.night
    where costs.night >= scope.earliest
),

ordered as (
    select
        *,
        lag(night) over (partition by series_id, loads, measure, metric_version order by night) as comparable_before,
        lag(lineage) over (partition by series_id order by night) as lineage_before,
        lag(night, 120) over lineages as reach,
        count(*) over lineages > 1 and (
            lag(price_terms) over lineages is distinct from price_terms
            or lag(demand_terms) over lineages is distinct from demand_terms
        ) as is_step,
    from costs
    where is_valid
    window lineages as (partition by series_id, lineage order by night)
),

stepped as (
    select
        *,
        max(case when is_step then night end) over (
            partition by series_id, lineage
            order by night
            rows between unbounded preceding and 14 preceding
        ) as settled_step,
        min(case when is_step then night end) over (
            partition by series_id, lineage
            order by night
            rows between 13 preceding and current row
        ) as fresh_step,
    from ordered
),

final as (
    select
        costs.*,
        case when stepped.comparable_before >= costs.night - interval 400 days then stepped.comparable_before end
            as previous_night,
        stepped.lineage_before,
        coalesce(stepped.is_step, false) as is_step,
        greatest(
            costs.night - interval 400 days, coalesce(stepped.reach, '-infinity'::timestamp),
            coalesce(stepped.settled_step, '-infinity'::timestamp)
        ) as baseline_from,
        least(costs.night, coalesce(stepped.fresh_step, costs.night)) as baseline_to,
    from costs
    left join stepped using (series_id, night)
    where costs.is_new or costs.is_valid
)

select
    series_id,
    night,
    run_date,
    fleet_id,
    endpoint,
    workload,
    slo,
    demand,
    price_plan,
    cost_basis,
    allocation_method,
    currency,
    status,
    run_id,
    operating_point_id,
    catalog_hash,
    metric_version,
    measure,
    loads,
    lineage,
    case
        when priced_unit = 'request'
            then price_plan || case cost_basis when 'slo' then ' bill of good answers' else ' bill' end
        when priced_unit = 'unit' then case cost_basis when 'slo' then 'good_share' end
        else case cost_basis when 'slo' then 'gpu_seconds_good' else 'gpu_seconds' end
    end as performance_measure,
    -- a provisioned unit's rate is promised: its cost follows from no performance
    case when performance_measure is not null then concat_ws('/', endpoint, workload, slo, performance_measure) end
        as performance_id,
    case when is_valid then value_usd end as value_usd,
    case when is_valid then value_usd_lo end as value_usd_lo,
    case when is_valid then value_usd_hi end as value_usd_hi,
    is_valid,
    is_new,
    is_step,
    previous_night,
    lineage_before,
    slo_terms,
    lengths,
    price_terms,
    demand_terms,
    growth_factor,
    baseline_from,
    baseline_to,
from final
