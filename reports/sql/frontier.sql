-- Which points of a section are on which frontier; rivals are all endpoints of that night, model and workload.
-- $1 endpoint, $2 workload, $3 night
select
    operating_point_id,
    latency_metric,
    statistic,
    throughput_metric,
    is_on_frontier,
from curated.pareto_frontier
where endpoint = $1 and workload = $2 and night = $3
