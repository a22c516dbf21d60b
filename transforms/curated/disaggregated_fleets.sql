-- curated.disaggregated_fleets: a prefill and a decode pool as one fleet (docs/economics.md, Disaggregated pools).
-- grain: prefill_fleet_id, decode_fleet_id, price_plan, decode_price_plan, cost_basis
-- columns: comments in schemas/columns.py. Every pair of pools (endpoints with the roles prefill and decode) of one
--   model, demand and night, under plans of one currency. Each pool is sized on its own rate (curated.server_counts)
--   and priced alone (allocation separate_phases); costs add up. The usual bands of instances, prefill to decode, are
--   2:1 to 4:1 for long input and TTFT first, and 1:2 to 1:1 for short input and TPOT first.
-- assertions (disaggregated_fleets.test.sql): the pair's requests cost what both pools' do
with pools as (
    select
        fleets.fleet_id,
        fleets.demand,
        fleets.endpoint,
        fleets.model,
        fleets.workload,
        fleets.slo,
        fleets.night,
        fleets.status,
        fleets.role,
        fleets.operating_point_id,
        fleets.instances,
        fleets.gpus,
        fleets.gpus_per_instance,
        fleets.rps_per_instance,
        fleets.metric_version,
        costs.price_plan,
        costs.cost_basis,
        costs.currency,
        costs.fleet_year_usd,
        costs.usd_per_1k_prompts,
        costs.input_tokens_mean,
        costs.output_tokens_mean,
        costs.usd_per_mtok_input,
        costs.usd_per_mtok_output,
    from curated.server_counts as fleets
    inner join curated.cost_per_million_tokens as costs using (fleet_id)
    where costs.allocation_method = 'separate_phases'
),

pairs as (
    select
        prefill.*,
        decode.fleet_id as decode_fleet_id,
        decode.endpoint as decode_endpoint,
        decode.price_plan as decode_price_plan,
        decode.operating_point_id as decode_operating_point_id,
        decode.instances as decode_instances,
        decode.gpus as decode_gpus,
        case when prefill.status <> 'chosen' then prefill.status else decode.status end as pair_status,
        decode.rps_per_instance / nullif(prefill.rps_per_instance, 0) as prefill_per_decode,
        1 / nullif(
            prefill.gpus_per_instance / nullif(prefill.rps_per_instance, 0)
            + decode.gpus_per_instance / nullif(decode.rps_per_instance, 0),
            0
        ) as request_rps_per_gpu,
        prefill.fleet_year_usd + decode.fleet_year_usd as pair_year_usd,
        decode.usd_per_1k_prompts as decode_1k,
        prefill.usd_per_1k_prompts + decode.usd_per_1k_prompts as pair_1k,
        decode.output_tokens_mean as answer_tokens,
        decode.usd_per_mtok_output as decode_mtok_output,
    from pools as prefill
    inner join pools as decode using (demand, model, night, currency, cost_basis)
    where prefill.role = 'prefill' and decode.role = 'decode'
)

select
    fleet_id as prefill_fleet_id,
    decode_fleet_id,
    price_plan,
    decode_price_plan,
    cost_basis,
    demand,
    model,
    workload,
    slo,
    night,
    endpoint as prefill_endpoint,
    decode_endpoint,
    pair_status as status,
    metric_version,
    currency,
    operating_point_id as prefill_operating_point_id,
    decode_operating_point_id,
    instances as prefill_instances,
    decode_instances,
    gpus as prefill_gpus,
    decode_gpus,
    prefill_per_decode,
    case
        when prefill_per_decode between 2 and 4 then '2:1-4:1'
        when prefill_per_decode between 0.5 and 1 then '1:2-1:1'
        when prefill_per_decode is not null then 'outside'
    end as usual_band,
    request_rps_per_gpu,
    pair_year_usd as fleet_year_usd,
    pair_1k as usd_per_1k_prompts,
    usd_per_1k_prompts as usd_prefill_per_1k,
    decode_1k as usd_decode_per_1k,
    pair_1k * 1000 / nullif(input_tokens_mean + answer_tokens, 0) as usd_per_mtok,
    usd_per_mtok_input,
    decode_mtok_output as usd_per_mtok_output,
from pairs
