-- assert: a fleet without a budget carries the peak with its headroom
select
    fleet_id,
    peak_rps,
    instances,
    rps_per_instance,
from curated.server_counts
where max_instances is null and instances * rps_per_instance < peak_rps * (1 + headroom) * (1 - 1e-9);

-- assert: a fleet stays within its budget
select
    fleet_id,
    instances,
    max_instances,
from curated.server_counts
where instances > max_instances;

-- assert: counts are known exactly where a point was chosen
select
    fleet_id,
    status,
    instances,
from curated.server_counts
where (status = 'chosen') <> (instances is not null) or stranded_gpus < 0;
