-- assert: every chosen operating point has its level
select
    operating_point_id,
    slo,
from curated.best_operating_points
anti join staging.chosen_levels using (operating_point_id, slo)
where status = 'chosen';
