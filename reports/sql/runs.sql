-- The attempts behind the page, those that another stands for too.
select *
from runs
semi join shown using (endpoint, workload, night)
order by run_id, attempt
