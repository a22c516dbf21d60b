-- staging.sized_offers: each offer's fleet at the measured rate and at both ends of its interval.
-- grain: fleet_id, price_plan, rate_name
-- columns: of staging.offers, and rate_name (rate, rate_lo, rate_hi); rate and good_rate, requests/s of one instance;
--   instances_for_peak (n0), instances_with_headroom (n1), spares_kept and instances, of which an end of the interval
--   knows the last alone; units, what is paid for; gpus_paid (G of the ledger); mean_served_rps, the mean rate or, of a
--   demand trace, the time-mean of min(rate, capacity); mean_served_by_instances_rps, the same by the instances alone,
--   not by the empty places of their servers.
--   Where a plan prices another size of server, the instances are housed in that one. A provisioned unit serves the
--   tokens a second that it promises, so that it does not depend on the measured rate; an API has no units.
with offers as (
    select * from staging.offers
),

rates as (
    select
        * exclude (
            rps_per_instance, rps_per_instance_lo, rps_per_instance_hi, instances, instances_lo, instances_hi, servers
        ),
        unnest(['rate', 'rate_lo', 'rate_hi']) as rate_name,
        unnest([rps_per_instance, case when rps_per_instance_lo > 0 then rps_per_instance_lo end, rps_per_instance_hi])
            as measured_rate,
        unnest([instances, instances_hi, instances_lo]) as measured_instances,
        rps_per_instance as point_rate,
    from offers
),

placed as (
    select
        *,
        case unit
            when 'unit' then tokens_per_s / nullif(input_tokens_mean + output_tokens_mean, 0) else measured_rate
        end as rate,
        good_rps_per_instance / nullif(point_rate, 0) as good_share,
    from rates
),

housed as (
    select
        placed.*,
        placed.rate * placed.good_share as good_rate,
        fleet.instances,
        fleet.servers,
    from placed
    cross join lateral (
        from size_fleet(
            case placed.unit when 'unit' then placed.peak_rps else placed.measured_instances end,
            case placed.unit when 'unit' then placed.rate else 1 end,
            case placed.unit when 'unit' then 1 else placed.gpus_per_instance end,
            case placed.unit when 'unit' then 1 else placed.gpus_per_server end,
            headroom := case placed.unit when 'unit' then placed.headroom else 0 end,
            spares := case placed.unit when 'unit' then placed.demanded_spares else 0 end
        )
    ) as fleet
),

counted as (
    select
        * exclude (instances_for_peak, instances_with_headroom, spares, servers),
        case unit
            when 'unit' then try_cast(ceil(round(peak_rps / nullif(rate, 0), 9)) as bigint) else instances_for_peak
        end as instances_for_peak,
        case unit when 'unit' then instances - demanded_spares else instances_with_headroom end
            as instances_with_headroom,
        case unit when 'unit' then demanded_spares else spares end as spares_kept,
        case unit when 'server' then servers when 'request' then null else instances end as units,
        case unit
            when 'server' then servers * gpus_per_server
            when 'instance' then instances * gpus_per_instance
            when 'unit' then instances
        end as gpus_paid,
        case unit when 'unit' then 1 else gpus_per_instance end as gpus_of_instance,
        units * rate * instances_per_unit * uptime as capacity_rps,
        instances * rate * uptime as instances_rps,
    from housed
),

traced as (
    select
        counted.fleet_id,
        counted.price_plan,
        counted.rate_name,
        -- least(x, null) is x: an unknown capacity must not serve everything
        case
            when bool_and(counted.unit = 'request') then sum(rates.share * rates.rps * counted.growth_factor)
            when bool_and(counted.capacity_rps is not null)
                then sum(rates.share * least(rates.rps * counted.growth_factor, counted.capacity_rps))
        end as capacity_served_rps,
        case
            when bool_and(counted.instances_rps is not null)
                then sum(rates.share * least(rates.rps * counted.growth_factor, counted.instances_rps))
        end as instances_served_rps,
    from counted
    inner join raw.demand_rates as rates using (catalog_hash, demand)
    group by counted.fleet_id, counted.price_plan, counted.rate_name
)

select
    counted.*,
    case counted.mean_source when 'trace' then traced.capacity_served_rps else counted.mean_rps end as mean_served_rps,
    case counted.mean_source when 'trace' then traced.instances_served_rps else counted.mean_rps end
        as mean_served_by_instances_rps,
from counted
left join traced using (fleet_id, price_plan, rate_name)
