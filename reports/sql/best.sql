-- The chosen point for each SLO of a section, or why there is none.
-- $1 endpoint, $2 workload, $3 night
select
    slo,
    status,
    reasons,
    points,
    valid_points,
    catalog_hash,
    operating_point_id,
    request_rps,
    request_rps_lo,
    request_rps_hi,
    attainment,
    meets_slo_confident,
    nearest_operating_point_id,
    nearest_metric,
    nearest_statistic,
    nearest_value,
    nearest_limit,
    nearest_excess,
from curated.best_operating_points
where endpoint = $1 and workload = $2 and night = $3
order by slo
