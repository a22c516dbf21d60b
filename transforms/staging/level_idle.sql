-- staging.level_idle: how long nothing was in flight in the window of a level.
-- grain: level_no
-- columns: window_ns; idle_ns. Found from the gaps between requests, apart from the sweep of staging.sharing_times, so
--   that the one checks the other (time_shares.test.sql). Levels that a chosen operating point stands on.
with gaps as (
    select
        levels.level_no,
        levels.window_started_ns,
        levels.window_ended_ns,
        times.to_ns,
        times.from_ns - coalesce(max(times.to_ns) over earlier, levels.window_started_ns) as gap_ns,
    from staging.levels as levels
    semi join staging.chosen_levels as chosen using (level_no)
    left join staging.sharing_times as times using (level_no)
    window
        earlier as (
            partition by levels.level_no order by times.from_ns rows between unbounded preceding and 1 preceding
        )
)

select
    level_no,
    any_value(window_ended_ns - window_started_ns) as window_ns,
    any_value(window_ended_ns) - coalesce(max(to_ns), any_value(window_started_ns))
    + cast(coalesce(sum(gap_ns) filter (where gap_ns > 0), 0) as bigint) as idle_ns,
from gaps
group by level_no
