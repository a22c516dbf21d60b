-- The rate card: each demand under each price plan; a demand without a plan is a row too. Prices on full servers, and
-- that of 1M tokens at the demand's mean rate beside them.
with costs as (
    select *
    from cost_per_million_tokens
    semi join shown using (endpoint, workload, night)
    where allocation_method in ('price_ratio', 'separate_phases')
)

select
    fleet.fleet_id,
    fleet.endpoint,
    fleet.workload,
    fleet.night,
    fleet.demand,
    fleet.application,
    fleet.slo,
    fleet.status,
    fleet.role,
    fleet.model,
    fleet.accelerator,
    fleet.peak_rps,
    fleet.mean_rps,
    fleet.mean_source,
    fleet.headroom,
    fleet.uptime,
    fleet.max_instances,
    fleet.servers,
    fleet.instances,
    fleet.instances_for_peak,
    fleet.instances_with_headroom,
    fleet.spares,
    fleet.instances_lo,
    fleet.instances_hi,
    fleet.gpus,
    fleet.stranded_gpus,
    fleet.utilisation,
    fleet.utilisation_at_mean,
    fleet.share_of_load_served,
    fleet.survives_one_server,
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
    at_mean.usd_per_request as usd_per_request_at_mean,
from server_counts as fleet
semi join shown using (endpoint, workload, night)
left join costs as cost on fleet.fleet_id = cost.fleet_id and cost.cost_basis = 'capacity'
left join costs as at_mean
    on
        cost.fleet_id = at_mean.fleet_id
        and cost.price_plan = at_mean.price_plan
        and cost.allocation_method = at_mean.allocation_method
        and at_mean.cost_basis = 'demand'
order by fleet.demand, cost.usd_per_1k_prompts, cost.price_plan
