-- From which use on a plan is cheaper than another, on the nights of the page.
select
    endpoint,
    workload,
    demand,
    price_plan,
    other_plan,
    other_kind,
    verdict,
    hours_per_year,
    utilisation,
    requests_per_year,
    rps,
    tokens_per_month,
    count(*) over () as found,
from break_even
semi join shown using (endpoint, workload, night)
where verdict in ('crosses', 'never')
order by verdict, demand, endpoint, price_plan, other_plan
limit 30
