-- assert: a crossing has its figures, and nothing else has requests (hours of renting need no fleet)
select
    fleet_id,
    price_plan,
    other_plan,
    verdict,
from curated.break_even
where
    (verdict <> 'crosses' and requests_per_year is not null)
    or (verdict = 'crosses' and case other_kind when 'rent' then hours_per_year else requests_per_year end is null);

-- assert: at a crossing the API's bill is the fleet's year
select
    fleet_id,
    price_plan,
    other_plan,
    requests_per_year,
from curated.break_even
where
    verdict = 'crosses'
    and other_kind = 'api'
    and abs(requests_per_year * other_usd_per_request - fleet_year_usd) > 1e-9 * fleet_year_usd;

-- assert: owning crosses renting within a year, or never
select
    fleet_id,
    price_plan,
    other_plan,
    hours_per_year,
from curated.break_even
where verdict = 'crosses' and other_kind = 'rent' and hours_per_year > 8760 * (1 + 1e-12);
