-- staging.route_prices: what a request would cost on each endpoint's best valid point, whether it meets the SLO or not.
-- grain: fleet_id, price_plan
-- columns: route_point_id, the chosen point, or where none meets the SLO the one that misses by least; attainment
--   there; route_usd, on full servers; precision, quality_score and plan terms to compare by; plans, all of the fleet.
-- Fleets of a role, and those without a valid point, are left out.
-- assertions (route_prices.test.sql): a chosen point costs what curated.cost_per_million_tokens says
with offers as (
    select * from staging.offers
    where role = 'aggregated' and status in ('chosen', 'infeasible')
),

placed as (
    select
        offers.*,
        coalesce(best.operating_point_id, best.nearest_operating_point_id) as route_point_id,
    from offers
    inner join curated.best_operating_points as best using (endpoint, workload, slo, night)
)

select
    placed.fleet_id,
    placed.price_plan,
    placed.demand,
    placed.endpoint,
    placed.night,
    placed.status,
    placed.model,
    points.precision,
    points.quality_score,
    placed.kind as price_kind,
    placed.rent_unit,
    placed.pricing_category,
    placed.currency,
    placed.route_point_id,
    attainment.attainment,
    case placed.unit
        when 'request'
            then
                case placed.status
                    when 'chosen' then placed.request_usd
                    else
                        token_bill(
                            points.input_tokens_mean, points.output_tokens_mean, placed.price_in,
                            placed.price_plain_out,
                            cached_tokens := points.cached_input_tokens_mean, price_cached := placed.price_cached,
                            reasoning_tokens := points.reasoning_tokens_mean, price_reasoning := placed.price_reasoning
                        )
                end
        when 'unit'
            then
                placed.unit_year_usd * (points.input_tokens_mean + points.output_tokens_mean)
                / nullif(placed.tokens_per_s * placed.uptime * 31536000, 0)
        else
            placed.unit_year_usd * points.instances_measured
            / nullif(points.request_rps * placed.instances_per_unit * placed.uptime * 31536000, 0)
    end as route_usd,
    list(placed.price_plan) over (partition by placed.fleet_id) as plans,
from placed
inner join curated.operating_points as points on placed.route_point_id = points.operating_point_id
inner join curated.slo_attainment as attainment
    on placed.route_point_id = attainment.operating_point_id and placed.slo = attainment.slo
