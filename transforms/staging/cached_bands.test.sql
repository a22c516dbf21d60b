-- assert: cached tokens are within their band
select
    operating_point_id,
    slo,
    cached_band,
    cached_input_tokens_mean,
    input_tokens_mean,
from staging.cached_bands
where
    cached_input_tokens_mean > 0.25 * band_no * input_tokens_mean * (1 + 1e-12)
    or cached_input_tokens_mean < 0.25 * (band_no - 1) * input_tokens_mean * (1 - 1e-12);

-- assert: the bands hold no more time than the window has
select
    bands.operating_point_id,
    bands.slo,
    sum(bands.requests * bands.seconds_per_request) as held_s,
from staging.cached_bands as bands
inner join staging.levels as levels using (operating_point_id)
group by bands.operating_point_id, bands.slo
having held_s > any_value(levels.window_ended_ns - levels.window_started_ns) / 1e9 * (1 + 1e-9);
