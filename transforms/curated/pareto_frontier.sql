-- curated.pareto_frontier: which operating points no other beats (docs/economics.md, Choosing the operating point).
-- grain: operating_point_id, latency_metric, statistic, throughput_metric
-- columns: comments in schemas/columns.py. Per night, model and workload; current and valid points only, per GPU; a
--   point whose latency or throughput is null leaves that frontier. Exact ties are both kept.
--   Sorted by latency, a point is dominated when a point at no more latency has more throughput, or one at less
--   latency as much: two running maxima instead of a join of all pairs.
-- assertions (pareto_frontier.test.sql): each frontier has a point; dominated points name one, frontier points none
with points as (
    select
        points.*,
        levels.level_no,
    from curated.operating_points as points
    inner join staging.levels as levels using (operating_point_id)
    where points.is_valid and points.is_current
),

latencies as (
    select
        level_no,
        metric as latency_metric,
        case
            when metric <> 'interactivity' then statistic else
                case statistic
                    when 'p75' then 'p25'
                    when 'p90' then 'p10'
                    when 'p95' then 'p5'
                    when 'p99' then 'p1'
                    else statistic
                end
        end as statistic,
        value as latency,
        case when metric = 'interactivity' then -value else value end as cost,
    from staging.latency_statistics
    where
        metric in ('ttft', 'tpot', 'e2e', 'interactivity')
        and value is not null
        and not (metric = 'interactivity' and statistic = 'p99_9')
),

throughputs as (
    select
        level_no,
        unnest(['request_rps', 'output_tps', 'total_tps']) as throughput_metric,
        unnest([request_rps_per_gpu, output_tps_per_gpu, total_tps_per_gpu]) as throughput,
    from points
),

candidates as (
    select
        points.*,
        latencies.latency_metric,
        latencies.statistic,
        latencies.latency,
        latencies.cost,
        throughputs.throughput_metric,
        throughputs.throughput,
        { 'throughput': throughputs.throughput, 'id': points.operating_point_id } as rival,
    from points
    inner join latencies using (level_no)
    inner join throughputs using (level_no)
    where throughputs.throughput is not null
),

rivals as (
    select
        *,
        max(rival) over (
            partition by night, model, workload, latency_metric, statistic, throughput_metric
            order by cost
            range between unbounded preceding and current row
        ) as no_slower,
        max(rival) over (
            partition by night, model, workload, latency_metric, statistic, throughput_metric
            order by cost
            range between unbounded preceding and current row
            exclude group
        ) as faster,
    from candidates
),

final as (
    select
        *,
        case
            when no_slower.throughput > throughput then no_slower.id
            when faster.throughput >= throughput then faster.id
        end as dominated_by,
    from rivals
)

select
    operating_point_id,
    latency_metric,
    statistic,
    throughput_metric,
    night,
    run_date,
    model,
    workload,
    endpoint,
    run_id,
    engine,
    precision,
    accelerator,
    quality_score,
    quality_source,
    memory_gib_per_gpu,
    metric_version,
    latency,
    throughput as throughput_per_gpu,
    dominated_by is null as is_on_frontier,
    dominated_by,
from final
