-- assert: an interval holds its rate
select
    operating_point_id,
    request_rps_lo,
    request_rps,
    request_rps_hi,
from curated.operating_points
where request_rps not between request_rps_lo and request_rps_hi;

-- assert: shares lie between 0 and 1
select
    operating_point_id,
    error_share,
    window_share,
    cached_share,
    late_send_share,
    merged_read_share,
    connection_reuse_share,
    server_prefix_cache_hit_share,
from curated.operating_points
where
    error_share not between 0 and 1
    or window_share not between 0 and 1 + 1e-9
    or cached_share not between 0 and 1
    or late_send_share not between 0 and 1
    or merged_read_share not between 0 and 1
    or connection_reuse_share not between 0 and 1
    or server_prefix_cache_hit_share not between 0 and 1;

-- assert: a run attempt has one saturation level at most
select
    run_id,
    attempt,
    count(*) as saturation_levels,
from curated.operating_points
where is_saturation
group by run_id, attempt
having count(*) > 1;

-- assert: a count is never larger than what holds it
-- (what completes in the window of an open loop may be of its warm-up)
with present as (
    select
        levels.operating_point_id,
        count(*) as requests,
    from staging.requests as requests
    inner join staging.levels as levels using (level_no)
    group by levels.operating_point_id
)

select
    points.operating_point_id,
    points.requests,
    points.requests_in_window,
    points.completions_in_window,
from curated.operating_points as points
left join present using (operating_point_id)
where
    points.requests_in_window > points.requests
    or points.completions_in_window
    > case when points.load_kind = 'open' then coalesce(present.requests, points.requests) else points.requests end;
