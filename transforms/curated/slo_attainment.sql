-- curated.slo_attainment: how each operating point stands against each SLO of its workload (docs/metrics.md).
-- grain: operating_point_id, slo
-- columns: comments in schemas/columns.py. SLOs are those of the catalog snapshot of the run; of a pool of a
--   disaggregated fleet the bounds count that are its own (staging.role_bounds).
--   Requests are judged in staging.judged_requests; attainment is null where one of them cannot be.
--   Verdict: with an attainment_share that share decides; without, each bound by its error-adjusted statistic, a
--   mean only while error_share <= max_error_share. A least quality score is a bound like the others.
--   An imported summary has no requests to be judged one by one: its attainment is null, its statistics decide.
-- assertions (slo_attainment.test.sql): good requests are judged requests; Wilson's interval holds the attainment;
--   the worst bound agrees with the verdict
with points as (
    select
        points.operating_point_id,
        levels.level_no,
        points.run_id,
        points.attempt,
        points.is_current,
        points.endpoint,
        points.workload,
        points.night,
        points.run_date,
        points.metric_version,
        points.catalog_hash,
        points.window_s,
        points.requests_in_window,
        points.error_share,
        points.quality_score,
        levels.is_summary,
        attempts.role,
    from curated.operating_points as points
    inner join staging.levels as levels using (operating_point_id)
    inner join staging.attempts as attempts
        on points.run_id = attempts.run_id and points.attempt = attempts.attempt
),

applicable as (
    select
        points.*,
        slos.slo,
        slos.attainment_share,
        slos.max_error_share,
        slos.min_quality_score,
        limits.slo_no,
    from points
    inner join raw.slos as slos using (catalog_hash)
    inner join staging.slo_limits as limits using (catalog_hash, slo, role)
    where len(slos.workloads) = 0 or list_contains(slos.workloads, points.workload)
),

counted as (
    select
        level_no,
        slo_no,
        count(*) filter (where is_judged) as judged_requests,
        count(*) filter (where is_judged and is_good is null) as unknown_requests,
        count(*) filter (where is_judged and is_good) as known_good_requests,
        count(*) filter (where completed_in_window and is_good is null) as unknown_completions,
        count(*) filter (where completed_in_window and is_good) as good_completions,
        case
            when count(*) filter (where completed_in_window and is_good and output_tokens is null) = 0
                then coalesce(sum(output_tokens) filter (where completed_in_window and is_good), 0)
        end as good_tokens,
    from staging.judged_requests
    group by level_no, slo_no
),

attained as (
    select
        applicable.* exclude (catalog_hash),
        applicable.catalog_hash,
        coalesce(counted.judged_requests, case when applicable.is_summary then applicable.requests_in_window end, 0)
            as judged_requests,
        case when counted.unknown_requests = 0 then counted.known_good_requests end as good_requests,
        case when counted.unknown_requests = 0 then counted.known_good_requests / nullif(counted.judged_requests, 0) end
            as attainment,
        case when counted.unknown_completions = 0 then counted.good_completions / applicable.window_s end as good_rps,
        case when counted.unknown_completions = 0 then counted.good_tokens / applicable.window_s end as good_tps,
        1.959964 as z,
    from applicable
    left join counted using (level_no, slo_no)
),

with_interval as (
    select
        * exclude (z),
        (attainment + z ^ 2 / (2 * judged_requests)) / (1 + z ^ 2 / judged_requests) as wilson_center,
        z * sqrt(attainment * (1 - attainment) / judged_requests + z ^ 2 / (4 * judged_requests ^ 2))
        / (1 + z ^ 2 / judged_requests) as wilson_half,
    from attained
),

bounds as (
    -- by attainment: one bound, the share itself
    select
        level_no,
        slo,
        'attainment' as metric,
        cast(null as varchar) as statistic,
        attainment as value,
        attainment_share as limit_value,
        true as is_lower_limit,
    from with_interval
    where attainment_share is not null
    union all
    -- by statistic: each bound on the error-adjusted statistic
    select
        applicable.level_no,
        applicable.slo,
        slo_bounds.metric,
        slo_bounds.statistic,
        statistics.adjusted_value as value,
        slo_bounds.limit_value,
        slo_bounds.metric = 'interactivity' as is_lower_limit,
    from applicable
    inner join staging.role_bounds as slo_bounds using (catalog_hash, slo, role)
    left join staging.latency_statistics as statistics
        on
            applicable.level_no = statistics.level_no
            and slo_bounds.metric = statistics.metric
            and slo_bounds.statistic = statistics.statistic
    where applicable.attainment_share is null
    union all
    -- a mean does not see failures
    select distinct
        applicable.level_no,
        applicable.slo,
        'error_share' as metric,
        cast(null as varchar) as statistic,
        applicable.error_share as value,
        applicable.max_error_share as limit_value,
        false as is_lower_limit,
    from applicable
    inner join staging.role_bounds as slo_bounds using (catalog_hash, slo, role)
    where applicable.attainment_share is null and slo_bounds.statistic = 'mean'
    union all
    select
        level_no,
        slo,
        'quality_score' as metric,
        cast(null as varchar) as statistic,
        quality_score as value,
        min_quality_score as limit_value,
        true as is_lower_limit,
    from applicable
    where min_quality_score is not null
),

held as (
    select
        *,
        case when is_lower_limit then value >= limit_value else value <= limit_value end as is_met,
        case
            when is_lower_limit then 1 - value / nullif(limit_value, 0)
            when limit_value = 0 and value > 0 then cast('infinity' as double)
            else value / nullif(limit_value, 0) - 1
        end as excess,
    from bounds
),

worst as (
    select * from held
    qualify row_number() over (
        partition by level_no, slo
        order by
            case when is_met is null then 1 when is_met then 2 else 0 end,
            excess desc nulls last,
            metric asc,
            statistic asc
    ) = 1
),

decided as (
    select
        with_interval.*,
        worst.metric as worst_metric,
        worst.statistic as worst_statistic,
        worst.value as worst_value,
        worst.limit_value as worst_limit,
        worst.excess as worst_excess,
        case
            when worst.metric is null then case when with_interval.judged_requests > 0 then true end
            else worst.is_met
        end as meets_slo,
    from with_interval
    left join worst using (level_no, slo)
)

select
    operating_point_id,
    slo,
    run_id,
    attempt,
    is_current,
    endpoint,
    workload,
    night,
    run_date,
    metric_version,
    attainment_share,
    judged_requests,
    good_requests,
    attainment,
    -- greatest(0, null) is 0: an unknown attainment must not become one
    case when attainment is not null then greatest(0, wilson_center - wilson_half) end as attainment_lo,
    case when attainment is not null then least(1, wilson_center + wilson_half) end as attainment_hi,
    good_rps,
    good_tps,
    case when meets_slo is null then 'undecided' when meets_slo then 'met' else 'missed' end as verdict,
    meets_slo,
    wilson_center - wilson_half >= attainment_share as meets_slo_confident,
    worst_metric,
    worst_statistic,
    worst_value,
    worst_limit,
    worst_excess,
from decided
