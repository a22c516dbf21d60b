-- What the price plans charge on the nights of the page: hardware first, owned before rented.
select *
from price_terms
semi join shown using (endpoint, workload, night)
order by price_kind = 'api', price_kind, price_plan
