-- assert: a pair's requests cost what both pools' do
select
    prefill_fleet_id,
    decode_fleet_id,
    price_plan,
    usd_per_1k_prompts,
from curated.disaggregated_fleets
where abs(usd_per_1k_prompts - usd_prefill_per_1k - usd_decode_per_1k) > 1e-9 * usd_per_1k_prompts;
