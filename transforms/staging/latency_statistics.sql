-- staging.latency_statistics: mean and percentiles of every latency metric of every level (docs/metrics.md).
-- grain: level_no, metric, statistic
-- columns: value over the ok requests sent in the window, ms (tokens/s for interactivity); adjusted_value, with each
--   failed request at +infinity (the mean has no adjusted form and repeats value); n and adjusted_n, samples.
--   A percentile is null below min_samples. itl and chunk_gap pool the gaps of all requests: n counts gaps, itl
--   takes each as often as its chunk has tokens, and a failed request stands for as many infinite values as an
--   ok one has on average. The percentiles of interactivity are those of TPOT turned over: its p99 is the slow tail.
-- Of an imported summary they are the tool's own; adjusted_value is known where none failed, and infinite where so many
--   failed that the percentile is one of them; n counts completed requests (token_gaps for itl and chunk_gap).
-- Means are summed exactly enough (favg, fsum) and rounded far below a nanosecond: threads add in any order, and a
--   rebuild is to be equal.
-- Interpolating between two infinities gives NaN, so that 1e300 stands for infinity until the end.
with requests as (
    select * from staging.requests
    where sent_in_window and (is_ok or is_failed)
),

by_request as (
    select
        level_no,
        is_ok,
        unnest([
            'ttft', 'ttft_from_schedule', 'ttfa', 'tpot', 'e2e', 'ntpot', 'e2e_to_close', 'tpot_osl_minus_1',
            'tpot_including_ttft', 'e2e_databricks', 'interactivity'
        ]) as metric,
        unnest([
            ttft_ms, ttft_from_schedule_ms, ttfa_ms, tpot_ms, e2e_ms, ntpot_ms, e2e_to_close_ms, tpot_osl_minus_1_ms,
            tpot_including_ttft_ms, e2e_databricks_ms, interactivity_tps
        ]) as sample,
    from requests
),

outcomes as (
    select
        level_no,
        count(*) filter (where is_failed) as failed,
        count(*) filter (where is_ok) as succeeded,
    from requests
    group by level_no
),

failing as (
    select level_no,
    from outcomes
    where failed > 0
),

ok_quantiles as (
    select
        level_no,
        metric,
        count(sample) as n,
        round(favg(sample), 9) as mean,
        quantile_cont(sample, [0.5, 0.75, 0.9, 0.95, 0.99, 0.999]) as quantiles,
    from by_request
    where is_ok
    group by level_no, metric
),

-- without failures those of the ok requests hold, and nothing is sorted twice
failing_quantiles as (
    select
        level_no,
        metric,
        count(case when is_ok then sample else 1e300 end) as n,
        quantile_cont(case when is_ok then sample else 1e300 end, [0.5, 0.75, 0.9, 0.95, 0.99, 0.999]) as quantiles,
    from by_request
    semi join failing using (level_no)
    group by level_no, metric
),

request_quantiles as (
    select
        level_no,
        metric,
        coalesce(ok.n, 0) as n,
        coalesce(adjusted.n, ok.n) as adjusted_n,
        ok.mean,
        ok.quantiles,
        coalesce(adjusted.quantiles, ok.quantiles) as adjusted_quantiles,
    from ok_quantiles as ok
    full join failing_quantiles as adjusted using (level_no, metric)
),

gaps as (
    select * from staging.gap_folds
    where occurrences is not null
),

pooled_samples as (
    select
        level_no,
        'chunk_gap' as metric,
        gap_us / 1000 as sample,
        occurrences as weight,
        occurrences,
    from gaps
    union all
    select
        level_no,
        'itl' as metric,
        gap_us / 1000 / coalesce(chunk_tokens, mean_tokens) as sample,
        occurrences * coalesce(chunk_tokens, 1) as weight,
        occurrences,
    from gaps
    where coalesce(chunk_tokens, mean_tokens) > 0
    union all
    select
        level_no,
        'itl' as metric,
        token_ms as sample,
        occurrences as weight,
        occurrences,
    from staging.token_times
),

pooled_totals as (
    select
        level_no,
        metric,
        sum(occurrences) as n,
        cast(sum(weight) as double) as weight,
        round(fsum(sample * weight) / sum(weight), 9) as mean,
    from pooled_samples
    group by level_no, metric
),

-- a failed request stands for as many infinite values as an ok one has, and for one where none is ok
missing as (
    select
        outcomes.level_no,
        kinds.metric,
        pooled_totals.n,
        pooled_totals.mean,
        coalesce(pooled_totals.weight, 0) as weight,
        outcomes.failed * greatest(1, round(coalesce(pooled_totals.weight / nullif(outcomes.succeeded, 0), 1)))
            as missing_weight,
    from outcomes
    cross join (select unnest(['chunk_gap', 'itl']) as metric,) as kinds
    left join pooled_totals
        on outcomes.level_no = pooled_totals.level_no and kinds.metric = pooled_totals.metric
),

weighted as (
    select
        level_no,
        metric,
        sample,
        weight,
        least(floor(sample * 16), 16000 + floor(sample / 16)) as bin,
    from pooled_samples
    union all
    select
        level_no,
        metric,
        1e300 as sample,
        missing_weight as weight,
        1e300 as bin,
    from missing
    where missing_weight > 0
),

-- to find the sample at a rank not all are sorted: bins of 1/16 ms, of 16 ms from a second on, are counted up first,
-- then the samples of those bins that a rank falls into
binned as (
    select
        level_no,
        metric,
        bin,
        cast(sum(weight) as double) as weight,
    from weighted
    group by level_no, metric, bin
),

bins as (
    select
        level_no,
        metric,
        bin,
        weight,
        cast(sum(weight) over (partition by level_no, metric order by bin) as double) as reached,
    from binned
),

-- linear interpolation between the samples at ranks floor(h) and ceil(h), h = p (n - 1), counted from 0
positions as (
    select
        missing.level_no,
        missing.metric,
        statistics.statistic,
        statistics.probability * (missing.weight - 1) as h,
        statistics.probability * (missing.weight + missing.missing_weight - 1) as adjusted_h,
    from missing
    cross join staging.statistics as statistics
    where missing.weight + missing.missing_weight > 0
),

ranks as (
    select
        *,
        unnest(['below', 'above', 'adjusted_below', 'adjusted_above']) as side,
        unnest([floor(h), ceil(h), floor(adjusted_h), ceil(adjusted_h)]) as rank_wanted,
    from positions
),

bins_wanted as (
    select distinct
        ranks.level_no,
        ranks.metric,
        bins.bin,
        bins.reached - bins.weight as before,
    from ranks
    asof inner join bins
        on
            ranks.level_no = bins.level_no
            and ranks.metric = bins.metric
            and ranks.rank_wanted < bins.reached
),

cumulated as (
    select
        weighted.level_no,
        weighted.metric,
        weighted.sample,
        bins_wanted.before + cast(
            sum(weighted.weight) over (
                partition by weighted.level_no, weighted.metric, bins_wanted.bin order by weighted.sample
            ) as double
        ) as reached,
    from weighted
    inner join bins_wanted
        on
            weighted.level_no = bins_wanted.level_no
            and weighted.metric = bins_wanted.metric
            and weighted.bin = bins_wanted.bin
),

found as (
    select
        ranks.level_no,
        ranks.metric,
        ranks.statistic,
        ranks.h,
        ranks.adjusted_h,
        ranks.side,
        cumulated.sample,
    from ranks
    asof left join cumulated
        on
            ranks.level_no = cumulated.level_no
            and ranks.metric = cumulated.metric
            and ranks.rank_wanted < cumulated.reached
),

neighbours as (
    select
        level_no,
        metric,
        statistic,
        h,
        adjusted_h,
        any_value(sample) filter (where side = 'below') as below,
        any_value(sample) filter (where side = 'above') as above,
        any_value(sample) filter (where side = 'adjusted_below') as adjusted_below,
        any_value(sample) filter (where side = 'adjusted_above') as adjusted_above,
    from found
    group by level_no, metric, statistic, h, adjusted_h
),

pooled_percentiles as (
    select
        neighbours.level_no,
        neighbours.metric,
        neighbours.statistic,
        coalesce(missing.n, 0) as n,
        coalesce(missing.n, 0) + missing.missing_weight as adjusted_n,
        neighbours.below + (neighbours.above - neighbours.below) * (neighbours.h - floor(neighbours.h)) as value,
        neighbours.adjusted_below
        + (neighbours.adjusted_above - neighbours.adjusted_below)
        * (neighbours.adjusted_h - floor(neighbours.adjusted_h)) as adjusted_value,
    from neighbours
    inner join missing using (level_no, metric)
),

told as (
    unpivot (
        select
            level_no,
            completed_requests,
            failed_requests,
            token_gaps,
            columns('_(mean|p[0-9_]+)_ms$'),
        from staging.summaries
    )
    on columns('_ms$')
    into name figure value value
),

summarised as (
    select
        level_no,
        regexp_extract(figure, '^(.*)_(mean|p[0-9]+|p99_9)_ms$', 1) as metric,
        regexp_extract(figure, '^(.*)_(mean|p[0-9]+|p99_9)_ms$', 2) as statistic,
        case
            when metric in ('itl', 'chunk_gap') then coalesce(token_gaps, completed_requests) else completed_requests
        end as n,
        failed_requests,
        n + failed_requests as adjusted_n,
        value,
    from told
),

every_percentile as (
    select
        request_quantiles.level_no,
        request_quantiles.metric,
        statistics.statistic,
        request_quantiles.n,
        request_quantiles.adjusted_n,
        request_quantiles.quantiles[statistics.position] as value,
        request_quantiles.adjusted_quantiles[statistics.position] as adjusted_value,
    from request_quantiles
    cross join staging.statistics as statistics
    where request_quantiles.metric <> 'interactivity'
    union all
    select
        level_no,
        metric,
        statistic,
        n,
        adjusted_n,
        value,
        adjusted_value,
    from pooled_percentiles
    union all
    select
        summarised.level_no,
        summarised.metric,
        summarised.statistic,
        summarised.n,
        summarised.adjusted_n,
        summarised.value,
        case
            when summarised.failed_requests = 0 then summarised.value
            when statistics.probability * (summarised.adjusted_n - 1) > summarised.n - 1 then 1e300
        end as adjusted_value,
    from summarised
    inner join staging.statistics as statistics using (statistic)
),

percentiles as (
    select
        every_percentile.level_no,
        every_percentile.metric,
        every_percentile.statistic,
        every_percentile.n,
        every_percentile.adjusted_n,
        -- how many samples an imported summary has may not be known
        case when coalesce(every_percentile.n >= statistics.min_samples, true) then every_percentile.value end as value,
        case
            when every_percentile.adjusted_n < statistics.min_samples then null
            when every_percentile.adjusted_value > 1e200 then cast('infinity' as double)
            else every_percentile.adjusted_value
        end as adjusted_value,
    from every_percentile
    inner join staging.statistics as statistics using (statistic)
),

means as (
    select
        level_no,
        metric,
        n,
        adjusted_n,
        mean,
    from request_quantiles
    union all
    select
        level_no,
        metric,
        n,
        adjusted_n,
        value as mean,
    from summarised
    where statistic = 'mean'
    union all
    select
        level_no,
        'interactivity' as metric,
        completed_requests as n,
        requests as adjusted_n,
        interactivity_mean_tps as mean,
    from staging.summaries
    union all
    select
        level_no,
        metric,
        coalesce(n, 0) as n,
        coalesce(n, 0) + missing_weight as adjusted_n,
        mean,
    from missing
)

select
    level_no,
    metric,
    'mean' as statistic,
    n,
    adjusted_n,
    mean as value,
    mean as adjusted_value,
from means
union all
select
    level_no,
    metric,
    statistic,
    n,
    adjusted_n,
    value,
    adjusted_value,
from percentiles
union all
select
    level_no,
    'interactivity' as metric,
    statistic,
    n,
    adjusted_n,
    1000 / nullif(value, 0) as value,
    1000 / nullif(adjusted_value, 0) as adjusted_value,
from percentiles
where metric = 'tpot'
