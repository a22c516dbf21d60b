-- What the time of the chosen points went to.
select *
from time_shares
semi join shown using (endpoint, workload, night)
order by slo
