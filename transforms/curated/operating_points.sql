-- curated.operating_points: throughput, latency and validity of each load level (docs/metrics.md).
-- grain: operating_point_id
-- columns: comments in schemas/columns.py. Rates and means are null, not 0, where no ok request was delivered.
--   validity joins its reasons in this order: retracted, client_bound, unsteady, under_sampled, cache_contaminated,
--   osl_mismatch, errors_high, clock_suspect (more than 1 % of the window's requests, a wall clock that was stepped, or
--   a calibration error above its bound), littles_law. A level without a window is under_sampled, and so is one of
--   conversations most of whose later turns were not sent before it ended.
--   An imported summary has no window: its figures are those of the tool over its whole test, its validity begins with
--   imported_summary, which alone is no reason against it; errors_high, osl_mismatch and cache_contaminated are.
-- assertions (operating_points.test.sql): intervals hold their rate; shares are shares; one saturation level a run;
--   valid means no reason
with attempts as (
    select * from staging.attempts
),

levels as (
    select * from staging.levels
),

summaries as (
    select * from staging.summaries
),

requests as (
    select * from staging.requests
),

whole_levels as (
    select
        level_no,
        count(*) filter (where is_ok) as ok_requests,
        count(*) filter (where is_failed) / nullif(count(*) filter (where is_ok or is_failed), 0) as error_share,
        case
            when bool_and(output_tokens is not null) filter (where is_ok) then sum(output_tokens) filter (where is_ok)
        end
            as output_tokens,
        bool_and(clock_source = 'kernel') filter (where is_ok) as has_kernel_stamps,
    from requests
    where is_measured
    group by level_no
    union all
    select
        level_no,
        completed_requests as ok_requests,
        error_share,
        output_tokens_mean * completed_requests as output_tokens,
        false as has_kernel_stamps,
    from summaries
),

in_window as (
    select
        level_no,
        count(*) filter (where is_ok or is_failed) as requests,
        count(*) filter (where is_failed) / nullif(count(*) filter (where is_ok or is_failed), 0) as error_share,
        count(*) filter (where is_clock_suspect) / count(*) as clock_suspect_share,
        count(*) filter (where is_ok and first_token_merged)
        / nullif(count(*) filter (where is_ok and first_token_merged is not null), 0) as first_token_merged_share,
        count(*) filter (where is_late_send)
        / nullif(count(*) filter (where is_late_send is not null), 0) as late_send_share,
        count(*) filter (where is_on_reused)
        / nullif(count(*) filter (where is_on_reused is not null), 0) as connection_reuse_share,
        sum(merged_reads) / nullif(sum(reads), 0) as merged_read_share,
        case
            when bool_and(input_tokens is not null) filter (where is_ok) then avg(input_tokens) filter (where is_ok)
        end
            as input_tokens_mean,
        case
            when bool_and(cached_input_tokens is not null) filter (where is_ok)
                then avg(cached_input_tokens) filter (where is_ok)
        end as cached_input_tokens_mean,
        case
            when bool_and(output_tokens is not null) filter (where is_ok) then avg(output_tokens) filter (where is_ok)
        end
            as output_tokens_mean,
        case
            when bool_and(reasoning_tokens is not null) filter (where is_ok)
                then avg(reasoning_tokens) filter (where is_ok)
        end
            as reasoning_tokens_mean,
        sum(cached_input_tokens) filter (where is_ok and input_tokens is not null)
        / nullif(sum(input_tokens) filter (where is_ok and cached_input_tokens is not null), 0) as cached_share,
        avg(output_tokens) filter (where is_ok)
        / nullif(avg(target_output_tokens) filter (where is_ok and output_tokens is not null), 0) as osl_ratio,
    from requests
    where sent_in_window
    group by level_no
    union all by name
    select
        level_no,
        requests,
        error_share,
        input_tokens_mean,
        cached_input_tokens_mean,
        output_tokens_mean,
        reasoning_tokens_mean,
        cached_input_tokens_mean / nullif(input_tokens_mean, 0) as cached_share,
        output_tokens_mean / nullif(target_output_tokens, 0) as osl_ratio,
    from summaries
),

reported as (
    select * from raw.levels
),

measured as (
    select
        levels.*,
        attempts.* exclude (run_id, attempt),
        whole_levels.ok_requests,
        whole_levels.error_share as level_error_share,
        whole_levels.output_tokens as level_output_tokens,
        whole_levels.has_kernel_stamps,
        coalesce(in_window.requests, 0) as requests_in_window,
        coalesce(in_window.error_share, case when levels.window_started_ns is null then whole_levels.error_share end)
            as error_share,
        in_window.* exclude (level_no, requests, error_share),
        rates.* exclude (level_no),
        rates.input_per_s + rates.output_per_s as total_per_s,
        nullif(attempts.gpus_per_instance * attempts.instances_measured, 0) as gpus,
        rates.completions_in_window / rates.window_s * rates.residence_s / nullif(rates.mean_in_flight, 0)
            as littles_law_ratio,
        reported.client_cpu_share,
        reported.loop_lag_p99_ms,
        reported.late_start_ms,
        reported.turns_left_out,
        reported.stop_reason,
        reported.status as level_status,
        client.tcp_rtt_ms,
        client.clock_step_ms,
        server.running_mean as server_running_mean,
        server.waiting_mean as server_waiting_mean,
        server.kv_cache_usage_max,
        server.prefix_cache_hit_share as server_prefix_cache_hit_share,
        server.gpu_power_w,
        -- a page is one instance's: of several behind one address it says nothing of the others
        case when attempts.instances_measured = 1 then server.gpu_power_w end as instance_power_w,
    from levels
    inner join attempts using (run_id, attempt)
    inner join whole_levels using (level_no)
    left join in_window using (level_no)
    left join staging.level_rates as rates using (level_no)
    left join staging.level_client as client using (level_no)
    left join staging.level_server as server using (level_no)
    left join reported using (run_id, attempt, level_index)
),

judged as (
    select
        *,
        concat_ws(
            ',',
            case when retracted_at is not null then 'retracted' end,
            case
                when
                    client_cpu_share > 0.85
                    or (loop_lag_p99_ms > 5 and not has_kernel_stamps)
                    or late_send_share > 0.01
                    then 'client_bound'
            end,
            case
                when
                    (load_kind = 'closed' and not is_summary and mean_in_flight < 0.95 * concurrency)
                    or (load_kind = 'open' and stop_reason = 'over_saturated')
                    or level_status = 'failed'
                    then 'unsteady'
            end,
            case
                when
                    not is_summary
                    and (
                        window_started_ns is null
                        or (load_kind = 'closed' and completions_in_window < 5 * concurrency)
                        or turns_left_out > 0.5 * requests
                    )
                    then 'under_sampled'
            end,
            case when cached_share > 0.01 and not shares_prefix then 'cache_contaminated' end,
            case when abs(osl_ratio - 1) > 0.05 then 'osl_mismatch' end,
            case when error_share > 0.05 then 'errors_high' end,
            case
                when
                    clock_suspect_share > 0.01
                    or abs(clock_step_ms) > 50
                    or abs(calibration_ttft_error_p50_ms) > 1
                    or abs(calibration_itl_error_p50_ms) > 0.5
                    then 'clock_suspect'
            end,
            case
                when abs(littles_law_ratio - 1) > greatest(0.05, coalesce(request_half / request_per_s, 0))
                    then 'littles_law'
            end
        ) as reasons,
    from measured
),

growth as (
    select
        level_no,
        coalesce(concurrency, request_rate) as load_size,
        lead(request_per_s) over (partition by run_id, attempt order by coalesce(concurrency, request_rate), level_no)
        < 1.1 * request_per_s as is_plateau,
        row_number() over (
            partition by run_id, attempt order by request_per_s desc, coalesce(concurrency, request_rate), level_no asc
        ) = 1 as is_saturation,
    from judged
    where request_per_s is not null
),

shape as (
    select
        judged.level_no,
        coalesce(growth.is_saturation, false) as is_saturation,
        coalesce(
            growth.is_plateau and row_number() over (
                partition by judged.run_id, judged.attempt, growth.is_plateau
                order by growth.load_size, judged.level_no
            ) = 1, false
        ) as is_knee,
    from judged
    left join growth using (level_no)
)

select
    judged.operating_point_id,
    judged.run_id,
    judged.attempt,
    judged.is_current,
    judged.suite,
    judged.endpoint,
    judged.workload,
    judged.load,
    judged.night,
    judged.run_date,
    judged.level_index,
    judged.load_kind,
    judged.concurrency,
    judged.request_rate,
    judged.model,
    judged.engine,
    judged.engine_version,
    judged.precision,
    judged.accelerator,
    judged.gpus_per_instance,
    judged.gpus_per_server,
    judged.instances_measured,
    judged.quality_score,
    judged.quality_source,
    judged.memory_gib_per_gpu,
    judged.config_hash,
    judged.catalog_hash,
    metric_version.metric_version,
    coalesce(
        nullif(concat_ws(',', case when judged.is_summary then 'imported_summary' end, nullif(judged.reasons, '')), ''),
        'valid'
    ) as validity,
    judged.reasons = '' as is_valid,
    shape.is_knee,
    shape.is_saturation,
    make_timestamp(judged.window_started_ns // 1000) as window_started_at,
    make_timestamp(judged.window_ended_ns // 1000) as window_ended_at,
    judged.window_s,
    judged.window_s / nullif(judged.level_s, 0) as window_share,
    judged.shards,
    judged.requests,
    judged.requests_in_window,
    judged.completions_in_window,
    judged.error_share,
    judged.request_per_s as request_rps,
    case when judged.has_interval then judged.request_per_s - judged.request_half end as request_rps_lo,
    case when judged.has_interval then judged.request_per_s + judged.request_half end as request_rps_hi,
    judged.request_per_s / judged.gpus as request_rps_per_gpu,
    judged.output_per_s as output_tps,
    case when judged.has_interval then judged.output_per_s - judged.output_half end as output_tps_lo,
    case when judged.has_interval then judged.output_per_s + judged.output_half end as output_tps_hi,
    judged.output_per_s / judged.gpus as output_tps_per_gpu,
    judged.input_per_s as input_tps,
    case when judged.has_interval then judged.input_per_s - judged.input_half end as input_tps_lo,
    case when judged.has_interval then judged.input_per_s + judged.input_half end as input_tps_hi,
    judged.input_per_s / judged.gpus as input_tps_per_gpu,
    judged.total_per_s as total_tps,
    case when judged.has_interval then judged.total_per_s - judged.total_half end as total_tps_lo,
    case when judged.has_interval then judged.total_per_s + judged.total_half end as total_tps_hi,
    judged.total_per_s / judged.gpus as total_tps_per_gpu,
    judged.mean_in_flight,
    judged.littles_law_ratio,
    judged.level_s,
    judged.ok_requests / nullif(judged.level_s, 0) as level_request_rps,
    judged.level_output_tokens / nullif(judged.level_s, 0) as output_tps_wall,
    judged.level_error_share,
    judged.turns_left_out,
    judged.input_tokens_mean,
    judged.cached_input_tokens_mean,
    judged.output_tokens_mean,
    judged.reasoning_tokens_mean,
    judged.cached_share,
    judged.first_token_merged_share,
    judged.clock_suspect_share,
    judged.client_cpu_share,
    judged.loop_lag_p99_ms,
    judged.late_start_ms,
    judged.late_send_share,
    judged.merged_read_share,
    judged.tcp_rtt_ms,
    judged.connection_reuse_share,
    judged.clock_step_ms,
    judged.server_running_mean,
    judged.server_waiting_mean,
    judged.kv_cache_usage_max,
    judged.server_prefix_cache_hit_share,
    judged.gpu_power_w,
    judged.instance_power_w / judged.output_per_s as joules_per_output_token,
    judged.instance_power_w / judged.total_per_s as joules_per_token,
    judged.output_per_s / judged.instance_power_w * 1e6 as output_tps_per_mw,
    latencies.ttft_mean_ms,
    latencies.ttft_p50_ms,
    latencies.ttft_p75_ms,
    latencies.ttft_p90_ms,
    latencies.ttft_p95_ms,
    latencies.ttft_p99_ms,
    latencies.ttft_p99_9_ms,
    latencies.ttft_from_schedule_mean_ms,
    latencies.ttft_from_schedule_p50_ms,
    latencies.ttft_from_schedule_p75_ms,
    latencies.ttft_from_schedule_p90_ms,
    latencies.ttft_from_schedule_p95_ms,
    latencies.ttft_from_schedule_p99_ms,
    latencies.ttft_from_schedule_p99_9_ms,
    latencies.ttfa_mean_ms,
    latencies.ttfa_p50_ms,
    latencies.ttfa_p75_ms,
    latencies.ttfa_p90_ms,
    latencies.ttfa_p95_ms,
    latencies.ttfa_p99_ms,
    latencies.ttfa_p99_9_ms,
    latencies.tpot_mean_ms,
    latencies.tpot_p50_ms,
    latencies.tpot_p75_ms,
    latencies.tpot_p90_ms,
    latencies.tpot_p95_ms,
    latencies.tpot_p99_ms,
    latencies.tpot_p99_9_ms,
    latencies.itl_mean_ms,
    latencies.itl_p50_ms,
    latencies.itl_p75_ms,
    latencies.itl_p90_ms,
    latencies.itl_p95_ms,
    latencies.itl_p99_ms,
    latencies.itl_p99_9_ms,
    latencies.e2e_mean_ms,
    latencies.e2e_p50_ms,
    latencies.e2e_p75_ms,
    latencies.e2e_p90_ms,
    latencies.e2e_p95_ms,
    latencies.e2e_p99_ms,
    latencies.e2e_p99_9_ms,
    latencies.ntpot_mean_ms,
    latencies.ntpot_p50_ms,
    latencies.ntpot_p75_ms,
    latencies.ntpot_p90_ms,
    latencies.ntpot_p95_ms,
    latencies.ntpot_p99_ms,
    latencies.ntpot_p99_9_ms,
    latencies.chunk_gap_mean_ms,
    latencies.chunk_gap_p50_ms,
    latencies.chunk_gap_p75_ms,
    latencies.chunk_gap_p90_ms,
    latencies.chunk_gap_p95_ms,
    latencies.chunk_gap_p99_ms,
    latencies.chunk_gap_p99_9_ms,
    latencies.e2e_to_close_mean_ms,
    latencies.e2e_to_close_p50_ms,
    latencies.e2e_to_close_p75_ms,
    latencies.e2e_to_close_p90_ms,
    latencies.e2e_to_close_p95_ms,
    latencies.e2e_to_close_p99_ms,
    latencies.e2e_to_close_p99_9_ms,
    latencies.tpot_osl_minus_1_mean_ms,
    latencies.tpot_osl_minus_1_p50_ms,
    latencies.tpot_osl_minus_1_p75_ms,
    latencies.tpot_osl_minus_1_p90_ms,
    latencies.tpot_osl_minus_1_p95_ms,
    latencies.tpot_osl_minus_1_p99_ms,
    latencies.tpot_osl_minus_1_p99_9_ms,
    latencies.tpot_including_ttft_mean_ms,
    latencies.tpot_including_ttft_p50_ms,
    latencies.tpot_including_ttft_p75_ms,
    latencies.tpot_including_ttft_p90_ms,
    latencies.tpot_including_ttft_p95_ms,
    latencies.tpot_including_ttft_p99_ms,
    latencies.tpot_including_ttft_p99_9_ms,
    latencies.e2e_databricks_mean_ms,
    latencies.e2e_databricks_p50_ms,
    latencies.e2e_databricks_p75_ms,
    latencies.e2e_databricks_p90_ms,
    latencies.e2e_databricks_p95_ms,
    latencies.e2e_databricks_p99_ms,
    latencies.e2e_databricks_p99_9_ms,
    latencies.interactivity_mean_tps,
    latencies.interactivity_p50_tps,
    latencies.interactivity_p25_tps,
    latencies.interactivity_p10_tps,
    latencies.interactivity_p5_tps,
    latencies.interactivity_p1_tps,
from judged
inner join shape using (level_no)
cross join staging.metric_version as metric_version
left join staging.latency_columns as latencies using (level_no)
