-- Demands as their fleets were sized: the calculator starts from these.
select
    endpoint,
    workload,
    demand,
    application,
    slo,
    peak_rps,
    mean_rps,
    mean_source,
    headroom,
    spares as spares_kept,
    uptime,
    max_instances,
from server_counts
semi join shown using (endpoint, workload, night)
order by demand
