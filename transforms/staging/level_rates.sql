-- staging.level_rates: rates in the window with their 95 % intervals, and what was in flight (docs/metrics.md).
-- grain: level_no
-- columns: *_per_s, of ok requests, null where none was delivered; *_half, half the interval by batch means over
--   10 equal slices, t(9) = 2.262; request_half stands even for few completions (the tolerance of Little's law),
--   and has_interval says whether 10 C completions (open loop: 10 x the mean in flight) allow showing any;
--   completions_in_window of any outcome; mean_in_flight, time-weighted, sent to closed; residence_s, the mean
--   e2e_to_close of those completions, failed ones too, since they took slots as well.
-- Of an imported summary: the tool's rates over its whole test, without intervals.
with slices as (
    select
        level_no,
        edge,
        edge_ns - lag(edge_ns) over following as slice_ns,
        completions - lag(completions) over following as completions,
        input_tokens - lag(input_tokens) over following as input_tokens,
        output_tokens - lag(output_tokens) over following as output_tokens,
    from staging.level_flow
    window following as (partition by level_no order by edge)
),

batches as (
    select
        level_no,
        sum(completions) / (sum(slice_ns) / 1e9) as request_per_s,
        sum(input_tokens) / (sum(slice_ns) / 1e9) as input_per_s,
        sum(output_tokens) / (sum(slice_ns) / 1e9) as output_per_s,
        2.262 * stddev_samp(completions / (slice_ns / 1e9)) / sqrt(10) as request_half,
        2.262 * stddev_samp(input_tokens / (slice_ns / 1e9)) / sqrt(10) as input_half,
        2.262 * stddev_samp(output_tokens / (slice_ns / 1e9)) / sqrt(10) as output_half,
        2.262 * stddev_samp((input_tokens + output_tokens) / (slice_ns / 1e9)) / sqrt(10) as total_half,
    from slices
    where edge > 0
    group by level_no
),

presence as (
    select
        levels.level_no,
        any_value(levels.concurrency) as concurrency,
        count(*) filter (where requests.completed_in_window) as completions_in_window,
        round(favg(requests.e2e_to_close_ms) filter (where requests.completed_in_window), 9) / 1000 as residence_s,
        any_value(levels.window_ended_ns - levels.window_started_ns) / 1e9 as window_s,
        sum(
            greatest(
                0,
                least(requests.closed_ns, levels.window_ended_ns)
                - greatest(requests.sent_ns, levels.window_started_ns)
            )
        ) / any_value(levels.window_ended_ns - levels.window_started_ns) as mean_in_flight,
    from staging.levels as levels
    inner join staging.requests as requests using (level_no)
    where levels.window_started_ns is not null
    group by levels.level_no
)

select
    presence.level_no,
    presence.window_s,
    presence.completions_in_window,
    presence.mean_in_flight,
    presence.residence_s,
    case when batches.request_per_s > 0 then batches.request_per_s end as request_per_s,
    case when batches.request_per_s > 0 then batches.input_per_s end as input_per_s,
    case when batches.request_per_s > 0 then batches.output_per_s end as output_per_s,
    batches.request_half,
    batches.input_half,
    batches.output_half,
    batches.total_half,
    presence.completions_in_window >= 10 * coalesce(presence.concurrency, greatest(1, presence.mean_in_flight))
        as has_interval,
from presence
left join batches using (level_no)
union all
select
    level_no,
    duration_s as window_s,
    completed_requests as completions_in_window,
    mean_in_flight,
    cast(null as double) as residence_s,
    case when request_rps > 0 then request_rps end as request_per_s,
    case when request_rps > 0 then input_tps end as input_per_s,
    case when request_rps > 0 then output_tps end as output_per_s,
    cast(null as double) as request_half,
    cast(null as double) as input_half,
    cast(null as double) as output_half,
    cast(null as double) as total_half,
    false as has_interval,
from staging.summaries
