-- assert: performance, price and scope effects add up to the change
select
    series_id,
    night,
    change_usd,
    performance_effect_usd,
    price_effect_usd,
    scope_effect_usd,
from curated.cost_trends
where
    change_usd is not null
    and abs(performance_effect_usd + price_effect_usd + scope_effect_usd - change_usd)
    > 1e-9 * greatest(value_usd, previous_value_usd);

-- assert: the three effects are known together, and only of a change
select
    series_id,
    night,
    change_usd,
    performance_effect_usd,
from curated.cost_trends
where
    (performance_effect_usd is null) <> (price_effect_usd is null)
    or (performance_effect_usd is null) <> (scope_effect_usd is null)
    or (performance_effect_usd is not null and change_usd is null);

-- assert: a night has a cost, or says why it has none, and is compared with earlier nights alone
select
    series_id,
    night,
    value_usd,
    no_value,
    previous_night,
from curated.cost_trends
where
    (value_usd is null) <> (no_value is not null)
    or previous_night >= night
    or baseline_until >= night
    or (value_usd is null and coalesce(change_usd, change_vs_baseline_usd) is not null);
