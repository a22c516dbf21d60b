-- The limits that a section's charts draw: the bounds of every SLO that applies to it.
-- $1 endpoint, $2 workload, $3 night
select distinct
    bounds.slo,
    bounds.metric,
    bounds.statistic,
    bounds.limit_value,
    bounds.bound_index,
from curated.slo_bounds as bounds
inner join curated.best_operating_points as best using (catalog_hash, slo)
where best.endpoint = $1 and best.workload = $2 and best.night = $3
order by bounds.slo, bounds.bound_index
