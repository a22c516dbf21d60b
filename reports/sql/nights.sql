-- Every endpoint x workload with its latest night, newest first; a night on which nothing landed counts too.
select
    endpoint,
    workload,
    max(night) as night,
    count(distinct night) as nights,
from curated.runs
group by endpoint, workload
order by night desc, endpoint asc, workload asc
