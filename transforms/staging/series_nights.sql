-- staging.series_nights: what each series costs on each new night (raw.build_scope.since and later), and the nights to
--   hold it against.
-- grain: series_id, night
-- spans: nights
-- columns: value_usd, in the measure's column, and its interval; previous_night, the last valid one of the same loads,
--   measure and metric version; lineage_before, of the valid night before; baseline_from, baseline_to, which nights may
--   be its baseline: at most 120 valid ones, since the last step that is 14 valid nights old, and before a younger
--   one. A step: prices or demands are not those of the valid night before.
with scope as (
    select since from raw.build_scope
),

-- in order: a window over so many short lineages takes three times as long
lineages as materialized (
    select
        past.lineage_key,
        list_sort(list(past.night)) as nights,
        count(*) filter (where past.night >= scope.since) as new_nights,
        min(past.terms_key) <> max(past.terms_key) as has_steps,
    from staging.series_past as past
    cross join scope
    group by past.lineage_key
),

places as (
    select
        *,
        unnest(range(len(nights) - new_nights + 1, len(nights) + 1)) as place,
    from lineages
),

ordered as (
    select
        lineage_key,
        place,
        nights[place] as night,
        case when place > 120 then nights[place - 120] end as reach,
    from places
),

-- few lineages have any
terms as materialized (
    select
        past.lineage_key,
        list_sort(list(struct_pack(night := past.night, terms_key := past.terms_key))) as nights,
    from staging.series_past as past
    inner join lineages on past.lineage_key = lineages.lineage_key
    where lineages.has_steps
    group by past.lineage_key
),

later as (
    select
        *,
        unnest(range(2, len(nights) + 1)) as place,
    from terms
),

steps as (
    select
        lineage_key,
        place,
        nights[place].night as night,
    from later
    where nights[place].terms_key <> nights[place - 1].terms_key
),

stepped as (
    select
        ordered.lineage_key,
        ordered.night,
        ordered.reach,
        settled.night as settled_step,
        case when fresh.place <= ordered.place then fresh.night end as fresh_step,
    from ordered
    asof left join steps as settled
        on ordered.lineage_key = settled.lineage_key and ordered.place - 14 >= settled.place
    asof left join steps as fresh
        on ordered.lineage_key = fresh.lineage_key and ordered.place - 13 <= fresh.place
),

-- new nights, and the last one before them
latest as (
    select
        past.series_key,
        past.comparable_key,
        past.night,
        past.fleet_key,
    from staging.series_past as past
    cross join scope
    where past.night >= scope.since
    union all
    select
        past.series_key,
        past.comparable_key,
        max(past.night) as night,
        arg_max(past.fleet_key, past.night) as fleet_key,
    from staging.series_past as past
    cross join scope
    where past.night < scope.since
    group by past.series_key, past.comparable_key
),

followed as (
    select
        series_key,
        night,
        lag(night) over (partition by series_key, comparable_key order by night) as comparable_before,
        lag(night) over (partition by series_key order by night) as valid_before,
        lag(fleet_key) over (partition by series_key order by night) as fleet_key_before,
    from latest
),

new as (
    select
        costs.*,
        nights.measure,
        nights.catalog_hash,
        nights.loads,
        nights.lengths,
        nights.lineage,
        nights.slo_terms,
        nights.demand_terms,
        nights.growth_factor,
        plans.price_terms,
        hash(costs.series_id) as series_key,
        -- ends of the interval: the split of a pool's tokens has none of its own
        case nights.measure
            when 'usd_per_mtok' then [costs.usd_per_mtok_lo, costs.usd_per_mtok_hi]
            when 'usd_per_mtok_input'
                then
                    [
                        costs.usd_per_mtok_input * costs.usd_per_request_lo / costs.usd_per_request,
                        costs.usd_per_mtok_input * costs.usd_per_request_hi / costs.usd_per_request
                    ]
            when 'usd_per_mtok_output'
                then
                    [
                        costs.usd_per_mtok_output * costs.usd_per_request_lo / costs.usd_per_request,
                        costs.usd_per_mtok_output * costs.usd_per_request_hi / costs.usd_per_request
                    ]
            else [costs.usd_per_request_lo, costs.usd_per_request_hi]
        end as bounds_usd,
    from curated.cost_per_million_tokens as costs
    cross join scope
    inner join staging.comparable_nights as nights using (fleet_id)
    left join staging.plan_terms as plans
        on
            nights.catalog_hash = plans.catalog_hash
            and costs.price_plan = plans.price_plan
            and costs.night = plans.night
    where costs.night >= scope.since
),

final as (
    select
        new.*,
        past.value_usd,
        past.value_usd is not null as is_valid,
        past.price_key,
        past.lineage_key,
        case when followed.valid_before >= new.night - interval 400 days then before.lineage end as lineage_before,
        case when followed.comparable_before >= new.night - interval 400 days then followed.comparable_before end
            as previous_night,
        greatest(
            new.night - interval 400 days, coalesce(stepped.reach, '-infinity'::timestamp),
            coalesce(stepped.settled_step, '-infinity'::timestamp)
        ) as baseline_from,
        least(new.night, coalesce(stepped.fresh_step, new.night)) as baseline_to,
    from new
    left join staging.series_past as past on new.series_key = past.series_key and new.night = past.night
    left join stepped on past.lineage_key = stepped.lineage_key and past.night = stepped.night
    left join followed on past.series_key = followed.series_key and past.night = followed.night
    left join staging.comparable_nights as before on followed.fleet_key_before = before.fleet_key
)

select
    series_id,
    series_key,
    lineage_key,
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
    value_usd,
    case when is_valid then bounds_usd[1] end as value_usd_lo,
    case when is_valid then bounds_usd[2] end as value_usd_hi,
    is_valid,
    previous_night,
    lineage_before,
    slo_terms,
    lengths,
    price_key,
    price_terms,
    demand_terms,
    growth_factor,
    baseline_from,
    baseline_to,
from final
