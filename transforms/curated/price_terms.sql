-- curated.price_terms: what each price plan in force on a night charges for an endpoint (docs/economics.md, Own, rent,
-- or buy tokens), whatever is asked of it: a fleet's cost follows from these, its size and its operating point.
-- grain: endpoint, workload, night, price_plan
-- columns: comments in schemas/columns.py. Plans of the night's own catalog snapshot that apply, or that a demand of it
--   names.
-- assertions (price_terms.test.sql): every cost stands on terms that are stated; an API is paid by the token
with hardware as (
    select * from staging.hardware
),

named as (
    select distinct
        catalog_hash,
        unnest(price_plans) as price_plan,
    from raw.demands
),

plans as (
    select plans.*
    from staging.hardware_plans as plans
    left join named using (catalog_hash, price_plan)
    where plans.fits or named.price_plan is not null
)

select
    hardware.endpoint,
    hardware.workload,
    hardware.night,
    plans.price_plan,
    hardware.run_date,
    hardware.catalog_hash,
    metric_version.metric_version,
    plans.fits and (hardware.role = 'aggregated' or plans.unit in ('server', 'instance')) as applies,
    plans.kind as price_kind,
    plans.rent_unit,
    plans.pricing_category,
    plans.currency,
    plans.valid_from as price_valid_from,
    plans.valid_to as price_valid_to,
    plans.source as price_source,
    plans.unit as priced_unit,
    plans.priced_gpus_per_server as gpus_per_server,
    plans.instances_per_unit,
    plans.server_year_usd,
    plans.unit_year_usd,
    plans.tokens_per_s,
    plans.price_in as usd_per_mtok_input,
    plans.price_cached as usd_per_mtok_cached_input,
    plans.price_out as usd_per_mtok_output,
    plans.price_reasoning as usd_per_mtok_reasoning,
from hardware
cross join staging.metric_version as metric_version
inner join plans
    on
        hardware.catalog_hash = plans.catalog_hash
        and hardware.run_date = plans.run_date
        and hardware.model is not distinct from plans.model
        and hardware.accelerator is not distinct from plans.accelerator
        and hardware.gpus_per_instance = plans.gpus_per_instance
        and hardware.gpus_per_server = plans.gpus_per_server
