-- curated.usd_per_request: what one request costs on each endpoint and plan that could serve a demand.
-- grain: fleet_id, price_plan
-- columns: comments in schemas/columns.py. The three cost bases side by side. Models count tokens each in their own
--   way, so that across models only a request is comparable; quality_score stands beside it. Pools are left out: each
--   does a part of a request (curated.disaggregated_fleets).
with costs as (
    select * from curated.cost_per_million_tokens
    where allocation_method = 'price_ratio'
),

bases as (
    select
        fleet_id,
        price_plan,
        any_value(usd_per_request) filter (where cost_basis = 'capacity') as capacity_usd,
        any_value(usd_per_request) filter (where cost_basis = 'slo') as slo_usd,
        any_value(usd_per_request) filter (where cost_basis = 'demand') as demand_usd,
    from costs
    group by fleet_id, price_plan
),

final as (
    select
        costs.*,
        fleets.model,
        fleets.accelerator,
        hardware.precision,
        hardware.quality_score,
        best.attainment,
        bases.capacity_usd,
        bases.slo_usd,
        bases.demand_usd,
        case when coalesce(demand_usd, capacity_usd) is not null then row_number() over (
            partition by costs.demand, costs.night, costs.currency
            order by coalesce(demand_usd, capacity_usd) asc nulls last, costs.fleet_id asc, costs.price_plan asc
        ) end as place,
    from costs
    inner join bases using (fleet_id, price_plan)
    inner join curated.server_counts as fleets using (fleet_id)
    inner join staging.hardware as hardware
        on costs.endpoint = hardware.endpoint and costs.workload = hardware.workload and costs.night = hardware.night
    inner join curated.best_operating_points as best
        on
            costs.endpoint = best.endpoint
            and costs.workload = best.workload
            and costs.slo = best.slo
            and costs.night = best.night
    where costs.cost_basis = 'capacity'
)

select
    fleet_id,
    price_plan,
    model,
    precision,
    accelerator,
    quality_score,
    status,
    attainment,
    input_tokens_mean,
    output_tokens_mean,
    capacity_usd as usd_per_request_capacity,
    slo_usd as usd_per_request_slo,
    demand_usd as usd_per_request_demand,
    fleet_year_usd,
    place as rank,
    demand,
    endpoint,
    workload,
    slo,
    night,
    run_date,
    run_id,
    operating_point_id,
    metric_version,
    price_kind,
    price_valid_from,
    currency,
from final
