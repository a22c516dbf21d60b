-- assert: what failed is not good
select
    level_no,
    slo_no,
    shard,
    request_index,
from staging.judged_requests
where is_failed and is_good is distinct from false
