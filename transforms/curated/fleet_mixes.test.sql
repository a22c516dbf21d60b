-- assert: the instances of a mix carry peak and headroom without their spares
select
    fleets.mix_id,
    fleets.endpoint,
    fleets.price_plan,
    fleets.instances,
    fleets.spares,
    sum(routes.instances_busy) as instances_busy,
from curated.fleet_mixes as fleets
inner join curated.mix_routes as routes using (mix_id, endpoint, price_plan)
where fleets.priced_unit <> 'request'
group by all
having coalesce(fleets.instances - fleets.spares < sum(routes.instances_busy) * (1 - 2e-8), true);

-- assert: the cost that is counted is the solver's
select
    fleets.mix_id,
    fleets.currency,
    sum(fleets.fleet_year_usd) as counted_usd,
    any_value(solutions.cost_usd) as cost_usd,
from curated.fleet_mixes as fleets
inner join staging.mix_solutions as solutions using (mix_id, currency)
where fleets.status = 'solved'
group by fleets.mix_id, fleets.currency
having
    coalesce(
        abs(sum(fleets.fleet_year_usd) - any_value(solutions.cost_usd)) > 1e-8 * any_value(solutions.cost_usd), true
    );

-- assert: a mix is within its budgets
select distinct
    mixes.mix_id,
    mixes.currency,
    mixes.mix_instances,
    mixes.mix_gpus,
    mixes.mix_power_kw,
from curated.fleet_mixes as mixes
inner join staging.mix_demands as demands using (mix_id)
where
    mixes.mix_instances > demands.max_instances
    or mixes.mix_gpus > demands.max_gpus
    or mixes.mix_power_kw > demands.max_power_kw * (1 + 1e-8);

-- assert: no single endpoint is cheaper than a mix that is proven optimal, or serves where no mix does
select distinct
    mix_id,
    currency,
    status,
    mix_year_usd,
    single_endpoint,
    single_year_usd,
from curated.fleet_mixes
where
    status = 'infeasible' and single_year_usd is not null
    or optimality_gap = 0 and mix_year_usd > single_year_usd * (1 + 1e-8);
