-- The limits that the charts draw: the bounds of every SLO that applies.
select distinct
    best.endpoint,
    best.workload,
    bounds.slo,
    bounds.metric,
    bounds.statistic,
    bounds.limit_value,
    bounds.bound_index,
    bounds.attainment_share,
from slo_bounds as bounds
inner join best_operating_points as best using (catalog_hash, slo)
semi join shown using (endpoint, workload, night)
order by bounds.slo, bounds.bound_index
