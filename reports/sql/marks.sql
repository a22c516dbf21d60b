-- What is marked on the trends: regressions on the night that they were found, and nights on which prices or what is
-- asked changed the cost.
-- $1 earliest night
select
    series_id,
    epoch_ms(night) // 60000 as minute,
    case direction when 'worse' then 'regression' else 'better' end as kind,
    coalesce(performance_change_share, change_share) as share,
    cause,
    step_night,
    confidence,
    suspects,
from regressions
where is_new and cause = 'performance' and night >= $1
union all by name
select
    series_id,
    epoch_ms(night) // 60000 as minute,
    'price' as kind,
    price_effect_usd / nullif(previous_value_usd, 0) as share,
from cost_trends
where night >= $1 and abs(price_effect_usd) > 1e-9 * previous_value_usd
union all by name
select
    series_id,
    epoch_ms(night) // 60000 as minute,
    'scope' as kind,
    scope_effect_usd / nullif(previous_value_usd, 0) as share,
from cost_trends
where night >= $1 and abs(scope_effect_usd) > 1e-9 * previous_value_usd
order by series_id, minute, kind
