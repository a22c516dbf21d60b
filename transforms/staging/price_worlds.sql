-- staging.price_worlds: the fleets that never were, of which one night has the performance and another the prices or
-- the demand: what a change between two nights is split over.
-- grain: fleet_id, price_plan, previous_night, performance, price, scope
-- spans: nights
-- columns: performance, price and scope are 0 for the night before and 1 for the night; the fleets and catalogs that
--   they are of. Where prices or what is asked do not differ, both are 1.
with pairs as (
    select distinct
        fleet_id,
        price_plan,
        previous_night,
        night,
        measure,
        demand,
        previous_fleet_id,
        catalog_hash,
        previous_catalog_hash,
        same_price,
        same_scope,
        is_tied,
    from staging.night_pairs
),

corners as (
    select distinct
        pairs.*,
        corner.performance,
        greatest(corner.price, pairs.same_price::integer) as price,
        greatest(corner.scope, pairs.same_scope::integer) as scope,
    from pairs
    cross join
        (values (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0)) as corner (performance, price, scope)
    where not pairs.is_tied or corner.performance = corner.scope
),

-- without those that were: the night, and the night before
unseen as (
    select *
    from corners
    where
        performance + price + scope < 3
        and not (performance = 0 and price = same_price::integer and scope = same_scope::integer)
)

select
    row_number() over (order by fleet_id, price_plan, previous_night, performance, price, scope) as world_no,
    fleet_id,
    price_plan,
    demand,
    measure,
    previous_night,
    performance,
    price,
    scope,
    case performance when 1 then fleet_id else previous_fleet_id end as performance_fleet_id,
    case scope when 1 then fleet_id else previous_fleet_id end as scope_fleet_id,
    case price when 1 then catalog_hash else previous_catalog_hash end as price_catalog_hash,
    case price when 1 then night else previous_night end as price_night,
    case scope when 1 then catalog_hash else previous_catalog_hash end as scope_catalog_hash,
    case scope when 1 then night else previous_night end as scope_night,
from unseen
