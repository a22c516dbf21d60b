-- curated.cost_ledger: where each dollar of a fleet's year goes (docs/economics.md, The ledger).
-- grain: fleet_id, price_plan, allocation_method, bucket
-- columns: comments in schemas/columns.py. One instance costs ci = C g / G a year. Of the n0 instances that the peak
--   needs, rho x (1 - x_idle) work: w = n0 ci rho (1 - x_idle), rho = min(1, served / (n0 r)). What they work at is
--   failed, slo_missed, or good, by their shares of processor-sharing time (curated.time_shares), and the good part is
--   input and output by the allocation method. An API has no idle fleet: w is its bill, split by the bills of the
--   requests. Where a split is not known, its buckets are null and unallocated holds the money: buckets always add up.
--   A demand without a mean stands at its peak, and mean_basis says so.
-- assertions (cost_ledger.test.sql): the buckets of a fleet, plan and method sum to its year, to half a cent; in whole
--   cents too; none is below 0; each bucket is there
with offers as (
    select
        *,
        unit = 'request' as is_api,
        coalesce(mean_source, 'peak') as mean_name,
        case unit
            when 'request' then coalesce(mean_served_rps, peak_rps) * 31536000 * request_usd
            else units * unit_year_usd
        end as c,
        case when mean_source is null then peak_rps else mean_served_by_instances_rps end as wanted_rps,
        instances * rate * uptime as instances_rps,
    from staging.sized_offers
    where rate_name = 'rate'
),

fleets as (
    select
        offers.fleet_id,
        offers.price_plan,
        offers.is_api,
        offers.role,
        offers.mean_name,
        offers.c,
        offers.price_in,
        offers.price_cached,
        offers.price_out,
        offers.price_plain_out,
        offers.price_reasoning,
        offers.demand,
        offers.endpoint,
        offers.workload,
        offers.slo,
        offers.night,
        offers.run_date,
        offers.run_id,
        offers.operating_point_id,
        offers.metric_version,
        offers.kind,
        offers.valid_from,
        offers.currency,
        offers.instances_for_peak as n0,
        offers.instances_with_headroom as n1,
        offers.spares_kept as s,
        offers.rate as r,
        -- a budget may leave nothing to pay for
        case offers.gpus_paid when 0 then 0 else offers.c * offers.gpus_of_instance / offers.gpus_paid end as ci,
        -- least(x, null) is x, and both are known where a fleet is
        case
            when offers.is_api then coalesce(offers.mean_served_rps, offers.peak_rps)
            else least(offers.wanted_rps, offers.instances_rps)
        end as served_rps,
        shares.* exclude (
            operating_point_id, slo, run_id, endpoint, workload, night, metric_version, judged_requests, failed_requests
        ),
    from offers
    left join curated.time_shares as shares using (operating_point_id, slo)
    where offers.c is not null
),

-- bills of the requests by API prices: of an API its own, of a fleet those that its costs are split by
billed as (
    select
        *,
        price_cached is not null as prices_cached,
        token_bill(
            failed_input_tokens, failed_output_tokens, price_in, price_plain_out,
            cached_tokens := failed_cached_input_tokens, reasoning_tokens := failed_reasoning_tokens,
            price_cached := price_cached, price_reasoning := price_reasoning
        ) as failed_bill,
        token_bill(
            missed_input_tokens, missed_output_tokens, price_in, price_plain_out,
            cached_tokens := missed_cached_input_tokens, reasoning_tokens := missed_reasoning_tokens,
            price_cached := price_cached, price_reasoning := price_reasoning
        ) as missed_bill,
        token_bill(
            good_input_tokens, 0, price_in, 0, cached_tokens := good_cached_input_tokens, price_cached := price_cached
        ) as good_prompt_bill,
        case when prices_cached then good_cached_input_tokens * price_cached / 1e6 end as good_cached_bill,
        token_bill(
            0, good_output_tokens, 0, price_plain_out,
            reasoning_tokens := good_reasoning_tokens, price_reasoning := price_reasoning
        ) as good_output_bill,
        good_prompt_bill + good_output_bill as good_bill,
    from fleets
),

working as (
    select
        *,
        case when is_api then c else n0 * ci * least(1, coalesce(served_rps / nullif(n0 * r, 0), 0)) end as asked_for,
        nullif(failed_bill + missed_bill + good_bill, 0) as whole_bill,
        case when is_api then failed_bill / whole_bill else failed_share end as x_f,
        case when is_api then missed_bill / whole_bill else missed_share end as x_m,
        case when is_api then 0 else idle_share end as x_idle,
        asked_for * (1 - x_idle) as w,
        w * (1 - x_f - x_m) as good_usd,
    from billed
),

methods as (
    select
        *,
        unnest(
            case
                when role <> 'aggregated' then ['separate_phases']
                when is_api then ['price_ratio']
                else ['price_ratio', 'processor_sharing']
            end
        ) as allocation_method,
    from working
),

split as (
    select
        *,
        case allocation_method
            when 'price_ratio' then good_prompt_bill / nullif(good_bill, 0)
            when 'processor_sharing' then input_share
            when 'separate_phases' then case role when 'prefill' then 1 else 0 end
        end as s_prompt,
        case allocation_method
            when 'price_ratio' then good_output_bill / nullif(good_bill, 0)
            when 'processor_sharing' then output_share
            when 'separate_phases' then case role when 'prefill' then 0 else 1 end
        end as s_out,
        -- tokens that cost the same need no prices; a count that nobody needs may be unknown, and then input holds both
        case
            when prices_cached then good_cached_bill / nullif(good_prompt_bill, 0)
            else good_cached_input_tokens / nullif(good_input_tokens, 0)
        end as cached_part,
        s_prompt is not null and s_out is not null and (cached_part is not null or not prices_cached) as is_split,
    from methods
),

amounts as (
    select
        *,
        -- nothing good: nothing to split
        case
            when good_usd = 0 then 0
            when is_split then good_usd * s_prompt * (1 - coalesce(cached_part, 0))
        end as input_usd,
        case when good_usd = 0 then 0 when is_split then good_usd * s_prompt * cached_part end as cached_usd,
        case when good_usd = 0 then 0 when is_split then good_usd * s_out end as output_usd,
    from split
),

numbered as (
    select
        *,
        row_number() over () as ledger_no,
    from amounts
),

bucketed as (
    select
        ledger_no,
        c,
        unnest([
            'stranded', 'spare', 'headroom', 'idle', 'failed', 'slo_missed', 'input', 'cached_input', 'output',
            'unallocated'
        ]) as bucket,
        unnest([
            case when is_api then 0 else c - (n1 + s) * ci end,
            case when is_api then 0 else s * ci end,
            case when is_api then 0 else (n1 - n0) * ci end,
            case when is_api then 0 else n0 * ci - coalesce(w, asked_for) end,
            w * x_f,
            w * x_m,
            input_usd,
            cached_usd,
            output_usd,
            case when good_usd is null then coalesce(w, asked_for) when input_usd is null then good_usd end
        ]) as amount,
    from numbered
),

entries as (
    select
        *,
        -- what differs from 0 by rounding alone is 0
        case when abs(amount) < 1e-14 * c then 0 else amount end as usd,
        floor(round(usd * 100, 6)) as cents,
    from bucketed
    where bucket <> 'unallocated' or amount is not null
),

-- whole cents by largest remainder: those that rounding down leaves over go to the buckets that lost the most
ranked as (
    select
        *,
        row_number() over (partition by ledger_no order by usd * 100 - cents desc nulls last, bucket asc) as place,
        round(c * 100) - sum(cents) over (partition by ledger_no) as cents_left,
    from entries
),

shown as (
    select
        ledger_no,
        bucket,
        usd,
        (cents + case when place <= cents_left then 1 else 0 end) / 100 as usd_shown,
    from ranked
)

select
    fleet_id,
    price_plan,
    allocation_method,
    bucket,
    usd,
    usd_shown,
    c as fleet_year_usd,
    served_rps,
    case mean_name when 'rates' then 'mean' when 'users' then 'mean' else mean_name end as mean_basis,
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
from shown
inner join numbered using (ledger_no)
