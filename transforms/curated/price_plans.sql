-- curated.price_plans: the price book as it stood on each night, of its catalog snapshot.
-- grain: catalog_hash, price_plan, night
-- columns: comments in schemas/columns.py. Plans in force on the night's date.
with nights as (
    select distinct
        catalog_hash,
        night,
        run_date,
    from staging.attempts
)

select
    plans.catalog_hash,
    plans.price_plan,
    nights.night,
    nights.run_date,
    plans.kind,
    plans.models,
    plans.accelerator,
    plans.currency,
    plans.valid_from,
    plans.valid_to,
    plans.gpus_per_server,
    plans.server_price,
    plans.salvage,
    plans.depreciation_years,
    plans.hosting_year,
    plans.software_year,
    plans.licence_basis,
    plans.power_kw,
    plans.pue,
    plans.usd_per_kwh,
    plans.staff_year,
    plans.other_year,
    plans.rent_unit,
    plans.usd_per_hour,
    plans.tokens_per_s,
    plans.pricing_category,
    plans.price_in,
    plans.price_cached,
    plans.price_out,
    plans.price_reasoning,
    plans.source,
    metric_version.metric_version,
from nights
cross join staging.metric_version as metric_version
inner join raw.price_plans as plans
    on
        nights.catalog_hash = plans.catalog_hash
        and nights.run_date >= plans.valid_from
        and (plans.valid_to is null or nights.run_date <= plans.valid_to)
