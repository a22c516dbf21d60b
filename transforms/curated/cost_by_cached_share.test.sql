-- assert: on hardware the bands by their requests cost what all their time costs
select
    bands.fleet_id,
    bands.price_plan,
    sum(bands.requests * bands.usd_per_request) as bands_usd,
    any_value(costs.usd_per_request) as request_usd,
from curated.cost_by_cached_share as bands
inner join curated.cost_per_million_tokens as costs using (fleet_id, price_plan)
inner join staging.cached_bands as times
    on
        bands.operating_point_id = times.operating_point_id
        and bands.slo = times.slo
        and bands.cached_band = times.cached_band
where
    costs.cost_basis = 'capacity'
    and costs.allocation_method = 'price_ratio'
    and costs.priced_unit in ('server', 'instance')
group by bands.fleet_id, bands.price_plan
having
    abs(
        bands_usd / sum(times.requests * times.seconds_per_request)
        - request_usd / any_value(times.mean_seconds_per_request)
    ) > 1e-9 * request_usd / any_value(times.mean_seconds_per_request);
