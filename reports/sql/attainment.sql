-- How the points on the page stand against each SLO.
select
    endpoint,
    workload,
    operating_point_id,
    slo,
    attainment_share,
    attainment,
    attainment_lo,
    attainment_hi,
    verdict,
    meets_slo,
    good_rps,
from slo_attainment
semi join shown using (endpoint, workload, night)
where is_current
order by slo, operating_point_id
