-- curated.cost_per_million_tokens: what a fleet's tokens cost (docs/economics.md, Own, rent, or buy tokens).
-- grain: fleet_id, price_plan, cost_basis, allocation_method
-- columns: comments in schemas/columns.py. Plans of the night's own catalog snapshot, in force on run_date: those that
--   the demand names; else those for the endpoint's accelerator, or for any GPU, whose server has the endpoint's
--   number of GPUs. An owned server's year is the macro own_server_year, prices per request and token are the macro
--   price_fleet. Where a plan prices another size of server, the instances are housed in that one. Rent by the GPU
--   pays for the GPUs that instances use, and nothing is stranded: its unit is an instance.
--   Intervals size the fleet anew at both ends of the rate; null where there is none. Unknown stays null.
-- assertions (cost_per_million_tokens.test.sql): input, cached and output prices add up to the price of a request;
--   an interval holds its price
with fleets as (
    select
        fleets.*,
        points.input_tokens_mean,
        points.cached_input_tokens_mean,
        points.output_tokens_mean,
        demands.price_plans,
    from curated.server_counts as fleets
    inner join raw.demands as demands using (catalog_hash, demand)
    left join curated.operating_points as points using (operating_point_id)
),

plans as (
    select * from raw.price_plans
),

offers as (
    select
        fleets.* exclude (accelerator, gpus_per_server),
        plans.* exclude (catalog_hash, accelerator, gpus_per_server),
        coalesce(plans.gpus_per_server, fleets.gpus_per_server) as gpus_per_server,
        plans.kind = 'rent' and plans.rent_unit = 'gpu' as is_by_gpu,
    from fleets
    inner join plans
        on
            fleets.catalog_hash = plans.catalog_hash
            and fleets.run_date >= plans.valid_from
            and (plans.valid_to is null or fleets.run_date <= plans.valid_to)
    where
        case
            when len(fleets.price_plans) > 0 then list_contains(fleets.price_plans, plans.price_plan)
            else (
                plans.accelerator = fleets.accelerator
                or (plans.accelerator is null and fleets.accelerator is distinct from 'cpu')
            )
            and (plans.gpus_per_server is null or plans.gpus_per_server = fleets.gpus_per_server)
        end
),

units as (
    select
        *,
        -- an own plan's extras that it does not state are not part of it; a power without its price is unknown
        case
            when kind = 'own'
                then
                    own_server_year(
                        server_price, depreciation_years, hosting_year, software_year,
                        licence_basis := coalesce(licence_basis, 'per_server'),
                        gpus_per_server := gpus_per_server,
                        power_kw := case when power_kw is null and usd_per_kwh is null then 0 else power_kw end,
                        pue := coalesce(pue, 1),
                        usd_per_kwh := case when power_kw is null and usd_per_kwh is null then 0 else usd_per_kwh end,
                        staff_year := coalesce(staff_year, 0),
                        other_year := coalesce(other_year, 0),
                        salvage := coalesce(salvage, 0)
                    )
            when rent_unit = 'server' then usd_per_hour * 8760
        end as server_year_usd,
        case when is_by_gpu then gpus_per_instance * usd_per_hour * 8760 end as instance_year_usd,
        case
            when is_by_gpu then 1
            when gpus_per_instance <= gpus_per_server then gpus_per_server // nullif(gpus_per_instance, 0)
            else 1 / ceil(gpus_per_instance / nullif(gpus_per_server, 0))
        end as instances_per_unit,
    from offers
),

rates as (
    select
        fleet_id,
        price_plan,
        is_by_gpu,
        uptime,
        gpus_per_instance,
        gpus_per_server,
        coalesce(server_year_usd, instance_year_usd) as unit_year_usd,
        instances_per_unit,
        input_tokens_mean,
        cached_input_tokens_mean,
        output_tokens_mean,
        price_in,
        price_cached,
        price_out,
        unnest(['rate', 'rate_lo', 'rate_hi']) as rate_name,
        unnest([rps_per_instance, case when rps_per_instance_lo > 0 then rps_per_instance_lo end, rps_per_instance_hi])
            as rate,
        unnest([instances, instances_hi, instances_lo]) as instances,
    from units
),

priced as (
    select
        rates.fleet_id,
        rates.price_plan,
        rates.rate_name,
        rates.unit_year_usd,
        case when rates.is_by_gpu then rates.instances else housed.servers end as priced_units,
        price.* exclude (cost_basis),
        price.cost_basis,
    from rates
    cross join
        lateral (
            from size_fleet(rates.instances, 1, rates.gpus_per_instance, rates.gpus_per_server)
        ) as housed
    cross join
        lateral (
            from price_fleet(
                case when rates.is_by_gpu then rates.instances else housed.servers end,
                rates.unit_year_usd,
                rates.rate * rates.instances_per_unit,
                rates.input_tokens_mean,
                rates.output_tokens_mean,
                cached_tokens := rates.cached_input_tokens_mean,
                uptime := rates.uptime,
                price_in := rates.price_in,
                price_cached := rates.price_cached,
                price_out := rates.price_out
            )
        ) as price
    where price.cost_basis = 'capacity'
)

select
    concat_ws(
        '/', units.endpoint, units.workload, units.slo, units.demand, units.price_plan, price.cost_basis, 'price_ratio'
    ) as series_id,
    units.fleet_id,
    units.price_plan,
    price.cost_basis,
    'price_ratio' as allocation_method,
    units.demand,
    units.endpoint,
    units.workload,
    units.slo,
    units.night,
    units.run_date,
    units.status,
    units.run_id,
    units.operating_point_id,
    units.metric_version,
    units.kind as price_kind,
    units.rent_unit,
    units.currency,
    units.valid_from as price_valid_from,
    units.valid_to as price_valid_to,
    units.source as price_source,
    case when units.is_by_gpu then 'instance' else 'server' end as priced_unit,
    price.priced_units,
    price.unit_year_usd,
    units.server_year_usd,
    price.fleet_year as fleet_year_usd,
    price.served_rps,
    units.input_tokens_mean,
    units.cached_input_tokens_mean,
    units.output_tokens_mean,
    price.usd_per_1k_prompts,
    at_hi.usd_per_1k_prompts as usd_per_1k_prompts_lo,
    at_lo.usd_per_1k_prompts as usd_per_1k_prompts_hi,
    price.usd_per_request,
    price.usd_per_mtok,
    at_hi.usd_per_mtok as usd_per_mtok_lo,
    at_lo.usd_per_mtok as usd_per_mtok_hi,
    price.usd_per_mtok_input,
    price.usd_per_mtok_cached_input,
    price.usd_per_mtok_output,
from units
inner join priced as price
    on units.fleet_id = price.fleet_id and units.price_plan = price.price_plan and price.rate_name = 'rate'
inner join priced as at_lo
    on units.fleet_id = at_lo.fleet_id and units.price_plan = at_lo.price_plan and at_lo.rate_name = 'rate_lo'
inner join priced as at_hi
    on units.fleet_id = at_hi.fleet_id and units.price_plan = at_hi.price_plan and at_hi.rate_name = 'rate_hi'
