-- What 1M tokens cost over the nights, every server full: for each endpoint, workload and SLO a series for each own or
-- rent plan, that of its first demand (on full servers two demands pay the same for a token). Nights before $2 are a
-- week's median with the widest of its intervals.
-- $1 earliest night, $2 the night from which on each stands for itself
with series as (
    select
        series_id,
        endpoint,
        workload,
        slo,
        price_plan,
        usd_per_1k_prompts as last_cost,
    from cost_per_million_tokens
    semi join shown using (endpoint, workload, night)
    where cost_basis = 'capacity' and price_kind <> 'api' and allocation_method in ('price_ratio', 'separate_phases')
    qualify row_number() over (partition by endpoint, workload, slo, price_plan order by demand) = 1
),

thinned as (
    select
        series.series_id,
        case when trends.night >= $2 then trends.night else date_trunc('week', trends.night) end as told_at,
        any_value(trends.currency) as currency,
        any_value(trends.measure) as measure,
        median(trends.value_usd) as value_usd,
        min(trends.value_usd_lo) as low_usd,
        max(trends.value_usd_hi) as high_usd,
    from series
    inner join cost_trends as trends using (series_id)
    where trends.night >= $1
    group by series.series_id, told_at
)

select
    series.*,
    any_value(thinned.currency) as currency,
    any_value(thinned.measure) as measure,
    list(epoch_ms(thinned.told_at) // 60000 order by thinned.told_at) as minutes,
    list(thinned.value_usd order by thinned.told_at) as values_usd,
    list(thinned.low_usd order by thinned.told_at) as lows_usd,
    list(thinned.high_usd order by thinned.told_at) as highs_usd,
from series
inner join thinned using (series_id)
group by all
order by series.last_cost, series.endpoint, series.workload, series.slo, series.price_plan
