-- The chosen point for each SLO, or why there is none.
select
    endpoint,
    workload,
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
from best_operating_points
semi join shown using (endpoint, workload, night)
order by slo
