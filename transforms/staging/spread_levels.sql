-- staging.spread_levels: levels whose requests have means of their own of tokens a chunk, more than fold into few rows.
-- grain: level_no
-- columns: failed and succeeded requests of those sent in the window.
-- Usage that counts one token more than chunks came is enough: the mean then follows the answer's length. No request of
--   such a level says what each of its chunks brought; where some do, all are counted by staging.gap_folds.
select
    level_no,
    count(*) filter (where is_failed) as failed,
    count(*) filter (where is_ok) as succeeded,
from staging.requests
where sent_in_window and (is_ok or is_failed)
group by level_no
having
    count(distinct mean_chunk_tokens) filter (where is_ok and token_chunks > 1) > 16
    and bool_and(mean_chunk_tokens is not null or output_tokens is null) filter (where is_ok and token_chunks > 1)
