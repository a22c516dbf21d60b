-- Older nights, newest first: what was chosen for each SLO and the least that 1M tokens cost on it.
-- $1 how many nights of each endpoint x workload
with older as (
    select
        runs.endpoint,
        runs.workload,
        runs.night,
    from runs
    inner join shown using (endpoint, workload)
    where runs.night < shown.night
    group by runs.endpoint, runs.workload, runs.night
    qualify row_number() over (partition by runs.endpoint, runs.workload order by runs.night desc) <= $1
),

costs as (
    select
        endpoint,
        workload,
        slo,
        night,
        -- the least of two currencies means nothing
        case when count(distinct currency) = 1 then min(usd_per_mtok) end as usd_per_mtok,
        any_value(currency) as currency,
    from cost_per_million_tokens
    semi join older using (endpoint, workload, night)
    where cost_basis = 'capacity' and price_kind <> 'api'
    group by endpoint, workload, slo, night
)

select
    older.endpoint,
    older.workload,
    older.night,
    best.slo,
    coalesce(best.status, 'nothing measured') as status,
    best.concurrency,
    best.request_rate,
    best.request_rps_per_gpu,
    costs.usd_per_mtok,
    costs.currency,
from older
left join best_operating_points as best using (endpoint, workload, night)
left join costs
    on
        older.endpoint = costs.endpoint
        and older.workload = costs.workload
        and older.night = costs.night
        and best.slo = costs.slo
order by older.night desc, best.slo asc
