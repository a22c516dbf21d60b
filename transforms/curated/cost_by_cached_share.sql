-- curated.cost_by_cached_share: what requests cost by how much of their input came from a cache (docs/economics.md).
-- grain: fleet_id, price_plan, cached_band
-- columns: comments in schemas/columns.py. Every server full (cost basis capacity). Own and rented hardware: the
--   fleet's price of a request x the time that the band's requests held / that of all good ones (staging.cached_bands).
--   Bought tokens: an API's price list on the band's own means; a provisioned unit by the tokens that it promises.
--   Measured, not modelled: bands may also differ in their lengths, which stand beside.
-- assertions (cost_by_cached_share.test.sql): on hardware the bands' price by their requests is that of all
with costs as (
    select * from curated.cost_per_million_tokens
    where cost_basis = 'capacity' and allocation_method = 'price_ratio'
),

priced as (
    select
        costs.*,
        bands.* exclude (operating_point_id, slo, input_tokens_mean, cached_input_tokens_mean, output_tokens_mean),
        bands.input_tokens_mean as band_input_tokens,
        bands.cached_input_tokens_mean as band_cached_input_tokens,
        bands.output_tokens_mean as band_output_tokens,
        case offers.unit
            when 'request'
                then
                    token_bill(
                        bands.input_tokens_mean, bands.output_tokens_mean, offers.price_in, offers.price_out,
                        cached_tokens := bands.cached_input_tokens_mean, price_cached := offers.price_cached
                    ) + offers.failed_usd
            when 'unit'
                then
                    costs.usd_per_request * (bands.input_tokens_mean + bands.output_tokens_mean)
                    / nullif(costs.input_tokens_mean + costs.output_tokens_mean, 0)
            else costs.usd_per_request * bands.seconds_per_request / nullif(bands.mean_seconds_per_request, 0)
        end as band_usd,
    from costs
    inner join staging.offers as offers using (fleet_id, price_plan)
    inner join staging.cached_bands as bands
        on costs.operating_point_id = bands.operating_point_id and costs.slo = bands.slo
)

select
    fleet_id,
    price_plan,
    cached_band,
    is_most_cached,
    requests,
    band_input_tokens as input_tokens_mean,
    band_cached_input_tokens as cached_input_tokens_mean,
    band_output_tokens as output_tokens_mean,
    seconds_per_request,
    band_usd as usd_per_request,
    band_usd * 1e6 / nullif(band_input_tokens + band_output_tokens, 0) as usd_per_mtok,
    demand,
    endpoint,
    workload,
    slo,
    night,
    run_date,
    run_id,
    operating_point_id,
    metric_version,
    price_kind,
    price_valid_from,
    currency,
from priced
