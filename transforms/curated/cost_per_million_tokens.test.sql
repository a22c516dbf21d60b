-- assert: the prices of input, cached input and output tokens add up to the price of 1000 requests
select
    fleet_id,
    price_plan,
    usd_per_1k_prompts,
from curated.cost_per_million_tokens
where
    abs(
        usd_per_mtok_input * (input_tokens_mean - cached_input_tokens_mean)
        + usd_per_mtok_cached_input * cached_input_tokens_mean
        + usd_per_mtok_output * output_tokens_mean
        - usd_per_1k_prompts * 1000
    ) > 1e-9 * usd_per_1k_prompts * 1000;

-- assert: a price is above 0, or null
select
    fleet_id,
    price_plan,
    usd_per_1k_prompts,
    fleet_year_usd,
from curated.cost_per_million_tokens
where not (usd_per_1k_prompts >= 0 and isfinite(usd_per_1k_prompts) and fleet_year_usd >= 0);

-- assert: an interval holds its price
select
    fleet_id,
    price_plan,
    usd_per_1k_prompts_lo,
    usd_per_1k_prompts,
    usd_per_1k_prompts_hi,
from curated.cost_per_million_tokens
where
    usd_per_1k_prompts < usd_per_1k_prompts_lo * (1 - 1e-9)
    or usd_per_1k_prompts > usd_per_1k_prompts_hi * (1 + 1e-9);
