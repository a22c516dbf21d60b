-- The runs but for those of a night to come that was retracted (a wrong --night, or clock): it is not the last night.
select *
from runs
where retracted_at is null or night <= make_timestamp(epoch_us(now())) + interval 1 day
