-- curated.break_even: from which use on one price plan is cheaper than another (docs/economics.md, Break-even).
-- grain: fleet_id, price_plan, other_plan
-- columns: comments in schemas/columns.py. Own against rent by the server or GPU: the macro break_even, a rented server
--   of another size counted by its GPUs. Own and rent against an API: the fleet stays as the peak sizes it, and grows
--   with the rate where that is above the peak, unit by unit; so units is the least number whose break-even rate needs
--   no more of them. A rate above what any fleet of that kind can serve is never reached. Two currencies have none.
-- assertions (break_even.test.sql): a crossing has its figures, and at it both sides cost the same
with offers as (
    select
        *,
        usd_per_hour / case rent_unit when 'server' then gpus_per_server when 'gpu' then 1 end as usd_per_gpu_hour,
    from staging.sized_offers
    where rate_name = 'rate'
),

pairs as (
    select
        offers.*,
        others.price_plan as other_plan,
        others.kind as other_kind,
        others.valid_from as other_valid_from,
        others.usd_per_gpu_hour * offers.gpus_per_server as other_usd_per_server_hour,
        others.request_usd as other_request_usd,
        offers.currency <> others.currency as is_mixed,
    from offers
    inner join offers as others using (fleet_id)
    where
        (offers.kind = 'own' and others.unit in ('server', 'instance') and others.kind = 'rent')
        or (offers.kind in ('own', 'rent') and others.kind = 'api')
),

against_rent as (
    select
        pairs.*,
        crossing.hours_per_year as hours,
        crossing.utilisation as use_share,
        pairs.units as units_needed,
        hours * 3600 * pairs.units * pairs.rate * pairs.instances_per_unit as requests_per_year,
    from pairs
    cross join lateral (from break_even(pairs.server_year_usd, pairs.other_usd_per_server_hour)) as crossing
    where pairs.other_kind = 'rent'
),

-- requests a second at which one unit costs as much as the API, and what the unit serves
against_api as (
    select
        *,
        unit_year_usd / nullif(other_request_usd, 0) / 31536000 as rps_per_unit,
        rate * instances_per_unit * uptime as capacity_per_unit,
        -- from here on the spares weigh too little to matter, if a fleet of any size ever gets there
        case
            when rps_per_unit < capacity_per_unit / (1 + headroom)
                then
                    least(
                        ceil(
                            (2 + spares_kept) / instances_per_unit
                            / (1 - rps_per_unit * (1 + headroom) / (rate * instances_per_unit))
                        ) + 1,
                        100000
                    )
            else 0
        end as units_tried,
    from pairs
    where other_kind = 'api'
),

steps as (
    select
        *,
        -- a unit more at a time, until the fleet for that rate is no larger than the one that is paid for
        case
            when rps_per_unit > capacity_per_unit or units = 0 then null
            when units * rps_per_unit <= peak_rps then units
            else
                list_filter(
                    range(units, cast(units + units_tried as bigint) + 1),
                    lambda n: ceil(
                        round(
                            (ceil(round(n * rps_per_unit * (1 + headroom) / rate, 9)) + spares_kept)
                            / instances_per_unit, 9
                        )
                    ) <= n
                )[1]
        end as units_needed,
    from against_api
),

crossed as (
    select
        *,
        case when use_share is null then 'unknown' when use_share <= 1 then 'crosses' else 'never' end as verdict,
    from against_rent
    union all by name
    select
        steps.* exclude (rps_per_unit, capacity_per_unit, units_tried),
        rps_per_unit / capacity_per_unit as use_share,
        units_needed * rps_per_unit * 31536000 as requests_per_year,
        case
            when rps_per_unit is null or capacity_per_unit is null or units = 0 then 'unknown'
            when units_needed is null then 'never'
            else 'crosses'
        end as verdict,
    from steps
),

judged as (
    select
        * exclude (verdict),
        case when is_mixed then 'currency_mix' else verdict end as verdict,
    from crossed
)

select
    fleet_id,
    price_plan,
    other_plan,
    other_kind,
    verdict,
    case when not is_mixed then hours end as hours_per_year,
    case when not is_mixed then use_share end as utilisation,
    case when verdict = 'crosses' then requests_per_year end as requests_per_year,
    case when verdict = 'crosses' then requests_per_year / 31536000 end as rps,
    case when verdict = 'crosses' then requests_per_year / 12 * (input_tokens_mean + output_tokens_mean) end
        as tokens_per_month,
    case when verdict = 'crosses' then cast(units_needed as bigint) end as units,
    case when verdict = 'crosses' then units_needed * unit_year_usd end as fleet_year_usd,
    other_request_usd as other_usd_per_request,
    other_valid_from,
    demand,
    endpoint,
    workload,
    slo,
    night,
    run_date,
    run_id,
    operating_point_id,
    metric_version,
    kind as price_kind,
    valid_from as price_valid_from,
    currency,
from judged
