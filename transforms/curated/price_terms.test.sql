-- assert: every cost stands on terms that are stated
select
    costs.fleet_id,
    costs.price_plan,
    costs.unit_year_usd,
from curated.cost_per_million_tokens as costs
left join curated.price_terms as terms using (endpoint, workload, night, price_plan)
where
    terms.priced_unit is distinct from costs.priced_unit
    or terms.unit_year_usd is distinct from costs.unit_year_usd
    or terms.currency is distinct from costs.currency;

-- assert: an API is paid by the token
select
    endpoint,
    night,
    price_plan,
from curated.price_terms
where priced_unit = 'request' and (usd_per_mtok_input is null or usd_per_mtok_output is null);
