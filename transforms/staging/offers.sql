-- staging.offers: which price plans could pay for a fleet, and what one unit of each costs a year (docs/economics.md,
-- Which plans apply).
-- grain: fleet_id, price_plan
-- columns: of server_counts, of the operating point and of the plan in force on run_date, taken from the night's own
--   catalog snapshot: the plans that the demand names; else those for the endpoint's model, for its accelerator or any
--   GPU, whose server has the endpoint's number of GPUs. A pool (prefill, decode) cannot be bought by the token.
--   unit, what is paid for: server, instance (rent by the GPU: nothing is stranded), unit (provisioned) or request
--   (API); unit_year_usd, null for an API; instances_per_unit; price_out, reasoning tokens at their own price included;
--   request_usd, the API's bill for one served request: billed tokens of failed ones ride on those served.
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
        fleets.* exclude (accelerator, gpus_per_server, power_kw),
        plans.* exclude (catalog_hash, accelerator, gpus_per_server, models, price_out),
        coalesce(plans.gpus_per_server, fleets.gpus_per_server) as gpus_per_server,
        plans.price_out as price_plain_out,
        case
            when plans.kind = 'api' then 'request'
            when plans.rent_unit = 'gpu' then 'instance'
            when plans.rent_unit = 'provisioned' then 'unit'
            else 'server'
        end as unit,
    from fleets
    inner join raw.price_plans as plans
        on
            fleets.catalog_hash = plans.catalog_hash
            and fleets.run_date >= plans.valid_from
            and (plans.valid_to is null or fleets.run_date <= plans.valid_to)
    where
        (fleets.role = 'aggregated' or unit in ('server', 'instance'))
        and case
            when len(fleets.price_plans) > 0 then list_contains(fleets.price_plans, plans.price_plan)
            else
                (coalesce(len(plans.models), 0) = 0 or list_contains(plans.models, fleets.model))
                and (
                    unit in ('request', 'unit')
                    or (
                        (
                            plans.accelerator = fleets.accelerator
                            or (plans.accelerator is null and fleets.accelerator is distinct from 'cpu')
                        )
                        and (plans.gpus_per_server is null or plans.gpus_per_server = fleets.gpus_per_server)
                    )
                )
        end
),

priced as (
    select
        *,
        -- an own plan's extras that it does not state are not part of it; a power without its price is unknown
        case
            when kind = 'own'
                then
                    own_server_year(
                        server_price, depreciation_years, hosting_year, software_year,
                        licence_basis := coalesce(licence_basis, 'per_server'),
                        gpus_per_server := gpus_per_server,
                        power_kw := case when power_kw is null and usd_per_kwh is null then 0 else power_kw end,
                        pue := coalesce(pue, 1),
                        usd_per_kwh := case when power_kw is null and usd_per_kwh is null then 0 else usd_per_kwh end,
                        staff_year := coalesce(staff_year, 0),
                        other_year := coalesce(other_year, 0),
                        salvage := coalesce(salvage, 0)
                    )
            when rent_unit = 'server' then usd_per_hour * 8760
        end as server_year_usd,
        case unit
            when 'server' then server_year_usd
            when 'instance' then gpus_per_instance * usd_per_hour * 8760
            when 'unit' then usd_per_hour * 8760
        end as unit_year_usd,
        case
            when unit in ('instance', 'unit') then 1
            when unit = 'server' and gpus_per_instance <= gpus_per_server
                then gpus_per_server // nullif(gpus_per_instance, 0)
            when unit = 'server' then 1 / ceil(gpus_per_instance / nullif(gpus_per_server, 0))
        end as instances_per_unit,
        case
            when price_reasoning is null then price_plain_out
            else
                (
                    (output_tokens_mean - reasoning_tokens_mean) * price_plain_out
                    + reasoning_tokens_mean * price_reasoning
                ) / nullif(output_tokens_mean, 0)
        end as price_out,
    from applicable
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
                ) / nullif(judged_requests - failed_requests, 0)
        end as failed_usd,
    from priced
)

select
    * exclude (
        judged_requests, failed_requests, failed_input_tokens, failed_cached_input_tokens, failed_output_tokens,
        failed_reasoning_tokens, answered_usd
    ),
    answered_usd + failed_usd as request_usd,
from billed
