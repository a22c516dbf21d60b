-- What the price plans charge on the nights of the page.
select *
from price_terms
semi join shown using (endpoint, workload, night)
order by price_plan
