-- Demands that no measured endpoint serves, with what each of them lacks.
select
    demand,
    any_value(application) as application,
    any_value(slo) as slo,
    string_agg(distinct endpoint || ': ' || replace(status, '_', ' '), '; ') as reasons,
from server_counts
semi join shown using (endpoint, workload, night)
group by demand
having count(*) filter (where status = 'chosen') = 0
order by demand
