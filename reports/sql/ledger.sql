-- The ledgers of the fleets on the page, in whole cents that add up: one row a fleet, plan and method.
select
    endpoint,
    workload,
    demand,
    slo,
    price_plan,
    allocation_method,
    currency,
    any_value(fleet_year_usd) as fleet_year_usd,
    any_value(mean_basis) as mean_basis,
    list(bucket order by bucket) as buckets,
    list(usd_shown order by bucket) as usd_shown,
from cost_ledger
semi join shown using (endpoint, workload, night)
group by endpoint, workload, demand, slo, price_plan, allocation_method, currency
order by demand, fleet_year_usd, endpoint, price_plan, allocation_method
