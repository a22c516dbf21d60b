-- Each demand's cheapest fleet on own or rented hardware, by a request at the mean rate, else on full servers; the
-- cheapest API beside it, and what the same series cost on its night before. One row a demand and currency.
with offers as (
    select
        requests.*,
        coalesce(requests.usd_per_request_demand, requests.usd_per_request_capacity) as usd_per_request,
        requests.price_kind = 'api' as is_api,
    from usd_per_request as requests
    semi join shown using (endpoint, workload, night)
    where requests.status = 'chosen'
),

placed as (
    select
        *,
        row_number() over (
            partition by demand, currency, is_api order by usd_per_request asc nulls last, endpoint asc, price_plan asc
        ) as place,
        count(*) over (partition by demand, currency, is_api) as rivals,
    from offers
),

costs as (
    select *
    from cost_per_million_tokens
    where cost_basis in ('capacity', 'demand') and allocation_method in ('price_ratio', 'separate_phases')
),

cheapest as (
    select
        placed.*,
        fleets.application,
        fleets.peak_rps,
        fleets.servers,
        fleets.gpus,
        fleets.utilisation,
        fleets.accelerator as fleet_accelerator,
        full_servers.usd_per_mtok,
        at_mean.usd_per_mtok as usd_per_mtok_at_mean,
        full_servers.series_id,
    from placed
    inner join server_counts as fleets using (fleet_id)
    left join costs as full_servers
        on
            placed.fleet_id = full_servers.fleet_id
            and placed.price_plan = full_servers.price_plan
            and full_servers.cost_basis = 'capacity'
    left join costs as at_mean
        on
            placed.fleet_id = at_mean.fleet_id
            and placed.price_plan = at_mean.price_plan
            and at_mean.cost_basis = 'demand'
    where placed.place = 1
),

earlier as (
    select
        cheapest.series_id,
        max(costs.night) as night,
        arg_max(costs.usd_per_mtok, costs.night) as usd_per_mtok,
    from cheapest
    inner join costs on cheapest.series_id = costs.series_id and cheapest.night > costs.night
    where costs.usd_per_mtok is not null
    group by cheapest.series_id
)

select
    own.demand,
    own.application,
    own.currency,
    own.endpoint,
    own.workload,
    own.slo,
    own.price_plan,
    own.price_kind,
    own.fleet_accelerator as accelerator,
    own.rivals,
    own.peak_rps,
    own.servers,
    own.gpus,
    own.utilisation,
    own.fleet_year_usd,
    own.usd_per_mtok,
    own.usd_per_mtok_at_mean,
    own.usd_per_request,
    api.price_plan as api_plan,
    api.usd_per_request as api_usd_per_request,
    earlier.night as before_night,
    own.usd_per_mtok / nullif(earlier.usd_per_mtok, 0) - 1 as change_share,
from cheapest as own
left join cheapest as api on own.demand = api.demand and own.currency = api.currency and api.is_api
left join earlier on own.series_id = earlier.series_id
where not own.is_api
order by own.demand, own.currency
