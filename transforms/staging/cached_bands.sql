-- staging.cached_bands: what good requests were like, and held of their instance, by the cached share of their input.
-- grain: operating_point_id, slo, cached_band
-- columns: cached_band (none, 0-25 %, 25-50 %, 50-75 %, 75-100 %, the upper end included); is_most_cached, the band
--   with the largest share that has at least min_requests, the least for a median: fewer are not a measurement;
--   requests, those sent in the window, and means of their tokens; seconds_per_request, of the instance by processor
--   sharing: what the band's requests held of the window, whenever they were sent, / requests. So the bands' requests
--   x seconds add up to the time of all that have one. mean_seconds_per_request, the same over all good requests.
-- Chosen operating points, and only requests that know their input, cached and output tokens.
-- assertions (cached_bands.test.sql): cached tokens are within their band; the bands hold no more
--   than the window
with good as (
    select
        chosen.operating_point_id,
        chosen.slo,
        judged.is_judged,
        requests.input_tokens,
        requests.cached_input_tokens,
        requests.output_tokens,
        case
            when requests.output_tokens is null or requests.input_tokens is null then null
            when requests.cached_input_tokens = 0 then 0
            when requests.cached_input_tokens <= 0.25 * requests.input_tokens then 1
            when requests.cached_input_tokens <= 0.5 * requests.input_tokens then 2
            when requests.cached_input_tokens <= 0.75 * requests.input_tokens then 3
            when requests.cached_input_tokens <= requests.input_tokens then 4
        end as band_no,
        -- no row: not in flight in the window, so that it held none of its time
        coalesce(times.input_units + times.output_units, 0) as units,
        times.units_per_ns,
    from staging.chosen_levels as chosen
    inner join staging.judged_requests as judged using (level_no, slo_no)
    inner join staging.requests as requests using (level_no, shard, request_index)
    left join staging.sharing_times as times using (level_no, shard, request_index)
    where judged.is_good
),

overall as (
    select
        operating_point_id,
        slo,
        sum(units) / any_value(units_per_ns) / 1e9 / nullif(count(*) filter (where is_judged), 0)
            as mean_seconds_per_request,
    from good
    group by operating_point_id, slo
),

bands as (
    select
        operating_point_id,
        slo,
        band_no,
        count(*) filter (where is_judged) as requests,
        avg(input_tokens) filter (where is_judged) as input_tokens_mean,
        avg(cached_input_tokens) filter (where is_judged) as cached_input_tokens_mean,
        avg(output_tokens) filter (where is_judged) as output_tokens_mean,
        sum(units) / any_value(units_per_ns) / 1e9 / nullif(count(*) filter (where is_judged), 0)
            as seconds_per_request,
    from good
    where band_no is not null
    group by operating_point_id, slo, band_no
    having count(*) filter (where is_judged) > 0
),

measured as (
    select min_samples as min_requests from staging.statistics
    where statistic = 'p50'
)

select
    bands.operating_point_id,
    bands.slo,
    (['none', '0-25 %', '25-50 %', '50-75 %', '75-100 %'])[bands.band_no + 1] as cached_band,
    bands.band_no,
    bands.requests >= measured.min_requests
    and bands.band_no = max(case when bands.requests >= measured.min_requests then bands.band_no end) over (
        partition by bands.operating_point_id, bands.slo
    ) as is_most_cached,
    bands.requests,
    bands.input_tokens_mean,
    bands.cached_input_tokens_mean,
    bands.output_tokens_mean,
    bands.seconds_per_request,
    overall.mean_seconds_per_request,
from bands
inner join overall using (operating_point_id, slo)
cross join measured
