-- assert: level_no names one level
select
    level_no,
    count(*) as levels,
from staging.levels
group by level_no
having count(*) > 1;

-- assert: a window ends after it starts and lies within its level
select
    operating_point_id,
    window_started_ns,
    window_ended_ns,
from staging.levels
where
    window_ended_ns <= window_started_ns
    or window_started_ns < level_started_ns
    or window_ended_ns > level_ended_ns;
