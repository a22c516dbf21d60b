-- staging.gap_histogram: how often each gap between token chunks came, over the ok requests sent in the window.
-- grain: level_no, gap_us, chunk_tokens, mean_tokens
-- columns: chunk_tokens, tokens of the later chunk; mean_tokens, tokens a chunk of the request where only that mean is
--   known; both null where the server gave no token count; occurrences.
-- Whole microseconds fold into few rows, which later steps can weigh and sort for little.
select
    level_no,
    gap_us,
    chunk_tokens,
    mean_tokens,
    cast(sum(occurrences) as bigint) as occurrences,
from staging.gap_folds
where occurrences is not null
group by level_no, gap_us, chunk_tokens, mean_tokens
