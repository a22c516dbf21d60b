-- staging.night_effects: what performance, prices and scope each did to a cost between two nights (docs/trends.md).
-- grain: series_id, night
-- spans: nights
-- columns: of night_pairs' key; effects in the currency. Shapley values of three factors: with f the cost at each
--   factor of either night, a factor's effect is the mean, over the orders in which the three can change, of what its
--   own change does. They add up to the change, ceilings and all (ECONOMICS: two factors are the same with one fixed).
with pairs as (
    select * from staging.night_pairs
),

corners as (
    select
        pairs.series_id,
        pairs.night,
        a.performance,
        b.price,
        c.scope,
        case when pairs.is_tied then c.scope else a.performance end as performance_of,
        greatest(b.price, pairs.same_price::integer) as price_of,
        greatest(c.scope, pairs.same_scope::integer) as scope_of,
        case
            when performance_of + price_of + scope_of = 3 then pairs.value_usd
            when performance_of = 0 and price_of = pairs.same_price::integer and scope_of = pairs.same_scope::integer
                then pairs.previous_value_usd
            else repriced.value_usd
        end as usd,
    from pairs
    cross join (values (0), (1)) as a (performance)
    cross join (values (0), (1)) as b (price)
    cross join (values (0), (1)) as c (scope)
    left join staging.price_worlds as worlds
        on
            pairs.fleet_id = worlds.fleet_id
            and pairs.price_plan = worlds.price_plan
            and pairs.previous_night = worlds.previous_night
            and case when pairs.is_tied then c.scope else a.performance end = worlds.performance
            and greatest(b.price, pairs.same_price::integer) = worlds.price
            and greatest(c.scope, pairs.same_scope::integer) = worlds.scope
    left join staging.repriced as repriced
        on worlds.world_no = repriced.world_no and pairs.cost_basis = repriced.cost_basis
),

cube as (
    select
        series_id,
        night,
        max(usd) filter (where performance = 0 and price = 0 and scope = 0) as f000,
        max(usd) filter (where performance = 0 and price = 0 and scope = 1) as f001,
        max(usd) filter (where performance = 0 and price = 1 and scope = 0) as f010,
        max(usd) filter (where performance = 0 and price = 1 and scope = 1) as f011,
        max(usd) filter (where performance = 1 and price = 0 and scope = 0) as f100,
        max(usd) filter (where performance = 1 and price = 0 and scope = 1) as f101,
        max(usd) filter (where performance = 1 and price = 1 and scope = 0) as f110,
        max(usd) filter (where performance = 1 and price = 1 and scope = 1) as f111,
    from corners
    group by series_id, night
)

select
    series_id,
    night,
    (2 * (f100 - f000) + (f110 - f010) + (f101 - f001) + 2 * (f111 - f011)) / 6 as performance_effect_usd,
    (2 * (f010 - f000) + (f110 - f100) + (f011 - f001) + 2 * (f111 - f101)) / 6 as price_effect_usd,
    (2 * (f001 - f000) + (f101 - f100) + (f011 - f010) + 2 * (f111 - f110)) / 6 as scope_effect_usd,
from cube
