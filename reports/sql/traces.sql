-- Recorded rates of the demands on the page at their as_of, and the share of the time at each: one row a trace,
-- whatever demands and catalogs have it. Of a trace with more rates than a page can carry, neighbours are joined: what
-- a joined rate spans of the rates and of the time together is 2 / n of both, so that the time-mean of
-- min(rate, capacity) is right to the peak / n^2, and exactly so at capacities that no joined rate spans.
-- $1 most rates of a trace, $2 of all of them
with asked as (
    select distinct
        catalog_hash,
        demand,
        night,
    from server_counts
    semi join shown using (endpoint, workload, night)
),

recorded as (
    select
        demands.trace_rps,
        demands.trace_shares,
        list(distinct struct_pack(catalog_hash := demands.catalog_hash, demand := demands.demand)) as of_demands,
        row_number() over (order by demands.trace_rps, demands.trace_shares) as trace_no,
        count(*) over () as traces,
    from demands
    semi join asked using (catalog_hash, demand, night)
    where demands.trace_rps is not null
    group by demands.trace_rps, demands.trace_shares
),

rates as (
    select
        trace_no,
        of_demands,
        len(trace_rps) as recorded,
        greatest(2, least($1, $2 // traces)) as most,
        unnest(trace_rps) as rps,
        unnest(trace_shares) as share,
    from recorded
),

placed as (
    select
        *,
        case
            when recorded <= most then row_number() over earlier
            else floor(most * (rps / max(rps) over (partition by trace_no) + sum(share) over earlier) / 2)
        end as place,
    from rates
    window earlier as (partition by trace_no order by rps)
),

joined as (
    select
        trace_no,
        place,
        any_value(of_demands) as of_demands,
        any_value(recorded) as recorded,
        any_value(most) as most,
        case count(*) when 1 then any_value(rps) else sum(rps * share) / sum(share) end as rps,
        sum(share) as share,
    from placed
    group by trace_no, place
)

select
    any_value(of_demands) as of_demands,
    any_value(recorded) as recorded,
    -- of the peak, by which joining may move the rate that is served
    any_value(case when recorded > most then 1 / most ** 2 else 0 end) as error_share,
    list(rps order by place) as rps,
    list(share order by place) as shares,
from joined
group by trace_no
order by trace_no
