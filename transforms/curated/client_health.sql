-- curated.client_health: how the load generator itself fared, each worker and second.
-- grain: run_id, attempt, level_index, shard, elapsed_s
-- columns: those of raw.client_health (comments in schemas/columns.py), the operating point of the level, null where
--   there is none, and is_current (staging.attempts). Rows of a run without a manifest are left out.
select
    health.run_id,
    health.attempt,
    health.endpoint,
    health.run_date,
    health.level_index,
    health.shard,
    health.sampled_at,
    health.elapsed_s,
    health.in_flight,
    health.sent,
    health.done,
    health.late_sends,
    health.merged_reads,
    health.reads,
    health.loop_lag_p50_ms,
    health.loop_lag_p99_ms,
    health.loop_lag_max_ms,
    health.read_lag_p99_ms,
    health.cpu_share,
    health.connections_open,
    health.connections_opened,
    health.requests_on_reused,
    health.tcp_rtt_ms,
    health.clock_step_ms,
    health.rss_mib,
    levels.operating_point_id,
    attempts.is_current,
from raw.client_health as health
inner join staging.attempts as attempts using (run_id, attempt)
left join staging.levels as levels using (run_id, attempt, level_index)
