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

delivered as (
    select
        requests.level_no,
        requests.shard,
        requests.request_index,
        requests.first_token_ns,
        requests.last_token_ns,
        requests.closed_ns,
        requests.input_tokens,
        requests.output_tokens,
        requests.token_chunks,
    from staging.requests as requests
    inner join staging.levels as levels using (level_no)
    where
        requests.is_ok
        and requests.closed_ns > levels.window_started_ns
        and requests.first_token_ns <= levels.window_ended_ns
),

crossing as (
    select * from staging.gap_folds
    where edge is not null
),

arrived as (
    select
        crossing.level_no,
        crossing.shard,
        crossing.request_index,
        crossing.edge,
        case
            when crossing.tokens_in_all is null then (crossing.gaps_before + 1) / delivered.token_chunks
            else crossing.tokens_before / crossing.tokens_in_all
        end as share,
    from crossing
    inner join delivered using (level_no, shard, request_index)
),

flows as (
    select
        edges.level_no,
        edges.edge,
        any_value(edges.edge_ns) as edge_ns,
        count(*) filter (where delivered.closed_ns <= edges.edge_ns) as completions,
        sum(case when delivered.first_token_ns <= edges.edge_ns then delivered.input_tokens else 0 end) as input_tokens,
        -- rounded: threads add in any order, and a rebuild is to be equal
        round(
            sum(
                case
                    when delivered.last_token_ns <= edges.edge_ns then delivered.output_tokens
                    when delivered.first_token_ns > edges.edge_ns then 0
                    else
                        delivered.output_tokens * coalesce(
                            arrived.share,
                            (edges.edge_ns - delivered.first_token_ns)
                            / nullif(delivered.last_token_ns - delivered.first_token_ns, 0)
                        )
                end
            ),
            6
        ) as output_tokens,
        bool_and(delivered.input_tokens is not null) as knows_input,
        bool_and(delivered.output_tokens is not null) as knows_output,
    from edges
    inner join delivered using (level_no)
    left join arrived using (level_no, shard, request_index, edge)
    group by edges.level_no, edges.edge
)

select
    level_no,
    edge,
    edge_ns,
    completions,
    case when knows_input then cast(input_tokens as double) end as input_tokens,
    case when knows_output then cast(output_tokens as double) end as output_tokens,
from flows
