-- staging.gap_histogram: how often each gap between token chunks came, over the ok requests sent in the window.
-- grain: level_no, gap_us, chunk_tokens, mean_tokens
-- columns: chunk_tokens, tokens of the later chunk; mean_tokens, tokens a chunk of the request where only that mean is
--   known; both null where the server gave no token count; occurrences.
-- The one pass over every gap: whole microseconds fold into few rows, which later steps can weigh and sort for little.
with streams as (
    select
        requests.level_no,
        traces.gaps_us,
        case when requests.output_tokens is not null then traces.chunk_tokens[2:] end as later_chunk_tokens,
        case when traces.chunk_tokens is null then requests.streamed_tokens / requests.token_chunks end as mean_tokens,
    from raw.request_traces as traces
    inner join staging.requests as requests using (run_id, attempt, level_index, shard, request_index)
    where requests.is_ok and requests.sent_in_window and traces.token_chunks > 1
),

gaps as (
    select
        level_no,
        mean_tokens,
        unnest(gaps_us) as gap_us,
        unnest(later_chunk_tokens) as chunk_tokens,
    from streams
)

select
    level_no,
    gap_us,
    chunk_tokens,
    mean_tokens,
    count(*) as occurrences,
from gaps
group by level_no, gap_us, chunk_tokens, mean_tokens
