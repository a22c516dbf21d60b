-- staging.level_flow: what had been delivered at each of the 11 edges of a window's 10 equal slices.
-- grain: level_no, edge
-- columns: edge_ns; completions, input_tokens, output_tokens: of ok requests, counted up from some instant before
--   the window, so that only differences between edges mean anything. Input tokens count when the first token
--   shows that the prompt was done. Output tokens count as their chunks arrive: a request that straddles an edge
--   gives the share that its chunks before the edge had, and only such requests are taken apart chunk by chunk.
--   Null where a request has no token count. Where an imported request has no chunk times its tokens are spread evenly
--   from the first to the last.
with windows as (
    select
        level_no,
        run_id,
        attempt,
        level_index,
        window_started_ns,
        window_ended_ns,
    from staging.levels
    where window_started_ns is not null
),

edges as (
    select
        level_no,
        edge,
        window_started_ns + (window_ended_ns - window_started_ns) * edge // 10 as edge_ns,
    from windows
    cross join (select unnest(range(11)) as edge,) as positions
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
    from staging.requests as requests
    inner join windows using (level_no)
    where
        requests.is_ok
        and requests.closed_ns > windows.window_started_ns
        and requests.first_token_ns <= windows.window_ended_ns
),

straddling as (
    select
        delivered.*,
        edges.edge,
        edges.edge_ns,
    from delivered
    inner join edges
        on
            delivered.level_no = edges.level_no
            and delivered.first_token_ns <= edges.edge_ns
            and delivered.last_token_ns > edges.edge_ns
),

-- how many of its gaps lie before the edge: steps that halve, taken where the sum of so many still fits
counted as (
    select
        straddling.level_no,
        straddling.shard,
        straddling.request_index,
        straddling.edge,
        traces.token_chunks,
        traces.chunk_tokens,
        list_reduce(  -- noqa: PRS
            [
                1048576, 524288, 262144, 131072, 65536, 32768, 16384, 8192, 4096, 2048,
                1024, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1
            ],
            lambda gaps, step: case
                when
                    gaps + step <= len(traces.gaps_us)
                    and list_sum(traces.gaps_us[:gaps + step]) <= (straddling.edge_ns - straddling.first_token_ns) // 1000
                    then gaps + step
                else gaps
            end,
            0
        ) as gaps_before,
    from straddling
    inner join windows using (level_no)
    inner join raw.request_traces as traces using (run_id, attempt, level_index, shard, request_index)
    where traces.gaps_us is not null
),

arrived as (
    select
        level_no,
        shard,
        request_index,
        edge,
        case
            when chunk_tokens is null then (gaps_before + 1) / token_chunks
            else list_sum(chunk_tokens[:gaps_before + 1]) / list_sum(chunk_tokens)
        end as share,
    from counted
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
