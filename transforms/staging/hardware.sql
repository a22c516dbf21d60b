-- staging.hardware: what served an endpoint's workload on a night, as the last of its current runs has it; those
--   retracted are asked only where all are.
-- grain: endpoint, workload, night
-- columns: of raw.runs, catalog_hash as in curated.best_operating_points. Known for an endpoint without a chosen point
--   too.
with runs as (
    select * from staging.attempts
    where is_current
    qualify (retracted_at is null) = bool_or(retracted_at is null) over (partition by endpoint, workload, night)
)

select
    endpoint,
    workload,
    night,
    any_value(run_date) as run_date,
    arg_max(catalog_hash, started_at) as catalog_hash,
    arg_max(role, started_at) as role,
    arg_max(model, started_at) as model,
    arg_max(precision, started_at) as precision,
    arg_max(quality_score, started_at) as quality_score,
    arg_max(accelerator, started_at) as accelerator,
    arg_max(gpus_per_instance, started_at) as gpus_per_instance,
    arg_max(gpus_per_server, started_at) as gpus_per_server,
    arg_max(power_kw_per_gpu, started_at) as power_kw_per_gpu,
from runs
group by endpoint, workload, night
