-- Which points on the page are on which frontier; rivals are all endpoints of that night, model and workload.
select
    endpoint,
    workload,
    operating_point_id,
    latency_metric,
    statistic,
    throughput_metric,
    is_on_frontier,
from pareto_frontier
semi join shown using (endpoint, workload, night)
where throughput_metric <> 'total_tps'
