-- assert: shares are shares
select
    fleet_id,
    price_plan,
    lever,
    alternative,
    share_of_traffic,
    saving_share,
from curated.savings
where share_of_traffic not between 0 and 1 or saving_share > 1;

-- assert: another endpoint is cheaper
select
    fleet_id,
    price_plan,
    lever,
    alternative,
    usd_per_request_now,
    usd_per_request_then,
from curated.savings
where other_endpoint is not null and usd_per_request_then >= usd_per_request_now;
