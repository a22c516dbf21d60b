-- curated.cost_per_million_tokens: what a fleet's tokens cost (docs/economics.md, Own, rent, or buy tokens).
-- grain: fleet_id, price_plan, cost_basis, allocation_method
-- columns: comments in schemas/columns.py. Offers and their fleets: staging.offers, staging.sized_offers. Prices per
--   request and token on three bases are the macro price_fleet; an API is a server that serves one request a second
--   and costs their bill. Input and output are split by price_ratio (the macro), by processor_sharing (the measured
--   time of curated.time_shares; fresh and cached input in the ratio of their prices), and for pools of a
--   disaggregated fleet by separate_phases: a prefill pool is all input, a decode pool all output.
--   Intervals size the fleet anew at both ends of the rate; null where there is none. Unknown stays null.
-- assertions (cost_per_million_tokens.test.sql): input, cached and output prices add up to the price of a request;
--   an interval holds its price; each fleet and plan has its three bases
with offers as (
    select
        *,
        unit = 'request' as is_api,
        case when is_api then 1 else units end as paid_units,
        case when is_api then request_usd * 31536000 else unit_year_usd end as paid_unit_usd,
        case when is_api then 1 else rate * instances_per_unit end as unit_rps,
        case when is_api then good_share else good_rate * instances_per_unit end as unit_good_rps,
        case when not is_api then mean_served_rps when mean_served_rps is not null then 1 end as mean_of_units,
        case when is_api then 1 else uptime end as uptime_of_units,
        -- an API's figures are those of one request a second: so many times as much at the mean rate
        case when is_api then mean_served_rps else 1 end as times,
    from staging.sized_offers
),

priced as (
    select
        offers.fleet_id,
        offers.price_plan,
        offers.rate_name,
        price.cost_basis,
        price.served_rps * offers.times as served_rps,
        price.fleet_year * offers.times as fleet_year,
        price.* exclude (cost_basis, served_rps, fleet_year),
    from offers
    cross join lateral (
        from price_fleet(
            offers.paid_units, offers.paid_unit_usd, offers.unit_rps,
            offers.input_tokens_mean, offers.output_tokens_mean,
            cached_tokens := offers.cached_input_tokens_mean,
            uptime := offers.uptime_of_units,
            good_rps_per_server := offers.unit_good_rps,
            mean_rps := offers.mean_of_units,
            price_in := offers.price_in,
            price_cached := offers.price_cached,
            price_out := offers.price_out
        )
    ) as price
),

with_interval as (
    select
        offers.* exclude (price_in, price_out),
        price.*,
        -- in tokens that cost as much as fresh ones: cached tokens in the ratio of their price
        case
            when offers.price_cached is null then offers.input_tokens_mean
            else
                offers.input_tokens_mean
                + (offers.price_cached / nullif(offers.price_in, 0) - 1) * offers.cached_input_tokens_mean
        end as input_tokens_weighed,
        coalesce(offers.price_cached / nullif(offers.price_in, 0), 1) as cached_weight,
        at_hi.usd_per_1k_prompts as usd_per_1k_prompts_lo,
        at_lo.usd_per_1k_prompts as usd_per_1k_prompts_hi,
        at_hi.usd_per_request as usd_per_request_lo,
        at_lo.usd_per_request as usd_per_request_hi,
        at_hi.usd_per_mtok as usd_per_mtok_lo,
        at_lo.usd_per_mtok as usd_per_mtok_hi,
    from offers
    inner join priced as price using (fleet_id, price_plan, rate_name)
    inner join priced as at_lo
        on
            price.fleet_id = at_lo.fleet_id
            and price.price_plan = at_lo.price_plan
            and price.cost_basis = at_lo.cost_basis
            and at_lo.rate_name = 'rate_lo'
    inner join priced as at_hi
        on
            price.fleet_id = at_hi.fleet_id
            and price.price_plan = at_hi.price_plan
            and price.cost_basis = at_hi.cost_basis
            and at_hi.rate_name = 'rate_hi'
    where offers.rate_name = 'rate'
),

methods as (
    select
        with_interval.*,
        shares.input_share,
        shares.output_share,
        with_interval.role = 'aggregated' as is_whole,
        unnest(
            case
                when with_interval.role <> 'aggregated' then ['separate_phases']
                when with_interval.is_api then ['price_ratio']
                else ['price_ratio', 'processor_sharing']
            end
        ) as allocation_method,
    from with_interval
    left join curated.time_shares as shares using (operating_point_id, slo)
),

split as (
    select
        *,
        case allocation_method
            when 'price_ratio' then usd_per_mtok_input
            when 'processor_sharing' then input_share * usd_per_1k_prompts * 1000 / nullif(input_tokens_weighed, 0)
            when 'separate_phases'
                then case role when 'prefill' then usd_per_1k_prompts * 1000 / nullif(input_tokens_mean, 0) end
        end as input_mtok,
        case allocation_method
            when 'price_ratio' then usd_per_mtok_cached_input
            when 'processor_sharing' then input_mtok * cached_weight
            when 'separate_phases' then input_mtok
        end as cached_mtok,
        case allocation_method
            when 'price_ratio' then usd_per_mtok_output
            when 'processor_sharing' then output_share * usd_per_1k_prompts * 1000 / nullif(output_tokens_mean, 0)
            when 'separate_phases'
                then case role when 'decode' then usd_per_1k_prompts * 1000 / nullif(output_tokens_mean, 0) end
        end as output_mtok,
    from methods
)

select
    concat_ws('/', endpoint, workload, slo, demand, price_plan, cost_basis, allocation_method) as series_id,
    fleet_id,
    price_plan,
    cost_basis,
    allocation_method,
    demand,
    endpoint,
    workload,
    slo,
    night,
    run_date,
    status,
    run_id,
    operating_point_id,
    metric_version,
    role,
    kind as price_kind,
    rent_unit,
    pricing_category,
    currency,
    valid_from as price_valid_from,
    valid_to as price_valid_to,
    source as price_source,
    unit as priced_unit,
    units as priced_units,
    unit_year_usd,
    server_year_usd,
    fleet_year as fleet_year_usd,
    served_rps,
    input_tokens_mean,
    cached_input_tokens_mean,
    output_tokens_mean,
    usd_per_1k_prompts,
    usd_per_1k_prompts_lo,
    usd_per_1k_prompts_hi,
    usd_per_request,
    usd_per_request_lo,
    usd_per_request_hi,
    case when is_whole then usd_per_mtok end as usd_per_mtok,
    case when is_whole then usd_per_mtok_lo end as usd_per_mtok_lo,
    case when is_whole then usd_per_mtok_hi end as usd_per_mtok_hi,
    input_mtok as usd_per_mtok_input,
    cached_mtok as usd_per_mtok_cached_input,
    output_mtok as usd_per_mtok_output,
from split
