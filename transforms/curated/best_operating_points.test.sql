-- assert: a chosen point is valid, current and meets the SLO
select
    best.endpoint,
    best.workload,
    best.slo,
    best.night,
    best.operating_point_id,
from curated.best_operating_points as best
left join curated.operating_points as points using (operating_point_id)
left join curated.slo_attainment as attainment using (operating_point_id, slo)
where
    best.status = 'chosen'
    and not coalesce(points.is_valid and points.is_current and attainment.meets_slo, false);

-- assert: infeasible names its nearest miss
select
    endpoint,
    workload,
    slo,
    night,
from curated.best_operating_points
where (status = 'infeasible') <> (nearest_operating_point_id is not null);
