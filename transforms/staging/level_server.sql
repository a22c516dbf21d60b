-- staging.level_server: what the engine said of itself in the window of a level (docs/metrics.md, The server).
-- grain: level_no
-- columns: means and maximum over the scrapes in the window; prefix_cache_hit_share, hits / queries between the first
--   and the last of them. Where the engine has no such counters, or they fell (it was started anew): the mean of the
--   share that it averages itself, null where it has none. gpu_power_w, what the cards drew: energy between the first
--   and the last scrape over the time between; where there is no such counter, the mean of the power.
with levels as (
    select * from staging.levels
    where window_started_ns is not null
),

scrapes as (
    select
        levels.level_no,
        metrics.*,
    from raw.server_metrics as metrics
    inner join levels
        on
            metrics.run_id = levels.run_id
            and metrics.attempt = levels.attempt
            and metrics.level_index = levels.level_index
            and epoch_us(metrics.scraped_at) * 1000 between levels.window_started_ns and levels.window_ended_ns
),

summed as (
    select
        level_no,
        -- rounded: threads add in any order, and a rebuild is to be equal
        round(avg(requests_running), 9) as running_mean,
        round(avg(requests_waiting), 9) as waiting_mean,
        max(kv_cache_usage) as kv_cache_usage_max,
        arg_max(prefix_cache_queries, elapsed_s) - arg_min(prefix_cache_queries, elapsed_s) as queries,
        arg_max(prefix_cache_hits, elapsed_s) - arg_min(prefix_cache_hits, elapsed_s) as hits,
        round(avg(prefix_cache_hit_share), 9) as hit_share_mean,
        arg_max(gpu_energy_mj, elapsed_s) - arg_min(gpu_energy_mj, elapsed_s) as energy_mj,
        max(elapsed_s) filter (where gpu_energy_mj is not null)
        - min(elapsed_s) filter (where gpu_energy_mj is not null) as energy_s,
        round(avg(gpu_power_w), 9) as power_mean_w,
    from scrapes
    group by level_no
)

select
    level_no,
    running_mean,
    waiting_mean,
    kv_cache_usage_max,
    case when queries > 0 and hits between 0 and queries then hits / queries else hit_share_mean end
        as prefix_cache_hit_share,
    case when energy_mj >= 0 and energy_s > 0 then energy_mj / 1000 / energy_s else power_mean_w end as gpu_power_w,
from summed
