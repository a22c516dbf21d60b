-- assert: a solved mix has routes, and one without a solution has none
from staging.mix_solutions
where (status = 'solved') <> (len(routes) > 0) or (status = 'solved') <> (cost_usd is not null);

-- assert: each class of a solved mix is served whole
with routed as (
    select
        mix_id,
        currency,
        unnest(routes) as route,
    from staging.mix_solutions
),

classes as (
    select distinct
        mix_id,
        workload,
        class_share,
    from staging.mix_rates
    where class_share > 0
)

select
    classes.mix_id,
    solutions.currency,
    classes.workload,
    sum(routed.route.share) as served,
from classes
inner join staging.mix_solutions as solutions using (mix_id)
left join routed
    on
        solutions.mix_id = routed.mix_id
        and solutions.currency = routed.currency
        and classes.workload = routed.route.workload
where solutions.status = 'solved'
group by classes.mix_id, solutions.currency, classes.workload
having coalesce(abs(sum(routed.route.share) - 1) > 1e-9, true);
