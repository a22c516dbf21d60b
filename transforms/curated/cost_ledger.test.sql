-- assert: the buckets of a fleet, plan and method sum to its year, to half a cent
select
    fleet_id,
    price_plan,
    allocation_method,
    sum(usd) as buckets_usd,
    any_value(fleet_year_usd) as fleet_year_usd,
from curated.cost_ledger
group by fleet_id, price_plan, allocation_method
having abs(sum(usd) - any_value(fleet_year_usd)) > greatest(0.005, 1e-12 * any_value(fleet_year_usd));

-- assert: the cents that are shown sum to the year that is shown
select
    fleet_id,
    price_plan,
    allocation_method,
    sum(usd_shown) as buckets_usd,
    any_value(fleet_year_usd) as fleet_year_usd,
from curated.cost_ledger
group by fleet_id, price_plan, allocation_method
having abs(round(sum(usd_shown) * 100) - round(any_value(fleet_year_usd) * 100)) > 0;

-- assert: no bucket is below 0
select
    fleet_id,
    price_plan,
    allocation_method,
    bucket,
    usd,
from curated.cost_ledger
where usd < 0 or not isfinite(usd);

-- assert: every bucket is there
select
    fleet_id,
    price_plan,
    allocation_method,
from curated.cost_ledger
where bucket <> 'unallocated'
group by fleet_id, price_plan, allocation_method
having count(*) <> 9;

-- assert: the year is that of curated.cost_per_million_tokens where the demand states a mean
select
    ledger.fleet_id,
    ledger.price_plan,
    ledger.fleet_year_usd,
    cost.fleet_year_usd as cost_fleet_year_usd,
from curated.cost_ledger as ledger
left join curated.cost_per_million_tokens as cost
    on
        ledger.fleet_id = cost.fleet_id
        and ledger.price_plan = cost.price_plan
        and ledger.allocation_method = cost.allocation_method
        and cost.cost_basis = 'capacity'
where
    (ledger.mean_basis <> 'peak' or ledger.price_kind <> 'api')
    and not coalesce(abs(ledger.fleet_year_usd - cost.fleet_year_usd) <= 1e-9 * cost.fleet_year_usd, false);
