-- assert: a chosen point costs what curated.cost_per_million_tokens says (where a budget leaves a fleet)
select
    routes.fleet_id,
    routes.price_plan,
    routes.route_usd,
    costs.usd_per_request,
from staging.route_prices as routes
inner join curated.cost_per_million_tokens as costs using (fleet_id, price_plan)
where
    costs.cost_basis = 'capacity'
    and costs.allocation_method = 'price_ratio'
    and routes.status = 'chosen'
    and costs.priced_units is distinct from 0
    and (
        (routes.route_usd is null) <> (costs.usd_per_request is null)
        or abs(routes.route_usd - costs.usd_per_request) > 1e-9 * costs.usd_per_request
    );
