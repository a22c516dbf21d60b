-- staging.attempts: every attempt of every run, and which one stands for the run.
-- grain: run_id, attempt
-- columns: those of raw.runs, and is_current: the latest complete attempt; without one the latest with landed
--   levels; without that the latest. The others stay visible and are never chosen.
-- assertions (attempts.test.sql): every run has exactly one current attempt
with runs as (
    select * from raw.runs
),

ranked as (
    select
        *,
        row_number() over (
            partition by run_id
            order by (status = 'complete') desc, (levels_measured > 0) desc, attempt desc
        ) as preference,
    from runs
)

select
    * exclude (preference),
    preference = 1 as is_current,
from ranked
