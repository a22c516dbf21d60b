-- curated.imported_summaries: what other tools say of their tests, word for word (docs/importing.md).
-- grain: run_id, attempt, level_index
-- columns: those of raw.summary_points (comments in schemas/columns.py), the operating point of the level, and
--   is_current (staging.attempts). Rows of a run without a manifest are left out. operating_points has of it
--   what our definitions allow: percentiles of too few samples are here alone.
select
    summaries.*,
    levels.operating_point_id,
    attempts.is_current,
from raw.summary_points as summaries
inner join staging.attempts as attempts using (run_id, attempt)
left join staging.levels as levels using (run_id, attempt, level_index)
