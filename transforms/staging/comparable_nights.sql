-- staging.comparable_nights: what each fleet was measured and asked with, so that like is compared with like.
-- grain: fleet_id
-- spans: nights
-- columns: fleet_key, a number for fleet_id; role, gpus_per_instance, rates of server_counts; loads, the loads of
--   which levels were measured (a finer grid finds another point); lengths, the tokens that the workload aims at;
--   slo_terms; demand_terms, all that is asked but the growth of its rates; measure, the column that a cost is
--   read from: usd_per_mtok, of a pool its own tokens' price, per request where tokens were not counted; lineage,
--   what two nights must have in common for one to be the other's baseline.
-- Nights of the 400 days before the first new one (raw.build_scope.since): none is held against an older one.
with scope as (
    select since - interval 400 days as earliest from raw.build_scope
),

measured as (
    select
        endpoint,
        workload,
        night,
        -- string_agg in order takes several times as long
        array_to_string(list_sort(list_distinct(list(load))), ', ') as loads,
        concat_ws(
            ' -> ',
            coalesce(max(input_tokens_target)::varchar, 'any'),
            coalesce(max(output_tokens_target)::varchar, 'any')
        ) as lengths,
    from curated.runs
    cross join scope
    where night >= earliest and is_current and retracted_at is null and levels_measured > 0
    group by endpoint, workload, night
),

asked as (
    select
        catalog_hash,
        demand,
        night,
        slo_terms,
        md5(
            concat_ws(
                '|', peak_rps, mean_rps, mean_source, growth, as_of, headroom, spares, uptime, 'instances',
                max_instances, 'gpus', max_gpus, 'kw', max_power_kw, 'trace', trace_rps, trace_shares
            )
        ) as demand_terms,
    from curated.demands
    cross join scope
    where night >= earliest
),

tokens as (
    select
        operating_point_id,
        input_tokens_mean,
        output_tokens_mean,
        instances_measured,
    from curated.operating_points
    cross join scope
    where night >= earliest
),

final as (
    select
        fleets.*,
        measured.loads,
        measured.lengths,
        asked.slo_terms,
        asked.demand_terms,
        tokens.instances_measured,
        case fleets.role
            when 'prefill' then tokens.input_tokens_mean
            when 'decode' then tokens.output_tokens_mean
            else tokens.input_tokens_mean + tokens.output_tokens_mean
        end as tokens_per_request,
        case
            when fleets.status = 'chosen' and tokens_per_request is null then 'usd_per_request'
            when fleets.role = 'prefill' then 'usd_per_mtok_input'
            when fleets.role = 'decode' then 'usd_per_mtok_output'
            else 'usd_per_mtok'
        end as measure,
    from curated.server_counts as fleets
    inner join asked
        on fleets.catalog_hash = asked.catalog_hash and fleets.demand = asked.demand and fleets.night = asked.night
    left join measured
        on fleets.endpoint = measured.endpoint and fleets.workload = measured.workload and fleets.night = measured.night
    left join tokens using (operating_point_id)
    cross join scope
    where fleets.night >= scope.earliest
)

select
    fleet_id,
    hash(fleet_id) as fleet_key,
    endpoint,
    workload,
    slo,
    demand,
    night,
    run_date,
    status,
    run_id,
    operating_point_id,
    catalog_hash,
    metric_version,
    role,
    gpus_per_instance,
    rps_per_instance,
    rps_per_instance_lo,
    rps_per_instance_hi,
    instances_measured,
    tokens_per_request,
    measure,
    loads,
    lengths,
    slo_terms,
    demand_terms,
    growth_factor,
    concat_ws(' | ', measure, 'metrics ' || metric_version, 'load ' || loads, 'tokens ' || lengths, 'slo ' || slo_terms)
        as lineage,
from final
