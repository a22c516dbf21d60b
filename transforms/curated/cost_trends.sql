-- curated.cost_trends: each series' cost, night by night: against the valid night before, and against its baseline
-- (docs/trends.md).
-- grain: series_id, night
-- spans: nights
-- columns: comments in schemas/columns.py. The baseline is the median of the valid nights before, short of changes that
--   are not yet the new normal; a night without a valid cost has none, and is nobody's baseline.
-- assertions (cost_trends.test.sql): the effects add up to the change; nothing is carried forward
with nights as (
    select
        nights.*,
        points.baseline_spread_share,
        points.sigmas,
        points.change_id,
        greatest(nights.baseline_from, coalesce(points.baseline_since, nights.baseline_from)) as from_night,
        case when points.state in ('open', 'passed') then points.step_night else nights.night end as moved_at,
    from staging.series_nights as nights
    left join curated.change_points as points
        on nights.performance_id = points.performance_id and nights.night = points.night
),

new as (
    select
        *,
        least(baseline_to, moved_at) as unmoved_until,
    from nights
    where is_valid
),

-- where changes follow each other closely, too few nights lie before all of them that are not yet the new normal:
-- then only those of performance are left out, and then none
moved as (
    select
        new.series_key,
        new.night,
        any_value(new.lineage_key) as lineage_key,
        any_value(new.from_night) as from_night,
        case
            when count(*) filter (where past.night < new.unmoved_until) >= 5 then any_value(new.unmoved_until)
            when count(*) filter (where past.night < new.moved_at) >= 5 then any_value(new.moved_at)
            else new.night
        end as until_night,
    from new
    inner join staging.series_past as past
        on
            new.lineage_key = past.lineage_key
            and new.from_night <= past.night
            and new.night > past.night
    where new.unmoved_until < new.night
    group by new.series_key, new.night
),

framed as (
    select * from moved
    union all
    select
        series_key,
        night,
        lineage_key,
        from_night,
        night as until_night,
    from new
    where unmoved_until >= night
),

baselines as (
    select
        framed.series_key,
        framed.night,
        count(*) as baseline_nights,
        min(past.night) as baseline_since,
        max(past.night) as baseline_until,
        median(past.value_usd) as middle_usd,
        mad(past.value_usd) as deviation_usd,
    from framed
    inner join staging.series_past as past
        on
            framed.lineage_key = past.lineage_key
            and framed.from_night <= past.night
            and framed.until_night > past.night
    group by framed.series_key, framed.night
),

final as (
    select
        nights.*,
        pairs.previous_value_usd,
        pairs.previous_fleet_id,
        effects.performance_effect_usd,
        effects.price_effect_usd,
        effects.scope_effect_usd,
        best.reasons,
        coalesce(baselines.baseline_nights, 0) as valid_nights,
        case when valid_nights >= 5 then baselines.baseline_since end as baseline_since,
        case when valid_nights >= 5 then baselines.baseline_until end as baseline_until,
        case when valid_nights >= 5 then baselines.middle_usd end as baseline_usd,
        case when valid_nights >= 5 then 1.4826 * baselines.deviation_usd / baselines.middle_usd end as spread_share,
        split(nights.lineage, ' | ') as parts,
        split(nights.lineage_before, ' | ') as parts_before,
    from nights
    left join baselines using (series_key, night)
    left join staging.night_pairs as pairs using (series_id, night)
    left join staging.night_effects as effects using (series_id, night)
    left join curated.best_operating_points as best
        on
            nights.endpoint = best.endpoint
            and nights.workload = best.workload
            and nights.slo = best.slo
            and nights.night = best.night
)

select
    series_id,
    night,
    run_date,
    endpoint,
    workload,
    slo,
    demand,
    price_plan,
    cost_basis,
    allocation_method,
    status,
    fleet_id,
    run_id,
    operating_point_id,
    performance_id,
    metric_version,
    loads,
    currency,
    measure,
    value_usd,
    value_usd_lo,
    value_usd_hi,
    case
        when is_valid then null
        when status <> 'chosen' then concat_ws(': ', status, reasons)
        when cost_basis = 'demand' then 'the demand has no mean rate, or the cost of its fleet is not known'
        else 'the cost of the fleet is not known'
    end as no_value,
    previous_night,
    case when previous_night is not null then date_diff('day', previous_night, night) end as days_since_previous,
    previous_value_usd,
    previous_fleet_id,
    value_usd - previous_value_usd as change_usd,
    value_usd / previous_value_usd - 1 as change_share,
    performance_effect_usd,
    price_effect_usd,
    scope_effect_usd,
    case
        when lineage_before is not null and lineage_before <> lineage
            then array_to_string(list_filter(parts, lambda part: not list_contains(parts_before, part)), ', ')
    end as baseline_break,
    valid_nights as baseline_nights,
    baseline_since,
    baseline_until,
    baseline_usd,
    spread_share as baseline_spread_share,
    value_usd - baseline_usd as change_vs_baseline_usd,
    value_usd / baseline_usd - 1 as change_vs_baseline_share,
    baseline_spread_share as noise_share,
    sigmas,
    change_id,
    lineage,
    price_terms,
    demand_terms,
from final
