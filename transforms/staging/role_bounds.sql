-- staging.role_bounds: which bounds of an SLO an endpoint is judged by, for its role.
-- grain: catalog_hash, slo, role, bound_index
-- columns: those of raw.slo_bounds, and role. An aggregated endpoint is judged by all of them; a prefill pool by what
--   it does alone, the time to the first token; a decode pool by the pace of the tokens after it. The end-to-end time
--   of a request is the work of both, and no pool is judged by it.
with bounds as (
    select * from raw.slo_bounds
),

roles as (
    select unnest(['aggregated', 'prefill', 'decode']) as role
)

select
    bounds.catalog_hash,
    bounds.slo,
    roles.role,
    bounds.bound_index,
    bounds.metric,
    bounds.statistic,
    bounds.limit_value,
from bounds
cross join roles
where
    case roles.role
        when 'prefill' then bounds.metric in ('ttft', 'ttft_from_schedule', 'ttfa')
        when 'decode' then bounds.metric in ('tpot', 'itl', 'chunk_gap', 'tpot_osl_minus_1', 'interactivity')
        else true
    end
