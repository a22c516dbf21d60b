-- Older nights of a section, newest first: what was chosen for each SLO and the least that 1M tokens cost on it.
-- $1 endpoint, $2 workload, $3 the night of the section, $4 how many nights
with older as (
    select distinct night
    from curated.runs
    where endpoint = $1 and workload = $2 and night < $3
    order by night desc
    limit $4
),

costs as (
    select
        slo,
        night,
        -- the least of two currencies means nothing
        case when count(distinct currency) = 1 then min(usd_per_mtok) end as usd_per_mtok,
        any_value(currency) as currency,
    from curated.cost_per_million_tokens
    where endpoint = $1 and workload = $2 and cost_basis = 'capacity' and price_kind <> 'api'
    group by slo, night
)

select
    older.night,
    best.slo,
    coalesce(best.status, 'nothing measured') as status,
    best.concurrency,
    best.request_rate,
    best.request_rps_per_gpu,
    costs.usd_per_mtok,
    costs.currency,
from older
left join curated.best_operating_points as best
    on best.endpoint = $1 and best.workload = $2 and older.night = best.night
left join costs on older.night = costs.night and best.slo = costs.slo
order by older.night desc, best.slo asc
