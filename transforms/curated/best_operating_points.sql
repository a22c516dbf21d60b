-- curated.best_operating_points: where to run (docs/economics.md, Choosing the operating point).
-- grain: endpoint, workload, slo, night
-- columns: comments in schemas/columns.py. Among the current and valid points that meet the SLO, the highest request
--   rate per GPU; ties: lower mean e2e, lower load, id. An SLO without bounds is met by every point, which leaves
--   the saturation point. None chosen is said as such, never replaced: no_valid_point with the reasons, undecided
--   where a valid point cannot be judged or has no rate, infeasible with the nearest miss.
-- assertions (best_operating_points.test.sql): chosen points are valid, current and meet the SLO
with attempts as (
    select * from staging.attempts
    where is_current
    -- a retracted run asks for nothing, unless it is all that there is
    qualify (retracted_at is null) = bool_or(retracted_at is null) over (partition by endpoint, workload, night)
),

asked as (
    select
        attempts.endpoint,
        attempts.workload,
        slos.slo,
        attempts.night,
        any_value(attempts.run_date) as run_date,
        arg_max(attempts.catalog_hash, attempts.started_at) as catalog_hash,
    from attempts
    inner join raw.slos as slos using (catalog_hash)
    where len(slos.workloads) = 0 or list_contains(slos.workloads, attempts.workload)
    group by attempts.endpoint, attempts.workload, slos.slo, attempts.night
),

candidates as (
    select
        points.*,
        attainment.slo,
        attainment.verdict,
        attainment.attainment,
        attainment.meets_slo_confident,
        attainment.worst_metric,
        attainment.worst_statistic,
        attainment.worst_value,
        attainment.worst_limit,
        attainment.worst_excess,
        coalesce(points.is_valid and attainment.meets_slo and points.request_rps_per_gpu is not null, false)
            as is_feasible,
        -- what cannot be judged, or has no rate to be chosen for
        points.is_valid
        and (
            attainment.verdict = 'undecided' or (attainment.verdict = 'met' and points.request_rps_per_gpu is null)
        ) as is_undecided,
    from curated.operating_points as points
    inner join curated.slo_attainment as attainment using (operating_point_id)
    where points.is_current
),

ranked as (
    select
        *,
        row_number() over (
            partition by endpoint, workload, slo, night, is_feasible
            order by
                request_rps_per_gpu desc,
                e2e_mean_ms asc nulls last,
                coalesce(concurrency, request_rate) asc,
                operating_point_id asc
        ) as preference,
        row_number() over (
            partition by endpoint, workload, slo, night, is_valid and verdict = 'missed'
            order by worst_excess asc nulls last, operating_point_id asc
        ) as nearness,
    from candidates
),

counted as (
    select
        endpoint,
        workload,
        slo,
        night,
        count(*) as points,
        count(*) filter (where is_valid) as valid_points,
        count(*) filter (where is_feasible) as feasible_points,
        count(*) filter (where is_undecided) as undecided_points,
        string_agg(distinct validity, '; ' order by validity) as invalid_for,
        string_agg(
            distinct case verdict
                when 'met' then 'request_rps unknown' else concat_ws(' ', worst_metric, worst_statistic, 'unknown')
            end,
            '; '
            order by case verdict
                when 'met' then 'request_rps unknown' else concat_ws(' ', worst_metric, worst_statistic, 'unknown')
            end
        ) filter (where is_undecided) as undecided_for,
    from candidates
    group by endpoint, workload, slo, night
),

decided as (
    select
        asked.*,
        coalesce(counted.points, 0) as points,
        coalesce(counted.valid_points, 0) as valid_points,
        coalesce(counted.feasible_points, 0) as feasible_points,
        case
            when counted.feasible_points > 0 then 'chosen'
            when coalesce(counted.valid_points, 0) = 0 then 'no_valid_point'
            when counted.undecided_points > 0 then 'undecided'
            else 'infeasible'
        end as status,
        counted.invalid_for,
        counted.undecided_for,
    from asked
    left join counted using (endpoint, workload, slo, night)
),

chosen as (
    select * from ranked
    where is_feasible and preference = 1
),

nearest as (
    select * from ranked
    where is_valid and verdict = 'missed' and nearness = 1
)

select
    decided.endpoint,
    decided.workload,
    decided.slo,
    decided.night,
    decided.run_date,
    decided.status,
    case decided.status
        when 'no_valid_point' then coalesce(decided.invalid_for, 'no level was measured')
        when 'undecided' then decided.undecided_for
    end as reasons,
    decided.points,
    decided.valid_points,
    decided.feasible_points,
    decided.catalog_hash,
    metric_version.metric_version,
    chosen.operating_point_id,
    chosen.run_id,
    chosen.attempt,
    chosen.concurrency,
    chosen.request_rate,
    chosen.request_rps,
    chosen.request_rps_lo,
    chosen.request_rps_hi,
    chosen.request_rps_per_gpu,
    chosen.attainment,
    chosen.meets_slo_confident,
    nearest.operating_point_id as nearest_operating_point_id,
    nearest.worst_metric as nearest_metric,
    nearest.worst_statistic as nearest_statistic,
    nearest.worst_value as nearest_value,
    nearest.worst_limit as nearest_limit,
    nearest.worst_excess as nearest_excess,
from decided
cross join staging.metric_version as metric_version
left join chosen using (endpoint, workload, slo, night)
left join nearest
    on
        decided.status = 'infeasible'
        and decided.endpoint = nearest.endpoint
        and decided.workload = nearest.workload
        and decided.slo = nearest.slo
        and decided.night = nearest.night
