-- The changes that stand on the nights of the page: one row for each series that they moved, the largest first.
select *
from regressions
semi join shown using (endpoint, workload, night)
where state = 'open'
order by endpoint asc, workload asc, slo asc, abs(change_share) desc nulls last, series_id asc
