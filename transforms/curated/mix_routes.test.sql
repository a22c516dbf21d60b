-- assert: a route stands on a chosen point of the night
select
    routes.mix_id,
    routes.workload,
    routes.endpoint,
    best.status,
from curated.mix_routes as routes
left join curated.best_operating_points as best using (endpoint, workload, slo, night)
where best.status is distinct from 'chosen' or best.operating_point_id is distinct from routes.operating_point_id;

-- assert: the routes of a mix in one currency carry its whole peak
select
    routes.mix_id,
    routes.currency,
    sum(routes.peak_rps) as routed_rps,
    any_value(demands.peak_rps) as peak_rps,
from curated.mix_routes as routes
inner join staging.mix_demands as demands using (mix_id)
group by routes.mix_id, routes.currency
having coalesce(abs(sum(routes.peak_rps) / any_value(demands.peak_rps) - 1) > 1e-8, true);
