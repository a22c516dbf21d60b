-- assert: the prices of input, cached input and output tokens add up to the price of 1000 requests
select
    fleet_id,
    price_plan,
    cost_basis,
    allocation_method,
    usd_per_1k_prompts,
from curated.cost_per_million_tokens
where
    abs(
        case
            when role = 'decode' then 0
            when usd_per_mtok_cached_input = usd_per_mtok_input then usd_per_mtok_input * input_tokens_mean
            else
                usd_per_mtok_input * (input_tokens_mean - cached_input_tokens_mean)
                + usd_per_mtok_cached_input * cached_input_tokens_mean
        end
        + case when role = 'prefill' then 0 else usd_per_mtok_output * output_tokens_mean end
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

-- assert: each fleet, plan and method has its three bases
select
    fleet_id,
    price_plan,
    allocation_method,
from curated.cost_per_million_tokens
group by fleet_id, price_plan, allocation_method
having count(distinct cost_basis) <> 3;
