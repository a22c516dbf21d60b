-- curated.runs: every attempt of every run, what was asked, what happened, provenance.
-- grain: run_id, attempt
-- columns: those of the manifest (raw.runs), is_current (staging.attempts), and how the measured requests ended;
--   comments in schemas/columns.py
-- assertions (runs.test.sql): the outcomes sum to the requests
with attempts as (
    select * from staging.attempts
),

traces as (
    select
        run_id,
        attempt,
        count(*) as rows_landed,
        count(*) filter (where phase = 'measure') as requests,
        count(*) filter (where phase = 'measure' and outcome = 'ok') as requests_ok,
        count(*) filter (where phase = 'measure' and outcome = 'http_error') as requests_http_error,
        count(*) filter (where phase = 'measure' and outcome = 'connect_error') as requests_connect_error,
        count(*) filter (where phase = 'measure' and outcome = 'timeout') as requests_timeout,
        count(*) filter (where phase = 'measure' and outcome = 'truncated') as requests_truncated,
        count(*) filter (where phase = 'measure' and outcome = 'malformed') as requests_malformed,
        count(*) filter (where phase = 'measure' and outcome = 'empty') as requests_empty,
        count(*) filter (where phase = 'measure' and outcome = 'cancelled') as requests_cancelled,
        count(*) filter (where phase = 'measure' and outcome = 'interrupted') as requests_interrupted,
    from raw.request_traces
    group by run_id, attempt
)

select
    attempts.run_id,
    attempts.attempt,
    attempts.suite,
    attempts.endpoint,
    attempts.workload,
    attempts.load,
    attempts.night,
    attempts.run_date,
    attempts.started_at,
    attempts.ended_at,
    attempts.status,
    attempts.failure,
    attempts.levels_planned,
    attempts.levels_measured,
    attempts.rows_quarantined,
    attempts.catalog_hash,
    attempts.config_hash,
    attempts.client_version,
    attempts.url,
    attempts.api,
    attempts.model,
    attempts.engine,
    attempts.engine_version,
    attempts.precision,
    attempts.accelerator,
    attempts.gpus_per_instance,
    attempts.gpus_per_server,
    attempts.instances_measured,
    attempts.role,
    attempts.quality_score,
    attempts.quality_source,
    attempts.memory_gib_per_gpu,
    attempts.power_kw_per_gpu,
    attempts.shares_prefix,
    attempts.input_tokens_target,
    attempts.output_tokens_target,
    attempts.host,
    attempts.platform,
    attempts.python_version,
    attempts.cpu_count,
    attempts.chars_per_token,
    attempts.prompt_overhead_tokens,
    attempts.calibration_ttft_error_p50_ms,
    attempts.calibration_ttft_error_p99_ms,
    attempts.calibration_itl_error_p50_ms,
    attempts.calibration_itl_error_p99_ms,
    attempts.calibration_tokens_per_s,
    attempts.calibration_streams,
    attempts.is_current,
    coalesce(traces.rows_landed, 0) as rows_landed,
    coalesce(traces.requests, 0) as requests,
    coalesce(traces.requests_ok, 0) as requests_ok,
    coalesce(traces.requests_http_error, 0) as requests_http_error,
    coalesce(traces.requests_connect_error, 0) as requests_connect_error,
    coalesce(traces.requests_timeout, 0) as requests_timeout,
    coalesce(traces.requests_truncated, 0) as requests_truncated,
    coalesce(traces.requests_malformed, 0) as requests_malformed,
    coalesce(traces.requests_empty, 0) as requests_empty,
    coalesce(traces.requests_cancelled, 0) as requests_cancelled,
    coalesce(traces.requests_interrupted, 0) as requests_interrupted,
    metric_version.metric_version,
from attempts
cross join staging.metric_version as metric_version
left join traces using (run_id, attempt)
