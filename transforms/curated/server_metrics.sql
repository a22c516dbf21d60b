-- curated.server_metrics: what the engine says of itself, each scrape.
-- grain: run_id, attempt, level_index, elapsed_s
-- columns: those of raw.server_metrics (comments in schemas/columns.py), the operating point of the level, null where
--   there is none, and is_current (staging.attempts). Rows of a run without a manifest are left out.
select
    metrics.run_id,
    metrics.attempt,
    metrics.endpoint,
    metrics.run_date,
    metrics.level_index,
    metrics.scraped_at,
    metrics.elapsed_s,
    metrics.source,
    metrics.requests_running,
    metrics.requests_waiting,
    metrics.kv_cache_usage,
    metrics.prefix_cache_hit_share,
    metrics.prefix_cache_queries,
    metrics.prefix_cache_hits,
    metrics.prompt_tokens,
    metrics.generation_tokens,
    metrics.requests_finished,
    metrics.preemptions,
    metrics.gpu_power_w,
    metrics.gpu_energy_mj,
    metrics.gpu_busy_percent,
    metrics.gpu_memory_mib,
    metrics.scrape_ms,
    levels.operating_point_id,
    attempts.is_current,
from raw.server_metrics as metrics
inner join staging.attempts as attempts using (run_id, attempt)
left join staging.levels as levels using (run_id, attempt, level_index)
