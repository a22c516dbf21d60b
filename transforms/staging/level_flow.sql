-- staging.level_flow: what had been delivered at each of the 11 edges of a window's 10 equal slices.
-- grain: level_no, edge
-- columns: edge_ns; completions, input_tokens, output_tokens: of ok requests, counted up from some instant before
--   the window, so that only differences between edges mean anything. Input tokens count when the first token
--   shows that the prompt was done. Output tokens count as their chunks arrive: a request that straddles an edge
--   gives the share that its chunks before the edge had, and only such requests are taken apart chunk by chunk.
--   Null where a request has no token count. Where an imported request has no chunk times its tokens are spread evenly
--   from the first to the last.
with edges as (
    select * from staging.window_edges
),

-- edge k of a window of w ns is at w * k // 10: an instant t after its start lies before edge ceil(10 * t / w)
delivered as (
    select
        requests.level_no,
        requests.shard,
        requests.request_index,
        requests.first_token_ns,
        requests.last_token_ns,
        requests.input_tokens,
        requests.output_tokens,
        requests.token_chunks,
        levels.window_ended_ns - levels.window_started_ns as window_ns,
        (10 * greatest(requests.closed_ns - levels.window_started_ns, 0) + window_ns - 1) // window_ns as closed_edge,
        (10 * greatest(requests.first_token_ns - levels.window_started_ns, 0) + window_ns - 1) // window_ns
            as first_edge,
        (10 * greatest(requests.last_token_ns - levels.window_started_ns, 0) + window_ns - 1) // window_ns as last_edge,
    from staging.requests as requests
    inner join staging.levels as levels using (level_no)
    where
        requests.is_ok
        and requests.closed_ns > levels.window_started_ns
        and requests.first_token_ns <= levels.window_ended_ns
),

known as (
    select
        level_no,
        bool_and(input_tokens is not null) as knows_input,
        bool_and(output_tokens is not null) as knows_output,
    from delivered
    group by level_no
),

done as (
    select
        level_no,
        closed_edge as edge,
        1 as completions,
        0 as input_tokens,
        0 as output_tokens,
    from delivered
    union all
    select
        level_no,
        first_edge as edge,
        0 as completions,
        input_tokens,
        0 as output_tokens,
    from delivered
    union all
    select
        level_no,
        last_edge as edge,
        0 as completions,
        0 as input_tokens,
        output_tokens,
    from delivered
),

done_by_slice as (
    select
        level_no,
        edge,
        sum(completions) as completions,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
    from done
    group by level_no, edge
),

crossing as (
    select
        *,
        unnest(range(first_edge, least(last_edge, 11))) as edge,
    from delivered
    where first_edge < last_edge
),

-- rounded: threads add in any order, and a rebuild is to be equal
under_way as (
    select
        crossing.level_no,
        crossing.edge,
        round(
            sum(
                crossing.output_tokens * coalesce(
                    arrived.tokens_before / arrived.tokens_in_all,
                    (arrived.gaps_before + 1) / crossing.token_chunks,
                    (edges.edge_ns - crossing.first_token_ns)
                    / nullif(crossing.last_token_ns - crossing.first_token_ns, 0)
                )
            ),
            6
        ) as output_tokens,
    from crossing
    inner join edges using (level_no, edge)
    left join staging.gap_folds as arrived using (level_no, shard, request_index, edge)
    group by crossing.level_no, crossing.edge
),

flows as (
    select
        edges.level_no,
        edges.edge,
        edges.edge_ns,
        known.knows_input,
        known.knows_output,
        coalesce(sum(done.completions) over so_far, 0) as completions,
        coalesce(sum(done.input_tokens) over so_far, 0) as input_tokens,
        coalesce(sum(done.output_tokens) over so_far, 0) + coalesce(under_way.output_tokens, 0) as output_tokens,
    from edges
    inner join known using (level_no)
    left join done_by_slice as done using (level_no, edge)
    left join under_way using (level_no, edge)
    window so_far as (partition by edges.level_no order by edges.edge)
)

select
    level_no,
    edge,
    edge_ns,
    cast(completions as bigint) as completions,
    case when knows_input then cast(input_tokens as double) end as input_tokens,
    case when knows_output then cast(output_tokens as double) end as output_tokens,
from flows
