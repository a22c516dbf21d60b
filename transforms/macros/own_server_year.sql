-- own_server_year: what one owned server costs a year (docs/economics.md, Own, rent, or buy tokens).
-- A public what-if scalar macro: prices in one currency, all per server, `software_year` by `licence_basis`
-- (per_server or per_gpu, anything else gives null), `power_kw` at the plug of the server.
-- grain: a scalar
create or replace macro own_server_year(
    server_price, depreciation_years, hosting_year, software_year,
    licence_basis := 'per_server', gpus_per_server := 8,
    power_kw := 0, pue := 1, usd_per_kwh := 0, staff_year := 0, other_year := 0, salvage := 0
) as (
    (cast(server_price as double) - cast(salvage as double)) / nullif(cast(depreciation_years as double), 0)
    + cast(hosting_year as double)
    + cast(software_year as double)
    * case licence_basis when 'per_server' then 1.0 when 'per_gpu' then cast(gpus_per_server as double) end
    + cast(power_kw as double) * cast(pue as double) * 8760 * cast(usd_per_kwh as double)
    + cast(staff_year as double)
    + cast(other_year as double)
)
