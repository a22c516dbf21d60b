-- assert: a percentile is never below the one before it, and failures never make latency better
with ordered as (
    select
        level_no,
        metric,
        statistic,
        value,
        adjusted_value,
        lag(value) over (partition by level_no, metric order by statistic) as value_before,
    from staging.latency_statistics
    where statistic <> 'mean' and metric <> 'interactivity'
)

select *,
from ordered
where value < value_before * (1 - 1e-12) or adjusted_value < value * (1 - 1e-12);
