-- staging.slo_limits: the bounds of each SLO side by side, so that one expression judges a request.
-- grain: catalog_hash, slo, role
-- columns: slo_no, a small number for joins within one build; *_limit_ms, the strictest upper limit on that metric
--   under any statistic; interactivity_limit_tps, the strictest lower limit; has_bounds. Null: no bound.
with slos as (
    select
        catalog_hash,
        slo,
        unnest(['aggregated', 'prefill', 'decode']) as role,
    from raw.slos
),

bounds as (
    select * from staging.role_bounds
)

select
    slos.catalog_hash,
    slos.slo,
    slos.role,
    row_number() over (order by slos.catalog_hash, slos.slo, slos.role) as slo_no,
    count(bounds.metric) > 0 as has_bounds,
    min(bounds.limit_value) filter (where bounds.metric = 'ttft') as ttft_limit_ms,
    min(bounds.limit_value) filter (where bounds.metric = 'ttft_from_schedule') as ttft_from_schedule_limit_ms,
    min(bounds.limit_value) filter (where bounds.metric = 'ttfa') as ttfa_limit_ms,
    min(bounds.limit_value) filter (where bounds.metric = 'tpot') as tpot_limit_ms,
    min(bounds.limit_value) filter (where bounds.metric = 'itl') as itl_limit_ms,
    min(bounds.limit_value) filter (where bounds.metric = 'e2e') as e2e_limit_ms,
    min(bounds.limit_value) filter (where bounds.metric = 'ntpot') as ntpot_limit_ms,
    min(bounds.limit_value) filter (where bounds.metric = 'chunk_gap') as chunk_gap_limit_ms,
    min(bounds.limit_value) filter (where bounds.metric = 'e2e_to_close') as e2e_to_close_limit_ms,
    min(bounds.limit_value) filter (where bounds.metric = 'tpot_osl_minus_1') as tpot_osl_minus_1_limit_ms,
    min(bounds.limit_value) filter (where bounds.metric = 'tpot_including_ttft') as tpot_including_ttft_limit_ms,
    min(bounds.limit_value) filter (where bounds.metric = 'e2e_databricks') as e2e_databricks_limit_ms,
    max(bounds.limit_value) filter (where bounds.metric = 'interactivity') as interactivity_limit_tps,
from slos
left join bounds using (catalog_hash, slo, role)
group by slos.catalog_hash, slos.slo, slos.role
