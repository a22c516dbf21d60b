-- What changed between one night and the next, newest first: engine, its version, model, precision, hardware, the
-- client, or the configuration as planned.
with nights as (
    select
        endpoint,
        workload,
        load,
        night,
        arg_max(engine, started_at) as engine,
        arg_max(engine_version, started_at) as engine_version,
        arg_max(model, started_at) as model,
        arg_max(precision, started_at) as precision,
        arg_max(accelerator, started_at) as accelerator,
        arg_max(gpus_per_instance, started_at) as gpus_per_instance,
        arg_max(client_version, started_at) as client_version,
        arg_max(config_hash, started_at) as config_hash,
    from runs
    where is_current
    group by endpoint, workload, load, night
),

columns as (
    select
        endpoint,
        workload,
        load,
        night,
        unnest([
            'engine', 'engine version', 'model', 'precision', 'accelerator', 'GPUs an instance', 'client',
            'configuration'
        ]) as what,
        unnest([
            engine, engine_version, model, precision, accelerator, cast(gpus_per_instance as varchar), client_version,
            left(config_hash, 8)
        ]) as now,
    from nights
),

stepped as (
    select
        *,
        lag(now) over earlier as before,
        row_number() over earlier as night_no,
    from columns
    window earlier as (partition by endpoint, workload, load, what order by night)
)

select
    endpoint,
    workload,
    night,
    what,
    any_value(before) as before,
    any_value(now) as now,
from stepped
where night_no > 1 and now is distinct from before
group by endpoint, workload, night, what
qualify row_number() over (partition by endpoint, workload order by night desc, what asc) <= 12
order by night desc, what asc
