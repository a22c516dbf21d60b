-- staging.mix_loads: what the whole of a class would take of an offer.
-- grain: mix_id, workload, endpoint, price_plan
-- columns: load: instances, with fractions, that the class keeps busy at peak with headroom; null for an API.
--   class_year_usd: an API's bill for the class at the mean rate, answered requests only; null for hardware, and where
--   token counts are unknown, which leaves that route out.
with rates as (
    select * from staging.mix_rates
    where rps_per_instance is not null
),

offers as (
    select * from staging.mix_offers
),

billed as (
    select
        rates.mix_id,
        rates.workload,
        rates.endpoint,
        offers.price_plan,
        offers.unit,
        rates.class_share,
        rates.rps_per_instance,
        -- a price of its own for cached or reasoning tokens needs their count, no other price does
        (
            case
                when offers.price_cached is null then rates.input_tokens_mean * offers.price_in
                else
                    (rates.input_tokens_mean - rates.cached_input_tokens_mean) * offers.price_in
                    + rates.cached_input_tokens_mean * offers.price_cached
            end
            + case
                when offers.price_reasoning is null then rates.output_tokens_mean * offers.price_out
                else
                    (rates.output_tokens_mean - rates.reasoning_tokens_mean) * offers.price_out
                    + rates.reasoning_tokens_mean * offers.price_reasoning
            end
        ) / 1e6 as request_usd,
    from rates
    inner join offers using (mix_id, endpoint)
)

select
    billed.mix_id,
    billed.workload,
    billed.endpoint,
    billed.price_plan,
    case
        when billed.unit <> 'request'
            then demands.peak_rps * (1 + demands.headroom) * billed.class_share / billed.rps_per_instance
    end as load,
    case when billed.unit = 'request' then billed.request_usd end as request_usd,
    case when billed.unit = 'request' then billed.request_usd * billed.class_share * demands.mean_rps * 31536000 end
        as class_year_usd,
from billed
inner join staging.mix_demands as demands using (mix_id)
