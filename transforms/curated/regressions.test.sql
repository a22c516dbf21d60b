-- assert: a change began before it was found, and was found before it is told again
select
    series_id,
    night,
    regression_id,
    step_night,
    first_night,
from curated.regressions
where step_night > first_night or first_night > night or is_new <> (night = first_night);

-- assert: how sure and which way is said of every one
select
    series_id,
    night,
    regression_id,
    confidence,
    direction,
from curated.regressions
where not confidence between 0.5 and 1 or direction not in ('worse', 'better') or suspects is null;
