-- assert: each frontier has a point on it
select
    night,
    model,
    workload,
    latency_metric,
    statistic,
    throughput_metric,
from curated.pareto_frontier
group by night, model, workload, latency_metric, statistic, throughput_metric
having count(*) filter (where is_on_frontier) = 0;

-- assert: the point named in dominated_by is in the same frontier and at least as good
select
    beaten.operating_point_id,
    beaten.latency_metric,
    beaten.statistic,
    beaten.throughput_metric,
    beaten.dominated_by,
from curated.pareto_frontier as beaten
left join curated.pareto_frontier as better
    on
        beaten.dominated_by = better.operating_point_id
        and beaten.latency_metric = better.latency_metric
        and beaten.statistic = better.statistic
        and beaten.throughput_metric = better.throughput_metric
        and beaten.night = better.night
        and beaten.model = better.model
        and beaten.workload = better.workload
where
    beaten.dominated_by is not null
    and (better.operating_point_id is null or better.throughput_per_gpu < beaten.throughput_per_gpu);
