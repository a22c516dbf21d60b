-- staging.sharing_times: each request's share of its instance's time by processor sharing (docs/economics.md).
-- grain: level_no, shard, request_index
-- columns: from_ns and to_ns, in flight inside the window; input_units and output_units, its share of the time before
--   and after its first token (without one all of its time is before); units_per_ns, of the level.
--   At each instant all requests in flight, whatever their outcome, share the time equally: with S(t) the integral of
--   dt / requests in flight, a request has S(to) - S(from).
-- Whole units, as many in a nanosecond as 4e18 in the window allow: sums are exact in any order, a rebuild is equal.
-- Only levels that a chosen operating point stands on: the cost follows those.
-- assertions (sharing_times.test.sql): no share is negative
with windows as (
    select
        levels.level_no,
        levels.window_started_ns,
        levels.window_ended_ns,
        4000000000000000000 // (levels.window_ended_ns - levels.window_started_ns) as units_per_ns,
    from staging.levels as levels
    semi join staging.chosen_levels as chosen using (level_no)
    where levels.window_started_ns is not null
),

present as (
    select
        requests.level_no,
        requests.shard,
        requests.request_index,
        windows.units_per_ns,
        greatest(requests.sent_ns, windows.window_started_ns) as from_ns,
        least(requests.closed_ns, windows.window_ended_ns) as to_ns,
        coalesce(requests.first_token_ns, requests.closed_ns) as first_token_ns,
    from staging.requests as requests
    inner join windows using (level_no)
    where requests.is_in_flight_in_window
),

events as (
    select
        level_no,
        shard,
        request_index,
        units_per_ns,
        -- clocks that were suspect turn no order around
        unnest([from_ns, greatest(from_ns, least(first_token_ns, to_ns)), greatest(from_ns, to_ns)]) as at_ns,
        unnest([1, 0, -1]) as change,
    from present
),

-- events at one instant come in any order: no time lies between them
steps as (
    select
        *,
        at_ns - lag(at_ns) over following as step_ns,
        cast(sum(change) over following as bigint) - change as in_flight,
    from events
    window following as (partition by level_no order by at_ns rows between unbounded preceding and current row)
),

-- the default frame: all events of one instant see the same sum
reached as (
    select
        level_no,
        shard,
        request_index,
        units_per_ns,
        at_ns,
        change,
        cast(
            sum(
                case when step_ns > 0 and in_flight > 0 then (step_ns * units_per_ns + in_flight // 2) // in_flight end
            ) over (partition by level_no order by at_ns) as bigint
        ) as reached_units,
    from steps
)

select
    level_no,
    shard,
    request_index,
    any_value(units_per_ns) as units_per_ns,
    min(at_ns) as from_ns,
    max(at_ns) as to_ns,
    any_value(coalesce(reached_units, 0)) filter (where change = 0)
    - any_value(coalesce(reached_units, 0)) filter (where change = 1) as input_units,
    any_value(coalesce(reached_units, 0)) filter (where change = -1)
    - any_value(coalesce(reached_units, 0)) filter (where change = 0) as output_units,
from reached
group by level_no, shard, request_index
