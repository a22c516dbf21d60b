-- The mixes of the last night.
select *
from fleet_mixes
where night = (select max(night) from counted_runs)
order by demand asc, currency asc, fleet_year_usd desc nulls last, endpoint asc
