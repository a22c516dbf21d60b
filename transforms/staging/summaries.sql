-- staging.summaries: the load levels that other tools measured and summed up (raw.summary_points), by level_no.
-- grain: level_no
-- columns: those of raw.summary_points but the identity, which staging.levels has; error_share. Those of runs with a
--   manifest.
select
    levels.level_no,
    summaries.* exclude (
        run_id, attempt, endpoint, run_date, level_index, load_kind, concurrency, request_rate, tool, tool_version,
        source_file, content_sha256, started_at
    ),
    case summaries.failed_requests when 0 then 0 else summaries.failed_requests / summaries.requests end as error_share,
from raw.summary_points as summaries
inner join staging.levels as levels using (run_id, attempt, level_index)
