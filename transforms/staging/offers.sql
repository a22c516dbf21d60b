-- staging.offers: which price plans could pay for a fleet, and what one unit of each costs a year (docs/economics.md,
-- Which plans apply).
-- grain: fleet_id, price_plan
-- columns: of server_counts, of the operating point and of the plan in force on run_date, taken from the night's own
--   catalog snapshot (staging.hardware_plans): the plans that the demand names, else those that fit the hardware. A
--   pool (prefill, decode) cannot be bought by the token. gpus_per_server is that of the plan's server; price_out has
--   reasoning tokens at their own price in it; request_usd, the API's bill for one served request: billed tokens of
--   failed ones ride on those served.
with demands as (
    select
        catalog_hash,
        demand,
        price_plans,
        spares as demanded_spares,
    from raw.demands
),

fleets as (
    select
        fleets.*,
        demands.price_plans,
        demands.demanded_spares,
        points.request_rps,
        points.input_tokens_mean,
        points.cached_input_tokens_mean,
        points.output_tokens_mean,
        points.reasoning_tokens_mean,
        attainment.good_rps / nullif(points.instances_measured, 0) as good_rps_per_instance,
        shares.judged_requests,
        shares.failed_requests,
        shares.failed_input_tokens,
        shares.failed_cached_input_tokens,
        shares.failed_output_tokens,
        shares.failed_reasoning_tokens,
    from curated.server_counts as fleets
    inner join demands using (catalog_hash, demand)
    left join curated.operating_points as points using (operating_point_id)
    left join curated.slo_attainment as attainment using (operating_point_id, slo)
    left join curated.time_shares as shares using (operating_point_id, slo)
),

applicable as (
    select
        fleets.* exclude (gpus_per_server, power_kw),
        plans.* exclude (
            catalog_hash, run_date, model, accelerator, gpus_per_instance, gpus_per_server, priced_gpus_per_server,
            price_out
        ),
        plans.priced_gpus_per_server as gpus_per_server,
        plans.price_out as price_plain_out,
        case
            when plans.price_reasoning is null then plans.price_out
            else
                (
                    (fleets.output_tokens_mean - fleets.reasoning_tokens_mean) * plans.price_out
                    + fleets.reasoning_tokens_mean * plans.price_reasoning
                ) / nullif(fleets.output_tokens_mean, 0)
        end as price_out,
    from fleets
    inner join staging.hardware_plans as plans
        on
            fleets.catalog_hash = plans.catalog_hash
            and fleets.run_date = plans.run_date
            and fleets.model is not distinct from plans.model
            and fleets.accelerator is not distinct from plans.accelerator
            and fleets.gpus_per_instance = plans.gpus_per_instance
            and fleets.gpus_per_server = plans.gpus_per_server
    where
        (fleets.role = 'aggregated' or plans.unit in ('server', 'instance'))
        and case
            when len(fleets.price_plans) > 0 then list_contains(fleets.price_plans, plans.price_plan) else plans.fits
        end
),

billed as (
    select
        *,
        case
            when unit = 'request'
                then token_bill(
                    input_tokens_mean, output_tokens_mean, price_in, price_plain_out,
                    cached_tokens := cached_input_tokens_mean, reasoning_tokens := reasoning_tokens_mean,
                    price_cached := price_cached, price_reasoning := price_reasoning
                )
        end as answered_usd,
        case
            when unit = 'request'
                then token_bill(
                    failed_input_tokens, failed_output_tokens, price_in, price_plain_out,
                    cached_tokens := failed_cached_input_tokens, reasoning_tokens := failed_reasoning_tokens,
                    price_cached := price_cached, price_reasoning := price_reasoning
                )
        end as failed_bill,
    from applicable
)

select
    * exclude (
        judged_requests, failed_requests, failed_input_tokens, failed_cached_input_tokens, failed_output_tokens,
        failed_reasoning_tokens, answered_usd, failed_bill
    ),
    -- nothing billed needs no count of those that it rides on, which a summary may not have
    case failed_bill when 0 then 0 else failed_bill / nullif(judged_requests - failed_requests, 0) end as failed_usd,
    answered_usd + failed_usd as request_usd,
from billed
