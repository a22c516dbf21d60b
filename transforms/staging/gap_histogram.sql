-- staging.gap_histogram: how often each gap between token chunks came, over the ok requests sent in the window.
-- grain: level_no, gap_us, chunk_tokens, mean_tokens
-- columns: chunk_tokens, tokens of the later chunk; mean_tokens, tokens a chunk of the request where only that mean is
--   known; both null where the server gave no token count; occurrences.
-- The one pass over every gap: whole microseconds fold into few rows, which later steps can weigh and sort for little.
-- A kind is a level and a mean_tokens: gaps by the million are grouped much faster by one number than by both.
with streams as (
    select
        run_id,
        attempt,
        level_index,
        shard,
        request_index,
        level_no,
        mean_chunk_tokens,
        output_tokens is not null as has_tokens,
        cast(dense_rank() over (order by level_no, mean_chunk_tokens) as integer) as kind_no,
    from staging.requests
    where is_ok and sent_in_window and token_chunks > 1
),

gaps as (
    select
        streams.kind_no,
        unnest(traces.gaps_us) as gap_us,
        unnest(case when streams.has_tokens then traces.chunk_tokens[2:] end) as chunk_tokens,
    from raw.request_traces as traces
    inner join streams using (run_id, attempt, level_index, shard, request_index)
),

counted as (
    select
        kind_no,
        gap_us,
        chunk_tokens,
        count(*) as occurrences,
    from gaps
    group by kind_no, gap_us, chunk_tokens
),

kinds as (
    select distinct
        kind_no,
        level_no,
        mean_chunk_tokens,
    from streams
)

select
    kinds.level_no,
    counted.gap_us,
    counted.chunk_tokens,
    kinds.mean_chunk_tokens as mean_tokens,
    counted.occurrences,
from counted
inner join kinds using (kind_no)
