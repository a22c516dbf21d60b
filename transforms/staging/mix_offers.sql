-- staging.mix_offers: the endpoints that can serve a class of a mix, under each price plan that could pay for them.
-- grain: mix_id, endpoint, price_plan
-- columns: of the plan and of the hardware that it prices. unit, what is paid for: server, instance (rent by the GPU)
--   or request (API); unit_year_usd, null for an API; instances_per_unit and units_per_instance, one of which is 1;
--   left_out: why it cannot be part of a mix. Provisioned units are no offers.
--   A twin of the selection in staging.offers, which knows only fleets of one workload: to be folded.
with endpoints as (
    select distinct
        demands.mix_id,
        demands.catalog_hash,
        demands.run_date,
        demands.mean_rps,
        demands.max_power_kw,
        demands.price_plans,
        rates.endpoint,
        rates.model,
        rates.accelerator,
        rates.gpus_per_instance,
        rates.gpus_per_server,
        rates.gpus_per_instance * rates.power_kw_per_gpu as kw_per_instance,
    from staging.mix_rates as rates
    inner join staging.mix_demands as demands using (mix_id)
    where rates.rps_per_instance is not null
),

applicable as (
    select
        endpoints.* exclude (gpus_per_server),
        plans.* exclude (catalog_hash, accelerator, gpus_per_server, models),
        coalesce(plans.gpus_per_server, endpoints.gpus_per_server) as gpus_per_server,
        case
            when plans.kind = 'api' then 'request'
            when plans.rent_unit = 'gpu' then 'instance'
            else 'server'
        end as unit,
    from endpoints
    inner join raw.price_plans as plans
        on
            endpoints.catalog_hash = plans.catalog_hash
            and endpoints.run_date >= plans.valid_from
            and (plans.valid_to is null or endpoints.run_date <= plans.valid_to)
    where
        plans.rent_unit is distinct from 'provisioned'
        and case
            when len(endpoints.price_plans) > 0 then list_contains(endpoints.price_plans, plans.price_plan)
            else
                (coalesce(len(plans.models), 0) = 0 or list_contains(plans.models, endpoints.model))
                and (
                    unit = 'request'
                    or (
                        (
                            plans.accelerator = endpoints.accelerator
                            or (plans.accelerator is null and endpoints.accelerator is distinct from 'cpu')
                        )
                        and (plans.gpus_per_server is null or plans.gpus_per_server = endpoints.gpus_per_server)
                    )
                )
        end
),

priced as (
    select
        *,
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
            when unit = 'server' then usd_per_hour * 8760
            when unit = 'instance' then gpus_per_instance * usd_per_hour * 8760
        end as unit_year_usd,
    from applicable
)

select
    mix_id,
    endpoint,
    price_plan,
    kind as price_kind,
    rent_unit,
    pricing_category,
    currency,
    valid_from as price_valid_from,
    valid_to as price_valid_to,
    source as price_source,
    accelerator,
    gpus_per_instance,
    gpus_per_server,
    kw_per_instance,
    unit,
    unit_year_usd,
    case
        when unit = 'server' and gpus_per_instance <= gpus_per_server then gpus_per_server // gpus_per_instance
        else 1
    end as instances_per_unit,
    case
        when unit = 'server' and gpus_per_instance > gpus_per_server
            then try_cast(ceil(gpus_per_instance / gpus_per_server) as integer)
        else 1
    end as units_per_instance,
    price_in,
    price_cached,
    price_out,
    price_reasoning,
    case
        when unit = 'request' and mean_rps is null then 'an API''s bill needs a mean rate'
        when unit <> 'request' and unit_year_usd is null then 'the yearly cost is unknown'
        when unit <> 'request' and max_power_kw is not null and kw_per_instance is null
            then 'the power is unknown and max_power_kw is given'
    end as left_out,
from priced
