-- assert: a looser limit costs no more
select
    loose.endpoint,
    loose.latency_metric,
    loose.statistic,
    loose.operating_point_id,
from curated.cost_by_slo_limit as loose
where loose.times_dearer_twice_as_tight < 1;

-- assert: the cheapest point serves at least as much as the point whose latency is the limit
select
    limits.operating_point_id,
    limits.latency_metric,
    limits.statistic,
from curated.cost_by_slo_limit as limits
inner join curated.operating_points as points using (operating_point_id)
where limits.request_rps_per_gpu < points.request_rps_per_gpu;
