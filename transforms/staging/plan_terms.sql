-- staging.plan_terms: what each price plan charged on each new night (raw.build_scope.since and later), as one hash:
--   nights of the same are priced alike.
-- grain: catalog_hash, price_plan, night
-- spans: nights
select
    plans.catalog_hash,
    plans.price_plan,
    plans.night,
    md5(
        concat_ws(
            '|', kind, 'gpus', gpus_per_server, 'server', server_price, 'salvage', salvage, 'years', depreciation_years,
            'hosting', hosting_year, 'software', software_year, licence_basis, 'kw', power_kw, 'pue', pue, 'kwh',
            usd_per_kwh, 'staff', staff_year, 'other', other_year, 'rent', rent_unit, usd_per_hour, 'tps', tokens_per_s,
            'in', price_in, 'cached', price_cached, 'out', price_out, 'thought', price_reasoning
        )
    ) as price_terms,
from curated.price_plans as plans
cross join raw.build_scope as scope
where plans.night >= scope.since
