-- Demands as their fleets were sized: the calculator starts from these.
select
    fleet.endpoint,
    fleet.workload,
    fleet.night,
    fleet.demand,
    fleet.slo,
    fleet.catalog_hash,
    fleet.peak_rps,
    fleet.mean_rps,
    fleet.growth_factor,
    fleet.headroom,
    -- before a budget cut them; provisioned units know no budget
    coalesce(asked.spares, fleet.spares) as spares,
    fleet.uptime,
    fleet.max_instances,
from server_counts as fleet
semi join shown using (endpoint, workload, night)
left join demands as asked using (catalog_hash, demand, night)
order by fleet.demand
