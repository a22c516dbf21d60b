-- Demands as their fleets were sized: the calculator starts from these. Rates of a recorded trace have grown, too.
select
    fleet.endpoint,
    fleet.workload,
    fleet.night,
    fleet.demand,
    fleet.slo,
    fleet.catalog_hash,
    fleet.peak_rps,
    fleet.mean_rps,
    fleet.headroom,
    -- before a budget cut them; provisioned units know no budget
    coalesce(asked.spares, fleet.spares) as spares,
    fleet.uptime,
    fleet.max_instances,
    list_transform(asked.trace_rps, lambda rps: rps * fleet.growth_factor) as trace_rps,
    asked.trace_shares,
from server_counts as fleet
semi join shown using (endpoint, workload, night)
left join demands as asked using (catalog_hash, demand, night)
order by fleet.demand
