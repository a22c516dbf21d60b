-- assert: good requests are judged requests
select
    operating_point_id,
    slo,
    good_requests,
    judged_requests,
from curated.slo_attainment
where good_requests > judged_requests;

-- assert: Wilson's interval holds the attainment
select
    operating_point_id,
    slo,
    attainment_lo,
    attainment,
    attainment_hi,
from curated.slo_attainment
where attainment not between attainment_lo - 1e-12 and attainment_hi + 1e-12;

-- assert: a missed SLO names the bound that it misses
select
    operating_point_id,
    slo,
    worst_metric,
    worst_excess,
from curated.slo_attainment
where verdict = 'missed' and (worst_metric is null or worst_excess < 0);
