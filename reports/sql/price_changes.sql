-- Nights on which the prices of a plan on the page began to be others.
-- $1 earliest night
with nights as (
    select distinct
        endpoint,
        workload,
        price_plan,
        night,
        price_valid_from,
        price_source,
    from cost_per_million_tokens
    where night >= $1 and price_kind <> 'api'
),

stepped as (
    select
        *,
        lag(price_valid_from) over (partition by endpoint, workload, price_plan order by night) as before,
    from nights
)

select
    endpoint,
    workload,
    price_plan,
    epoch_ms(night) // 60000 as minute,
    price_valid_from,
    price_source,
from stepped
where price_valid_from <> before
order by endpoint, workload, price_plan, night
