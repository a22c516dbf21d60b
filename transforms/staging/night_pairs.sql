-- staging.night_pairs: each new valid night of a series beside the valid night before it, and what differs.
-- grain: series_id, night
-- spans: nights
-- columns: of staging.series_nights; previous_*, of the night before; same_price, same_scope, whether prices, and what
--   is asked, are as they were; is_tied, whether the SLO or the lengths that the workload aims at changed: another
--   point was chosen, or other requests were sent, so that what was measured belongs to what was asked.
select
    new.series_id,
    new.night,
    new.fleet_id,
    new.price_plan,
    new.cost_basis,
    new.demand,
    new.catalog_hash,
    new.measure,
    new.value_usd,
    past.night as previous_night,
    old.fleet_id as previous_fleet_id,
    old.catalog_hash as previous_catalog_hash,
    past.value_usd as previous_value_usd,
    (new.slo_terms is distinct from old.slo_terms) or (new.lengths is distinct from old.lengths) as is_tied,
    new.price_key = past.price_key as same_price,
    new.demand_terms = old.demand_terms and new.growth_factor = old.growth_factor and not is_tied as same_scope,
from staging.series_nights as new
inner join staging.series_past as past on new.series_key = past.series_key and new.previous_night = past.night
inner join staging.comparable_nights as old on past.fleet_key = old.fleet_key
where new.is_valid
