-- What would make a request cheaper on the nights of the page, the largest saving first.
select
    endpoint,
    workload,
    demand,
    price_plan,
    lever,
    alternative,
    share_of_traffic,
    usd_per_request_now,
    usd_per_request_then,
    saving_share,
    saving_year_usd,
    currency,
    quality_score,
    other_endpoint,
    other_quality_score,
    count(*) over () as found,
from savings
semi join shown using (endpoint, workload, night)
-- what rounding leaves is no saving
where saving_share > 0.0005
order by saving_share desc, endpoint asc, demand asc, price_plan asc, lever asc, alternative asc
limit 20
