-- What the page is made of.
select
    count(distinct run_id) as runs,
    count(distinct night) as nights,
    min(night) as first_night,
    max(night) as last_night,
    string_agg(distinct cast(metric_version as varchar), ', ') as metric_version,
from counted_runs
