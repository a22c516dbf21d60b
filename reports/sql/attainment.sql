-- How the points of a section stand against each SLO.
-- $1 endpoint, $2 workload, $3 night
select
    operating_point_id,
    slo,
    attainment_share,
    attainment,
    attainment_lo,
    attainment_hi,
    verdict,
    worst_metric,
    worst_statistic,
    worst_limit,
from curated.slo_attainment
where is_current and endpoint = $1 and workload = $2 and night = $3
order by slo, operating_point_id
