-- assert: no share is negative or longer than the request was in flight
select
    level_no,
    shard,
    request_index,
    input_units,
    output_units,
from staging.sharing_times
where
    input_units is null
    or output_units is null
    or input_units < 0
    or output_units < 0
    or input_units + output_units > (to_ns - from_ns) * units_per_ns;
