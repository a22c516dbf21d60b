-- assert: every chosen operating point has its shares
select
    operating_point_id,
    slo,
from staging.chosen_levels
anti join curated.time_shares using (operating_point_id, slo);

-- assert: shares are shares
select
    operating_point_id,
    slo,
    idle_share,
    failed_share,
    missed_share,
    input_share,
    output_share,
from curated.time_shares
where
    idle_share not between 0 and 1
    or failed_share not between 0 and 1
    or missed_share not between 0 and 1
    or failed_share + missed_share > 1 + 1e-12
    or input_share not between 0 and 1
    or output_share not between 0 and 1;

-- assert: the time before and after the first token adds up
select
    operating_point_id,
    slo,
    input_share,
    output_share,
from curated.time_shares
where abs(input_share + output_share - 1) > 1e-12;

-- assert: the classes add up to the requests that were judged
select
    operating_point_id,
    slo,
    judged_requests,
    failed_requests,
    missed_requests,
    good_requests,
from curated.time_shares
where failed_requests + missed_requests + good_requests <> judged_requests or failed_requests > judged_requests;

-- assert: all requests' time and the idle time add up to the window
select
    idle.level_no,
    idle.window_ns,
    idle.idle_ns,
    sum(times.input_units + times.output_units) / any_value(times.units_per_ns) as held_ns,
from staging.level_idle as idle
inner join staging.sharing_times as times using (level_no)
group by idle.level_no, idle.window_ns, idle.idle_ns
having abs(held_ns + idle.idle_ns - idle.window_ns) > 1e-9 * idle.window_ns;
