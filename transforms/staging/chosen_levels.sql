-- staging.chosen_levels: the levels that chosen operating points stand on, by small numbers for joins within one build.
-- grain: operating_point_id, slo
-- columns: level_no, slo_no: requests are judged by the SLO of their own run's catalog; identity of the point.
-- assertions (chosen_levels.test.sql): every chosen point has its level
select
    best.operating_point_id,
    best.slo,
    best.run_id,
    best.endpoint,
    best.workload,
    best.night,
    best.metric_version,
    levels.level_no,
    levels.is_summary,
    limits.slo_no,
from curated.best_operating_points as best
inner join staging.levels as levels using (operating_point_id)
inner join staging.attempts as attempts on levels.run_id = attempts.run_id and levels.attempt = attempts.attempt
inner join staging.slo_limits as limits
    on
        attempts.catalog_hash = limits.catalog_hash
        and best.slo = limits.slo
        and attempts.role = limits.role
where best.status = 'chosen'
