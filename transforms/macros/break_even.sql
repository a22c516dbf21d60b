-- break_even: from how many hours a year an owned server is cheaper than a rented one (docs/economics.md, Break-even).
-- A public what-if macro: prices in one currency; a utilisation above 1 means never. The table curated.break_even holds
-- the same for the measured fleets, and against APIs.
-- grain: one row
create or replace macro break_even(server_year, usd_per_server_hour) as table
    select
        year_usd / nullif(hour_usd, 0) as hours_per_year,
        year_usd / nullif(hour_usd, 0) / 8760 as utilisation,
    from (values (cast(server_year as double), cast(usd_per_server_hour as double))) as input (year_usd, hour_usd)
