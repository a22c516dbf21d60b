-- staging.mix_loads: what the whole of a class would take of an offer.
-- grain: mix_id, workload, endpoint, price_plan
-- columns: load: instances, with fractions, that the class keeps busy at peak with headroom; null for an API.
--   request_usd, an API's bill for one served request (billed tokens of failed ones ride on those served, as in
--   staging.offers), and class_year_usd, for the class at the mean rate; null for hardware, and where token counts are
--   unknown, which leaves that route out.
with rates as (
    select * from staging.mix_rates
    where rps_per_instance is not null
),

offers as (
    select * from staging.mix_offers
),

demands as (
    select * from staging.mix_demands
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
        demands.peak_rps,
        demands.mean_rps,
        demands.headroom,
        case
            when offers.unit = 'request'
                then token_bill(
                    rates.input_tokens_mean, rates.output_tokens_mean, offers.price_in, offers.price_out,
                    cached_tokens := rates.cached_input_tokens_mean, reasoning_tokens := rates.reasoning_tokens_mean,
                    price_cached := offers.price_cached, price_reasoning := offers.price_reasoning
                )
        end as answered_usd,
        case
            when offers.unit = 'request'
                then token_bill(
                    shares.failed_input_tokens, shares.failed_output_tokens, offers.price_in, offers.price_out,
                    cached_tokens := shares.failed_cached_input_tokens,
                    reasoning_tokens := shares.failed_reasoning_tokens,
                    price_cached := offers.price_cached, price_reasoning := offers.price_reasoning
                )
        end as failed_bill,
        shares.judged_requests - shares.failed_requests as served_requests,
    from rates
    inner join offers using (mix_id, endpoint)
    inner join demands using (mix_id)
    left join curated.time_shares as shares
        on rates.operating_point_id = shares.operating_point_id and demands.slo = shares.slo
)

select
    mix_id,
    workload,
    endpoint,
    price_plan,
    case when unit <> 'request' then peak_rps * (1 + headroom) * class_share / rps_per_instance end as load,
    answered_usd
    + case failed_bill when 0 then 0 else failed_bill / nullif(served_requests, 0) end as request_usd,
    request_usd * class_share * mean_rps * 31536000 as class_year_usd,
from billed
