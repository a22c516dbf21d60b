-- curated.savings: what could make a request cheaper, from measured points alone (docs/economics.md, Savings).
-- grain: fleet_id, price_plan, lever, alternative
-- columns: comments in schemas/columns.py. Every server full (cost basis capacity); a year at the rate that the demand
--   is served at. Below 0: it would cost more. Levers are not to be added up: each is held against today alone.
--   prompt_cache: all requests as those of the most cached band with enough requests; none where nothing is cached.
--   output_budget: answers cut at a measured length (p50, p75, p90, p95) where some are longer: on hardware the share
--   of the time after the first token that the tokens above it take; bought tokens by their price.
--   precision: the same model at another precision, where it is cheaper and meets the SLO: the cheapest of each.
--   routing: the requests that a cheaper endpoint handles within the SLO (its attainment at its best valid point) go
--   there, the rest stays: the cheapest endpoints.
--   Another endpoint is priced by the same plan, or, where that is not for it, by its cheapest of the same terms.
-- assertions (savings.test.sql): shares are shares; another endpoint is cheaper
with served as (
    select
        fleet_id,
        price_plan,
        served_rps,
    from curated.cost_per_million_tokens
    where cost_basis = 'demand' and allocation_method = 'price_ratio'
),

today as (
    select
        usd.*,
        usd.usd_per_request_capacity as now_usd,
        served.served_rps,
        offers.unit,
        offers.price_out,
        offers.rent_unit,
        offers.pricing_category,
    from curated.usd_per_request as usd
    inner join staging.offers as offers using (fleet_id, price_plan)
    left join served using (fleet_id, price_plan)
    where usd.status = 'chosen'
),

cached as (
    select
        fleet_id,
        price_plan,
        'prompt_cache' as lever,
        cached_band as alternative,
        1 - requests / sum(requests) over (partition by fleet_id, price_plan) as share_of_traffic,
        usd_per_request as then_usd,
        is_most_cached and cached_band <> 'none' as is_measured,
    from curated.cost_by_cached_share
),

capped as (
    select
        today.fleet_id,
        today.price_plan,
        'output_budget' as lever,
        concat('at most ', budgets.budget_tokens, ' tokens (', budgets.statistic, ')') as alternative,
        budgets.share_above as share_of_traffic,
        case today.unit
            when 'request' then today.now_usd - budgets.tokens_above_mean * today.price_out / 1e6
            when 'unit'
                then
                    today.now_usd
                    * (1 - budgets.tokens_above_mean / nullif(today.input_tokens_mean + today.output_tokens_mean, 0))
            else
                today.now_usd
                * (1 - shares.output_share * budgets.tokens_above_mean / nullif(budgets.output_tokens_mean, 0))
        end as then_usd,
    from today
    inner join staging.output_budgets as budgets using (operating_point_id, slo)
    inner join curated.time_shares as shares using (operating_point_id, slo)
    where budgets.share_above > 0
),

-- the cheapest few of a demand and night under each plan: what is compared grows with the fleets, not with their square
candidates as (
    select
        *,
        'routing' as lever,
        null as model_asked,
    from staging.route_prices
    where route_usd is not null and attainment > 0
    qualify row_number() over (partition by demand, night, price_plan, currency order by route_usd, fleet_id) <= 5
    union all
    select
        *,
        'precision' as lever,
        model as model_asked,
    from staging.route_prices
    where route_usd is not null and status = 'chosen' and precision is not null
    qualify row_number() over (
        partition by demand, night, price_plan, currency, model, precision order by route_usd, fleet_id
    ) = 1
),

asked as (
    select
        today.*,
        lever,
        case lever when 'precision' then today.model end as model_asked,
    from today
    cross join (select unnest(['routing', 'precision']) as lever,) as kinds
),

elsewhere as (
    select
        asked.fleet_id,
        asked.price_plan,
        asked.lever,
        others.endpoint as alternative,
        case asked.lever when 'precision' then 1 else others.attainment end as share_of_traffic,
        case asked.lever
            when 'precision' then others.route_usd
            else others.attainment * others.route_usd + (1 - others.attainment) * asked.now_usd
        end as then_usd,
        others.endpoint as other_endpoint,
        others.price_plan as other_price_plan,
        others.route_point_id as other_operating_point_id,
        others.precision as other_precision,
        others.quality_score as other_quality_score,
    from asked
    inner join candidates as others
        on
            asked.lever = others.lever
            and asked.model_asked is not distinct from others.model_asked
            and asked.demand = others.demand
            and asked.night = others.night
            and asked.currency = others.currency
            and asked.price_kind = others.price_kind
            and asked.endpoint <> others.endpoint
            and asked.now_usd > others.route_usd
    where
        (asked.lever = 'routing' or asked.precision <> others.precision)
        and (
            asked.price_plan = others.price_plan
            or (
                not list_contains(others.plans, asked.price_plan)
                and asked.rent_unit is not distinct from others.rent_unit
                and asked.pricing_category is not distinct from others.pricing_category
            )
        )
    qualify row_number() over (
        partition by asked.fleet_id, asked.price_plan, asked.lever, others.endpoint
        order by others.route_usd, others.price_plan
    ) = 1
),

levers as (
    select * exclude (is_measured) from cached
    where is_measured
    union all by name
    select * from capped
    union all by name
    select * from elsewhere
)

select
    today.fleet_id,
    today.price_plan,
    levers.lever,
    levers.alternative,
    levers.share_of_traffic,
    today.now_usd as usd_per_request_now,
    levers.then_usd as usd_per_request_then,
    1 - levers.then_usd / nullif(today.now_usd, 0) as saving_share,
    today.served_rps,
    (today.now_usd - levers.then_usd) * today.served_rps * 31536000 as saving_year_usd,
    today.precision,
    today.quality_score,
    levers.other_endpoint,
    levers.other_price_plan,
    levers.other_operating_point_id,
    levers.other_precision,
    levers.other_quality_score,
    today.demand,
    today.endpoint,
    today.workload,
    today.slo,
    today.night,
    today.run_date,
    today.run_id,
    today.operating_point_id,
    today.metric_version,
    today.price_kind,
    today.price_valid_from,
    today.currency,
from levers
inner join today using (fleet_id, price_plan)
