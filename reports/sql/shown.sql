-- Every endpoint x workload with its latest night, newest first; a night on which nothing landed counts too.
select
    endpoint,
    workload,
    max(night) as night,
    count(distinct night) as nights,
    max(night) = (select max(night) from runs) as is_last_night,
from runs
group by endpoint, workload
order by max(night) desc, endpoint asc, workload asc
