-- assert: every bound is on a metric that this table knows
select
    catalog_hash,
    slo,
    metric,
from raw.slo_bounds
where
    metric not in (
        'ttft', 'ttft_from_schedule', 'ttfa', 'tpot', 'itl', 'e2e', 'ntpot', 'chunk_gap', 'e2e_to_close',
        'tpot_osl_minus_1', 'tpot_including_ttft', 'e2e_databricks', 'interactivity'
    );
