-- What is marked on the trends: regressions on the night that they were found, and nights on which prices or what is
-- asked changed the cost.
-- $1 earliest night
with changes as (
    select
        series_id,
        night,
        previous_value_usd,
        unnest(['price', 'scope']) as kind,
        unnest([price_effect_usd, scope_effect_usd]) as effect_usd,
    from cost_trends
    where night >= $1
)

select
    series_id,
    epoch_ms(night) // 60000 as minute,
    case direction when 'worse' then 'regression' else 'better' end as kind,
    coalesce(performance_change_share, change_share) as share,
    step_night,
    confidence,
    suspects,
from regressions
where is_new and cause = 'performance' and night >= $1
union all
select
    series_id,
    epoch_ms(night) // 60000 as minute,
    kind,
    effect_usd / nullif(previous_value_usd, 0) as share,
    null as step_night,
    null as confidence,
    null as suspects,
from changes
where abs(effect_usd) > 1e-9 * previous_value_usd
order by series_id, minute, kind
