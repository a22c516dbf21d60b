-- Every endpoint x workload with its latest night, newest first; a night on which nothing landed counts too.
with latest as (
    select
        endpoint,
        workload,
        max(night) as night,
        count(distinct night) as nights,
    from counted_runs
    group by endpoint, workload
)

select
    *,
    night = max(night) over () as is_last_night,
from latest
order by night desc, endpoint asc, workload asc
