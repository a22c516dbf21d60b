-- staging.levels: load levels with measured requests, and the steady-state window of each (docs/metrics.md).
-- grain: operating_point_id
-- columns: identity; level_no, a small number for joins within one build; times in nanoseconds of the wall clock,
--   so that the shards of a level, each with its own epoch, are one level; requests, the measured ones; level_s, the
--   whole level. is_summary: figures of another tool (raw.summary_points), which has no window of ours and no requests.
--   Closed loop at concurrency C: from the C-th completion, whatever its outcome, to the last request sent. Open
--   loop: from the first arrival after warm-up to the last. Null where the level ended before its window began.
--   A request that never got a connection counts as sent when the plan wanted it.
-- A level of a run without a manifest is left out: the manifest closes a run.
-- assertions (levels.test.sql): level_no names one level; a window ends after it starts
with attempts as (
    select
        run_id,
        attempt,
    from staging.attempts
),

measured as (
    select
        run_id,
        attempt,
        level_index,
        shard,
        load_kind,
        concurrency,
        request_rate,
        epoch_us(epoch_wall_at) * 1000
        + case load_kind
            when 'open' then coalesce(scheduled_ns, sent_ns) else coalesce(sent_ns, scheduled_ns)
        end as sent_ns,
        epoch_us(epoch_wall_at) * 1000 + closed_ns as closed_ns,
    from raw.request_traces
    semi join attempts using (run_id, attempt)
    where phase = 'measure' and level_index > 0
),

bounds as (
    select
        run_id,
        attempt,
        level_index,
        any_value(load_kind) as load_kind,
        any_value(concurrency) as concurrency,
        any_value(request_rate) as request_rate,
        count(*) as requests,
        count(distinct shard) as shards,
        min(sent_ns) as level_started_ns,
        max(closed_ns) as level_ended_ns,
        case any_value(load_kind)
            when 'closed' then min(closed_ns, greatest(concurrency, 1))[any_value(concurrency)]
            else min(sent_ns)
        end as started_ns,
        max(sent_ns) as ended_ns,
    from measured
    group by run_id, attempt, level_index
),

placed as (
    select
        run_id,
        attempt,
        level_index,
        load_kind,
        concurrency,
        request_rate,
        false as is_summary,
        requests,
        shards,
        level_started_ns,
        level_ended_ns,
        (level_ended_ns - level_started_ns) / 1e9 as level_s,
        case when ended_ns > started_ns then started_ns end as window_started_ns,
        case when ended_ns > started_ns then ended_ns end as window_ended_ns,
    from bounds
    union all
    select
        run_id,
        attempt,
        level_index,
        load_kind,
        concurrency,
        request_rate,
        true as is_summary,
        requests,
        1 as shards,
        epoch_us(started_at) * 1000 as level_started_ns,
        epoch_us(started_at) * 1000 + cast(duration_s * 1e9 as bigint) as level_ended_ns,
        duration_s as level_s,
        cast(null as bigint) as window_started_ns,
        cast(null as bigint) as window_ended_ns,
    from raw.summary_points
    semi join attempts using (run_id, attempt)
)

select
    concat(run_id, '-a', attempt, '-l', level_index) as operating_point_id,
    row_number() over (order by run_id, attempt, level_index) as level_no,
    run_id,
    attempt,
    level_index,
    load_kind,
    concurrency,
    request_rate,
    is_summary,
    requests,
    shards,
    level_started_ns,
    level_ended_ns,
    level_s,
    window_started_ns,
    window_ended_ns,
from placed
