-- The rate card of a section: each demand under each price plan; a demand without a plan is a row too.
-- Prices on full servers, and that of 1M tokens at the demand's mean rate beside them.
-- $1 endpoint, $2 workload, $3 night
select
    fleet.demand,
    fleet.application,
    fleet.slo,
    fleet.status,
    fleet.peak_rps,
    fleet.servers,
    fleet.instances,
    fleet.gpus,
    fleet.stranded_gpus,
    fleet.utilisation,
    fleet.share_of_load_served,
    cost.price_plan,
    cost.price_kind,
    cost.price_source,
    cost.price_valid_from,
    cost.cost_basis,
    cost.allocation_method,
    cost.currency,
    cost.fleet_year_usd,
    cost.usd_per_1k_prompts,
    cost.usd_per_1k_prompts_lo,
    cost.usd_per_1k_prompts_hi,
    cost.usd_per_mtok,
    cost.usd_per_mtok_lo,
    cost.usd_per_mtok_hi,
    cost.usd_per_mtok_input,
    cost.usd_per_mtok_output,
    at_mean.usd_per_mtok as usd_per_mtok_at_mean,
from curated.server_counts as fleet
left join curated.cost_per_million_tokens as cost
    on
        fleet.fleet_id = cost.fleet_id
        and cost.cost_basis = 'capacity'
        and cost.allocation_method in ('price_ratio', 'separate_phases')
left join curated.cost_per_million_tokens as at_mean
    on
        cost.fleet_id = at_mean.fleet_id
        and cost.price_plan = at_mean.price_plan
        and cost.allocation_method = at_mean.allocation_method
        and at_mean.cost_basis = 'demand'
where fleet.endpoint = $1 and fleet.workload = $2 and fleet.night = $3
order by fleet.demand, cost.usd_per_1k_prompts, cost.price_plan
