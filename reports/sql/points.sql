-- The operating points of a section, lightest load first. All columns: which latency is drawn depends on the SLOs.
-- $1 endpoint, $2 workload, $3 night
select *
from curated.operating_points
where is_current and endpoint = $1 and workload = $2 and night = $3
order by concurrency nulls last, request_rate, run_id, level_index
