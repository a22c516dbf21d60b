-- What moved on the nights of the page: one row for each series, the largest first.
select *
from regressions
semi join shown using (endpoint, workload, night)
order by endpoint asc, workload asc, slo asc, abs(change_share) desc nulls last, series_id asc
