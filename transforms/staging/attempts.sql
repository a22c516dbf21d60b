-- staging.attempts: every attempt of every run, and which one stands for the run.
-- grain: run_id, attempt
-- columns: those of raw.runs; is_current: the latest complete attempt; without one the latest with landed
--   levels; without that the latest; a retracted one only where all are. The others stay visible and are never chosen,
--   and superseded_by is the attempt that stands in their place.
-- assertions (attempts.test.sql): every run has exactly one current attempt
with runs as (
    select * from raw.runs
),

ranked as (
    select
        *,
        row_number() over (
            partition by run_id
            order by
                (retracted_at is null) desc, (status = 'complete') desc, (levels_measured > 0) desc, attempt desc
        ) as preference,
    from runs
)

select
    * exclude (preference),
    preference = 1 as is_current,
    case when preference > 1 then first_value(attempt) over (partition by run_id order by preference) end
        as superseded_by,
from ranked
