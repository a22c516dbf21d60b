-- The operating points of the page, lightest load first. All columns: which latency is drawn depends on the SLOs.
select *
from operating_points
semi join shown using (endpoint, workload, night)
where is_current
order by concurrency nulls last, request_rate, run_id, level_index
