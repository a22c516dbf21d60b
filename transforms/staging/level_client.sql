-- staging.level_client: how the load generator fared in a level, by its own samples (docs/metrics.md, The client).
-- grain: level_no
-- columns: tcp_rtt_ms, median over the worker-seconds of the window; clock_step_ms, the furthest that a worker's wall
--   clock moved against its monotonic clock in the whole level, with its sign. Null where there are no samples.
with levels as (
    select * from staging.levels
),

samples as (
    select
        levels.level_no,
        health.tcp_rtt_ms,
        health.clock_step_ms,
        coalesce(
            epoch_us(health.sampled_at) * 1000 between levels.window_started_ns and levels.window_ended_ns, false
        ) as is_in_window,
    from raw.client_health as health
    inner join levels using (run_id, attempt, level_index)
)

select
    level_no,
    median(tcp_rtt_ms) filter (where is_in_window) as tcp_rtt_ms,
    -- of two alike the forward one, so that a rebuild is equal
    arg_max(clock_step_ms, (abs(clock_step_ms), clock_step_ms)) as clock_step_ms,
from samples
group by level_no
