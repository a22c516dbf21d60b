-- curated.slo_bounds: what each SLO asks for, by catalog snapshot; the lines that a chart draws.
-- grain: catalog_hash, slo, bound_index
-- columns: see schemas/columns.py. An SLO without bounds (offline work) has no row.
with slos as (
    select * from raw.slos
),

bounds as (
    select * from raw.slo_bounds
)

select
    bounds.catalog_hash,
    bounds.slo,
    bounds.bound_index,
    bounds.metric,
    bounds.statistic,
    bounds.limit_value,
    slos.attainment_share,
from bounds
inner join slos using (catalog_hash, slo)
