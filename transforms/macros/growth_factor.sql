-- growth_factor: what the rates of a demand have grown to (docs/economics.md, Servers).
-- A public what-if scalar macro: `growth` a year (0.5: half as much again) since `as_of`, a date; 1 where it is null.
-- grain: a scalar
create or replace macro growth_factor(growth, as_of, on_date) as (
    coalesce((1 + cast(growth as double)) ^ (date_diff('day', cast(as_of as date), cast(on_date as date)) / 365), 1)
)
