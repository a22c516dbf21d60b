-- curated.mix_routes: which share of each class of a mix goes to which endpoint (docs/economics.md, A mix of
-- accelerators).
-- grain: mix_id, workload, endpoint, price_plan
-- columns: comments in schemas/columns.py. A plan has one currency, so that the routes of a mix's solutions stay apart.
-- assertions (mix_routes.test.sql): a route stands on a chosen point; the routes of a mix carry its whole peak
with listed as (
    select
        mix_id,
        currency,
        unnest(routes) as route,
    from staging.mix_solutions
),

routes as (
    select
        mix_id,
        currency,
        route.workload,
        route.endpoint,
        route.price_plan,
        route.share,
    from listed
)

select
    routes.mix_id,
    demands.demand,
    routes.workload,
    routes.endpoint,
    routes.price_plan,
    demands.slo,
    demands.night,
    demands.run_date,
    rates.run_id,
    rates.operating_point_id,
    demands.catalog_hash,
    demands.metric_version,
    routes.currency,
    offers.price_valid_from,
    rates.class_share,
    routes.share as share_of_class,
    routes.share * rates.class_share as share_of_requests,
    demands.peak_rps * rates.class_share * routes.share as peak_rps,
    demands.mean_rps * rates.class_share * routes.share as mean_rps,
    case when offers.unit <> 'request' then rates.rps_per_instance end as rps_per_instance,
    loads.load * routes.share as instances_busy,
    loads.request_usd as api_usd_per_request,
    loads.class_year_usd * routes.share as api_year_usd,
from routes
inner join staging.mix_demands as demands using (mix_id)
inner join staging.mix_rates as rates using (mix_id, workload, endpoint)
inner join staging.mix_offers as offers using (mix_id, endpoint, price_plan)
inner join staging.mix_loads as loads using (mix_id, workload, endpoint, price_plan)
