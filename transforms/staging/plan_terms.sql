-- staging.plan_terms: what each price plan charged on each night, as one number: nights of the same are priced alike.
-- grain: catalog_hash, price_plan, night
-- spans: nights
select
    catalog_hash,
    price_plan,
    night,
    hash(
        kind, gpus_per_server, server_price, salvage, depreciation_years, hosting_year, software_year, licence_basis,
        power_kw, pue, usd_per_kwh, staff_year, other_year, rent_unit, usd_per_hour, tokens_per_s, price_in,
        price_cached, price_out, price_reasoning
    ) as price_key,
from curated.price_plans
