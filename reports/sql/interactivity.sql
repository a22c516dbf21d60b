-- The least that 1M tokens cost where each user is to get at least so many tokens a second: the points that are the
-- cheapest within their own interactivity (p50), every server full.
select
    limits.endpoint,
    limits.workload,
    limits.price_plan,
    limits.currency,
    limits.limit_value as interactivity_tps,
    limits.usd_per_mtok,
    limits.operating_point_id,
    points.concurrency,
    points.request_rate,
from cost_by_slo_limit as limits
semi join shown using (endpoint, workload, night)
inner join operating_points as points using (operating_point_id)
where
    limits.latency_metric = 'interactivity'
    and limits.statistic = 'p50'
    and limits.operating_point_id = limits.cheapest_point_id
    and limits.usd_per_mtok is not null
order by limits.workload, limits.endpoint, limits.price_plan, limits.limit_value
