-- The attempts behind a section.
-- $1 endpoint, $2 workload, $3 night
select
    run_id,
    attempt,
    is_current,
    suite,
    load,
    status,
    failure,
    levels_planned,
    levels_measured,
    requests,
    requests_ok,
    rows_quarantined,
    model,
    engine,
    engine_version,
    precision,
    accelerator,
    gpus_per_instance,
    gpus_per_server,
    instances_measured,
    catalog_hash,
    started_at,
    calibration_streams,
    calibration_ttft_error_p50_ms,
    calibration_ttft_error_p99_ms,
    calibration_itl_error_p50_ms,
    calibration_itl_error_p99_ms,
    calibration_tokens_per_s,
from curated.runs
where endpoint = $1 and workload = $2 and night = $3
order by run_id, attempt
