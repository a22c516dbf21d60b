-- staging.summary_worst: whether the worst completed request of an imported summary is within every bound of an SLO.
-- grain: level_no, slo_no
-- columns: is_within, null where the tool does not give the largest value of a bounded metric. Chosen levels only.
--   Of interactivity the worst is the largest TPOT.
with chosen as (
    select * from staging.chosen_levels
    where is_summary
),

told as (
    unpivot (
        select
            level_no,
            columns('_max_ms$'),
        from staging.summaries
        semi join chosen using (level_no)
    )
    on columns('_ms$')
    into name figure value worst_ms
),

bounds as (
    select
        chosen.level_no,
        chosen.slo_no,
        bounds.metric,
        bounds.limit_value,
        case bounds.metric when 'interactivity' then 'tpot' else bounds.metric end as bounded_metric,
    from chosen
    inner join staging.slo_limits as limits using (slo_no)
    inner join staging.role_bounds as bounds
        on
            limits.catalog_hash = bounds.catalog_hash
            and limits.slo = bounds.slo
            and limits.role = bounds.role
)

select
    bounds.level_no,
    bounds.slo_no,
    bool_and(
        coalesce(
            case bounds.metric
                when 'interactivity' then 1000 >= bounds.limit_value * told.worst_ms
                else told.worst_ms <= bounds.limit_value
            end,
            false
        )
    ) as is_within,
from bounds
left join told
    on bounds.level_no = told.level_no and told.figure = concat(bounds.bounded_metric, '_max_ms')
group by bounds.level_no, bounds.slo_no
