-- staging.mix_offers: the endpoints that can serve a class of a mix, under each price plan that could pay for them.
-- grain: mix_id, endpoint, price_plan
-- columns: of the plan and of the hardware that it prices. unit, what is paid for: server, instance (rent by the GPU)
--   or request (API); unit_year_usd, null for an API; instances_per_unit and units_per_instance, one of which is 1;
--   left_out: why it cannot be part of a mix. Provisioned units are no offers.
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

priced as (
    select
        endpoints.* exclude (gpus_per_server),
        plans.* exclude (
            catalog_hash, run_date, model, accelerator, gpus_per_instance, gpus_per_server, priced_gpus_per_server,
            instances_per_unit
        ),
        plans.priced_gpus_per_server as gpus_per_server,
    from endpoints
    inner join staging.hardware_plans as plans
        on
            endpoints.catalog_hash = plans.catalog_hash
            and endpoints.run_date = plans.run_date
            and endpoints.model is not distinct from plans.model
            and endpoints.accelerator is not distinct from plans.accelerator
            and endpoints.gpus_per_instance = plans.gpus_per_instance
            and endpoints.gpus_per_server = plans.gpus_per_server
    where
        plans.unit <> 'unit'
        and case
            when len(endpoints.price_plans) > 0 then list_contains(endpoints.price_plans, plans.price_plan)
            else plans.fits
        end
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
