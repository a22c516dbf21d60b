-- What 1M tokens cost over the nights, every server full: for each endpoint, workload and SLO a series for each own or
-- rent plan, that of its first demand (on full servers two demands pay the same for a token). Nights before $2 are a
-- week's median with the widest of its intervals. Where tokens are not counted, 1,000 requests stand in.
-- $1 earliest night, $2 the night from which on each stands for itself
with series as (
    select
        endpoint,
        workload,
        slo,
        price_plan,
        min(demand) as demand,
        any_value(currency) as currency,
        min(usd_per_1k_prompts) as last_cost,
    from cost_per_million_tokens
    semi join shown using (endpoint, workload, night)
    where cost_basis = 'capacity' and price_kind <> 'api' and allocation_method in ('price_ratio', 'separate_phases')
    group by endpoint, workload, slo, price_plan
),

nights as (
    select distinct
        endpoint,
        workload,
        night,
    from runs
    where night >= $1
),

costs as (
    select
        *,
        usd_per_mtok is not null as is_per_mtok,
    from cost_per_million_tokens
    where
        night >= $1 and cost_basis = 'capacity' and price_kind <> 'api'
        and allocation_method in ('price_ratio', 'separate_phases')
),

nightly as (
    select
        series.*,
        nights.night,
        case when nights.night >= $2 then nights.night else date_trunc('week', nights.night) end as told_at,
        costs.is_per_mtok,
        case when costs.is_per_mtok then costs.usd_per_mtok else costs.usd_per_1k_prompts end as value,
        case when costs.is_per_mtok then costs.usd_per_mtok_lo else costs.usd_per_1k_prompts_lo end as low,
        case when costs.is_per_mtok then costs.usd_per_mtok_hi else costs.usd_per_1k_prompts_hi end as high,
    from series
    inner join nights using (endpoint, workload)
    left join costs using (endpoint, workload, slo, price_plan, demand, night)
),

thinned as (
    select
        endpoint,
        workload,
        slo,
        price_plan,
        told_at,
        any_value(currency) as currency,
        any_value(last_cost) as last_cost,
        bool_and(is_per_mtok) as is_per_mtok,
        median(value) as value,
        min(low) as low,
        max(high) as high,
    from nightly
    group by endpoint, workload, slo, price_plan, told_at
)

select
    endpoint,
    workload,
    slo,
    price_plan,
    any_value(currency) as currency,
    any_value(last_cost) as last_cost,
    coalesce(bool_and(is_per_mtok), true) as is_per_mtok,
    list(epoch_ms(told_at) // 60000 order by told_at) as minutes,
    list(value order by told_at) as values,
    list(low order by told_at) as lows,
    list(high order by told_at) as highs,
from thinned
group by endpoint, workload, slo, price_plan
order by last_cost, endpoint, workload, slo, price_plan
