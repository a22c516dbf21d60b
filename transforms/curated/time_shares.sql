-- curated.time_shares: what the time of a chosen operating point went to, request by request (docs/economics.md).
-- grain: operating_point_id, slo
-- columns: comments in schemas/columns.py. Times are shares of the instance by processor sharing
--   (staging.sharing_times), those of all requests that were in flight in the window; counts and tokens are those of
--   the requests sent in it. What the plan cancelled or the client's end interrupted held time too, which stands in no
--   class: the classes split what is left. A request that was never sent held none, and counts as failed.
--   Unknown stays null: the split by classes where a request cannot be judged, a sum of tokens where one is unknown;
--   a failed request is billed for what usage it reported. Of an imported summary (basis summary) the shares are of
--   request counts: failed ones by its count, missed ones where its largest latencies show that none did; a closed loop
--   keeps a request in flight; input and output have no times to be told apart by.
-- assertions (time_shares.test.sql): shares are shares, input and output add up; all requests' time and the idle time
--   add up to the window
with chosen as (
    select * from staging.chosen_levels
),

classed as (
    select
        judged.level_no,
        judged.slo_no,
        judged.is_judged,
        case
            when judged.is_failed then 'failed'
            when judged.is_good then 'good'
            when not judged.is_good then 'missed'
        end as class,
        -- what a failed request did not report was not billed
        case when judged.is_failed then coalesce(requests.input_tokens, 0) else requests.input_tokens end
            as input_tokens,
        case when judged.is_failed then coalesce(requests.cached_input_tokens, 0) else requests.cached_input_tokens end
            as cached_input_tokens,
        case when judged.is_failed then coalesce(requests.output_tokens, 0) else requests.output_tokens end
            as output_tokens,
        case when judged.is_failed then coalesce(requests.reasoning_tokens, 0) else requests.reasoning_tokens end
            as reasoning_tokens,
        times.input_units,
        times.output_units,
    from staging.judged_requests as judged
    semi join chosen using (level_no, slo_no)
    inner join staging.requests as requests using (level_no, shard, request_index)
    left join staging.sharing_times as times using (level_no, shard, request_index)
),

unjudged as (
    select
        level_no,
        slo_no,
        count(*) as requests,
        count(*) filter (where is_judged) as judged_requests,
    from classed
    where class is null
    group by level_no, slo_no
),

classes as (
    select
        level_no,
        slo_no,
        unnest(['failed', 'missed', 'good']) as class,
    from chosen
),

-- a class without a request is a row of zeros
by_class as (
    select
        classes.level_no,
        classes.slo_no,
        classes.class,
        count(*) filter (where classed.is_judged) as requests,
        coalesce(sum(classed.input_units), 0) as input_units,
        coalesce(sum(classed.output_units), 0) as output_units,
        case
            when count(*) filter (where classed.is_judged and classed.input_tokens is null) = 0
                then coalesce(sum(classed.input_tokens) filter (where classed.is_judged), 0)
        end as input_tokens,
        case
            when count(*) filter (where classed.is_judged and classed.cached_input_tokens is null) = 0
                then coalesce(sum(classed.cached_input_tokens) filter (where classed.is_judged), 0)
        end as cached_input_tokens,
        case
            when count(*) filter (where classed.is_judged and classed.output_tokens is null) = 0
                then coalesce(sum(classed.output_tokens) filter (where classed.is_judged), 0)
        end as output_tokens,
        case
            when count(*) filter (where classed.is_judged and classed.reasoning_tokens is null) = 0
                then coalesce(sum(classed.reasoning_tokens) filter (where classed.is_judged), 0)
        end as reasoning_tokens,
    from classes
    left join classed using (level_no, slo_no, class)
    group by classes.level_no, classes.slo_no, classes.class
),

-- none missed where even the worst completed request is within every bound; else nobody counted them
summarised as (
    select
        chosen.*,
        levels.load_kind,
        summaries.duration_s as window_s,
        summaries.requests,
        summaries.failed_requests,
        summaries.error_share,
        summaries.input_tokens_mean,
        summaries.cached_input_tokens_mean,
        summaries.output_tokens_mean,
        summaries.reasoning_tokens_mean,
        case when coalesce(worst.is_within, true) then 0 end as missed_requests,
        case when coalesce(worst.is_within, true) then summaries.completed_requests end as good_requests,
    from chosen
    inner join staging.levels as levels on chosen.level_no = levels.level_no
    inner join staging.summaries as summaries on chosen.level_no = summaries.level_no
    left join staging.summary_worst as worst on chosen.level_no = worst.level_no and chosen.slo_no = worst.slo_no
),

known as (
    select
        by_class.*,
        coalesce(unjudged.requests, 0) as unknown_requests,
        coalesce(unjudged.judged_requests, 0) as unknown_judged_requests,
        by_class.class = 'failed' or coalesce(unjudged.judged_requests, 0) = 0 as is_known,
    from by_class
    left join unjudged using (level_no, slo_no)
),

laid_out as (
    select
        level_no,
        slo_no,
        any_value(unknown_requests) = 0 as knows_classes,
        sum(requests) + any_value(unknown_judged_requests) as judged_requests,
        cast(sum(input_units + output_units) as double) as units,
        any_value(cast(input_units + output_units as double)) filter (where class = 'failed') as failed_units,
        any_value(cast(input_units + output_units as double)) filter (where class = 'missed') as missed_units,
        any_value(cast(input_units as double)) filter (where class = 'good') as good_input_units,
        any_value(cast(output_units as double)) filter (where class = 'good') as good_output_units,
        any_value(requests) filter (where class = 'failed' and is_known) as failed_requests,
        any_value(input_tokens) filter (where class = 'failed' and is_known) as failed_input_tokens,
        any_value(cached_input_tokens) filter (where class = 'failed' and is_known) as failed_cached_input_tokens,
        any_value(output_tokens) filter (where class = 'failed' and is_known) as failed_output_tokens,
        any_value(reasoning_tokens) filter (where class = 'failed' and is_known) as failed_reasoning_tokens,
        any_value(requests) filter (where class = 'missed' and is_known) as missed_requests,
        any_value(input_tokens) filter (where class = 'missed' and is_known) as missed_input_tokens,
        any_value(cached_input_tokens) filter (where class = 'missed' and is_known) as missed_cached_input_tokens,
        any_value(output_tokens) filter (where class = 'missed' and is_known) as missed_output_tokens,
        any_value(reasoning_tokens) filter (where class = 'missed' and is_known) as missed_reasoning_tokens,
        any_value(requests) filter (where class = 'good' and is_known) as good_requests,
        any_value(input_tokens) filter (where class = 'good' and is_known) as good_input_tokens,
        any_value(cached_input_tokens) filter (where class = 'good' and is_known) as good_cached_input_tokens,
        any_value(output_tokens) filter (where class = 'good' and is_known) as good_output_tokens,
        any_value(reasoning_tokens) filter (where class = 'good' and is_known) as good_reasoning_tokens,
    from known
    group by level_no, slo_no
)

select
    chosen.operating_point_id,
    chosen.slo,
    chosen.run_id,
    chosen.endpoint,
    chosen.workload,
    chosen.night,
    chosen.metric_version,
    'traces' as basis,
    idle.window_ns / 1e9 as window_s,
    idle.idle_ns / idle.window_ns as idle_share,
    case when laid_out.knows_classes then laid_out.failed_units / nullif(laid_out.units, 0) end as failed_share,
    case when laid_out.knows_classes then laid_out.missed_units / nullif(laid_out.units, 0) end as missed_share,
    case
        when laid_out.knows_classes
            then laid_out.good_input_units / nullif(laid_out.good_input_units + laid_out.good_output_units, 0)
    end as input_share,
    case
        when laid_out.knows_classes
            then laid_out.good_output_units / nullif(laid_out.good_input_units + laid_out.good_output_units, 0)
    end as output_share,
    cast(laid_out.judged_requests as bigint) as judged_requests,
    laid_out.failed_requests,
    laid_out.missed_requests,
    laid_out.good_requests,
    cast(laid_out.failed_input_tokens as double) as failed_input_tokens,
    cast(laid_out.failed_cached_input_tokens as double) as failed_cached_input_tokens,
    cast(laid_out.failed_output_tokens as double) as failed_output_tokens,
    cast(laid_out.failed_reasoning_tokens as double) as failed_reasoning_tokens,
    cast(laid_out.missed_input_tokens as double) as missed_input_tokens,
    cast(laid_out.missed_cached_input_tokens as double) as missed_cached_input_tokens,
    cast(laid_out.missed_output_tokens as double) as missed_output_tokens,
    cast(laid_out.missed_reasoning_tokens as double) as missed_reasoning_tokens,
    cast(laid_out.good_input_tokens as double) as good_input_tokens,
    cast(laid_out.good_cached_input_tokens as double) as good_cached_input_tokens,
    cast(laid_out.good_output_tokens as double) as good_output_tokens,
    cast(laid_out.good_reasoning_tokens as double) as good_reasoning_tokens,
from chosen
inner join staging.level_idle as idle using (level_no)
inner join laid_out using (level_no, slo_no)
where not chosen.is_summary
union all
select
    operating_point_id,
    slo,
    run_id,
    endpoint,
    workload,
    night,
    metric_version,
    'summary' as basis,
    window_s,
    case load_kind when 'closed' then 0 end as idle_share,
    error_share as failed_share,
    missed_requests / requests as missed_share,
    cast(null as double) as input_share,
    cast(null as double) as output_share,
    requests as judged_requests,
    failed_requests,
    missed_requests,
    good_requests,
    0 as failed_input_tokens,
    0 as failed_cached_input_tokens,
    0 as failed_output_tokens,
    0 as failed_reasoning_tokens,
    missed_requests * input_tokens_mean as missed_input_tokens,
    missed_requests * cached_input_tokens_mean as missed_cached_input_tokens,
    missed_requests * output_tokens_mean as missed_output_tokens,
    missed_requests * reasoning_tokens_mean as missed_reasoning_tokens,
    good_requests * input_tokens_mean as good_input_tokens,
    good_requests * cached_input_tokens_mean as good_cached_input_tokens,
    good_requests * output_tokens_mean as good_output_tokens,
    good_requests * reasoning_tokens_mean as good_reasoning_tokens,
from summarised
