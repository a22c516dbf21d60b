-- assert: every run has exactly one current attempt
select
    run_id,
    count(*) filter (where is_current) as current_attempts,
from staging.attempts
group by run_id
having count(*) filter (where is_current) <> 1;
