-- curated.fleet_mixes: the cheapest mix of endpoints for a demand of several workloads (docs/economics.md, A mix of
-- accelerators).
-- grain: mix_id, currency, endpoint, price_plan
-- columns: comments in schemas/columns.py. A row for each endpoint and plan of a solution, with the totals of the mix
--   on each (mix_*); a mix without a solution is one row without an endpoint. Instances come from
--   staging.mix_solutions, servers from the macro size_fleet, so that the cost is counted here a second time.
--   single_* is the cheapest endpoint under one plan that serves every class within the same budgets.
-- assertions (fleet_mixes.test.sql): no mix serves too little, breaks a budget, costs other than the solver says, or
--   more than a single endpoint if it is proven optimal
with demands as (
    select * from staging.mix_demands
),

offers as (
    select * from staging.mix_offers
),

listed as (
    select
        mix_id,
        currency,
        unnest(bought) as offer,
    from staging.mix_solutions
),

bought as (
    select
        mix_id,
        currency,
        offer.endpoint,
        offer.price_plan,
        offer.instances,
    from listed
),

routed as (
    select
        mix_id,
        endpoint,
        price_plan,
        sum(share_of_requests) as load_share,
        sum(peak_rps / rps_per_instance) as instances_at_peak,
        sum(api_year_usd) as api_year_usd,
        string_agg(distinct run_id, ', ' order by run_id) as run_ids,
    from curated.mix_routes
    group by mix_id, endpoint, price_plan
),

fleets as (
    select
        bought.mix_id,
        bought.currency,
        bought.endpoint,
        bought.price_plan,
        bought.instances,
        routed.load_share,
        routed.instances_at_peak,
        routed.run_ids,
        offers.* exclude (mix_id, currency, endpoint, price_plan),
        case when offers.unit = 'server' then fleet.servers end as servers,
        case when offers.unit = 'server' then fleet.stranded_gpus when offers.unit = 'instance' then 0 end
            as stranded_gpus,
        fleet.gpus,
        bought.instances * offers.kw_per_instance as power_kw,
        case offers.unit when 'server' then fleet.servers when 'instance' then bought.instances end as priced_units,
        case when offers.unit = 'request' then routed.api_year_usd else priced_units * offers.unit_year_usd end
            as fleet_year_usd,
    from bought
    inner join routed using (mix_id, endpoint, price_plan)
    inner join offers using (mix_id, endpoint, price_plan)
    -- a peak of n at a rate of 1 is n instances
    cross join lateral (
        from size_fleet(bought.instances, 1, offers.gpus_per_instance, offers.gpus_per_server)
    ) as fleet
),

totals as (
    select
        mix_id,
        currency,
        count(*) as mix_offers,
        sum(fleet_year_usd) as mix_year_usd,
        try_cast(sum(instances) as bigint) as mix_instances,
        try_cast(sum(servers) as bigint) as mix_servers,
        try_cast(sum(gpus) as bigint) as mix_gpus,
        -- a null power is not no power
        case when count(power_kw) = count(instances) then sum(power_kw) end as mix_power_kw,
        min(instances / nullif(instances_at_peak, 0)) as peaks_carried,
    from fleets
    group by mix_id, currency
),

classes as (
    select
        mix_id,
        count(distinct workload) as workloads,
    from staging.mix_rates
    where class_share > 0
    group by mix_id
),

-- the whole mix on one endpoint under one plan
single_loads as (
    select
        loads.mix_id,
        loads.endpoint,
        loads.price_plan,
        sum(loads.load) as load,
        sum(loads.class_year_usd) as class_year_usd,
        count(*) as workloads,
    from staging.mix_loads as loads
    inner join staging.mix_rates as rates using (mix_id, workload, endpoint)
    where rates.class_share > 0 and coalesce(loads.load, loads.class_year_usd) is not null
    group by loads.mix_id, loads.endpoint, loads.price_plan
),

singles as (
    select
        offers.mix_id,
        offers.currency,
        offers.endpoint,
        offers.price_plan,
        case offers.unit
            when 'server' then fleet.servers * offers.unit_year_usd
            when 'instance' then fleet.instances * offers.unit_year_usd
            else single_loads.class_year_usd
        end as year_usd,
    from single_loads
    inner join classes using (mix_id, workloads)
    inner join offers using (mix_id, endpoint, price_plan)
    inner join demands using (mix_id)
    cross join
        lateral (
            from size_fleet(
                single_loads.load, 1, offers.gpus_per_instance, offers.gpus_per_server, spares := demands.spares
            )
        ) as fleet
    where
        offers.left_out is null
        and (
            offers.unit = 'request'
            or (
                -- a budget that is not given holds
                coalesce(fleet.instances <= demands.max_instances, true)
                and coalesce(fleet.gpus <= demands.max_gpus, true)
                and coalesce(fleet.instances * offers.kw_per_instance <= demands.max_power_kw * (1 + 1e-9), true)
            )
        )
),

cheapest as (
    select * from singles
    qualify row_number() over (partition by mix_id, currency order by year_usd, endpoint, price_plan) = 1
),

served as (
    select
        solutions.mix_id,
        solutions.currency,
        -- least(x, null) is x: an unknown mean must not become the capacity; an API alone has no peak that it carries
        case
            when demands.mean_rps is null then null
            else least(demands.mean_rps, totals.peaks_carried * demands.peak_rps * demands.uptime)
        end as served_rps,
    from staging.mix_solutions as solutions
    inner join demands using (mix_id)
    inner join totals
        on solutions.mix_id = totals.mix_id and solutions.currency = totals.currency
)

select
    solutions.mix_id,
    demands.demand,
    demands.application,
    demands.slo,
    demands.night,
    demands.run_date,
    solutions.status,
    solutions.reasons,
    demands.catalog_hash,
    demands.metric_version,
    solutions.currency,
    solutions.solver,
    solutions.optimality_gap,
    demands.peak_rps,
    demands.mean_rps,
    demands.headroom,
    demands.uptime,
    served.served_rps,
    totals.mix_offers,
    totals.mix_instances,
    totals.mix_servers,
    totals.mix_gpus,
    totals.mix_power_kw,
    totals.mix_year_usd,
    totals.mix_year_usd / (nullif(served.served_rps, 0) * 31536000) as usd_per_request,
    cheapest.endpoint as single_endpoint,
    cheapest.price_plan as single_price_plan,
    cheapest.year_usd as single_year_usd,
    cheapest.year_usd - totals.mix_year_usd as saved_year_usd,
    fleets.endpoint,
    fleets.price_plan,
    fleets.run_ids,
    fleets.price_kind,
    fleets.rent_unit,
    fleets.pricing_category,
    fleets.price_valid_from,
    fleets.price_valid_to,
    fleets.price_source,
    fleets.accelerator,
    fleets.gpus_per_instance,
    fleets.gpus_per_server,
    fleets.load_share,
    fleets.instances,
    case when fleets.instances is not null then demands.spares end as spares,
    fleets.servers,
    fleets.gpus,
    fleets.stranded_gpus,
    fleets.power_kw,
    fleets.instances_at_peak / nullif(fleets.instances, 0) as utilisation,
    fleets.unit as priced_unit,
    fleets.priced_units,
    fleets.unit_year_usd,
    fleets.fleet_year_usd,
from staging.mix_solutions as solutions
inner join demands using (mix_id)
left join fleets on solutions.mix_id = fleets.mix_id and solutions.currency = fleets.currency
left join totals on solutions.mix_id = totals.mix_id and solutions.currency = totals.currency
left join served on solutions.mix_id = served.mix_id and solutions.currency = served.currency
left join cheapest on solutions.mix_id = cheapest.mix_id and solutions.currency = cheapest.currency
