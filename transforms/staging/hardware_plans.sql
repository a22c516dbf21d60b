-- staging.hardware_plans: what each price plan in force on a night charges for each kind of hardware that was measured
-- (docs/economics.md, Which plans apply).
-- grain: catalog_hash, run_date, model, accelerator, gpus_per_instance, gpus_per_server, price_plan
-- columns: gpus_per_server, of the endpoint's hardware; fits: whether the plan applies without being named, for it is
--   for the model and for the accelerator or any GPU, in servers of that size, or sells tokens. An accelerator that no
--   plan names (H100-SXM5) is priced by the plans of its kind (h100), in capitals or not; unit, what is paid for:
--   server, instance (rent by the GPU: nothing is stranded), unit (provisioned) or request (API);
--   priced_gpus_per_server, of the plan's server; server_year_usd and unit_year_usd, null for an API;
--   instances_per_unit; and the plan's terms.
with hardware as (
    select
        catalog_hash,
        run_date,
        model,
        accelerator,
        gpus_per_instance,
        gpus_per_server,
    from staging.hardware
    union
    select
        demands.catalog_hash,
        demands.run_date,
        rates.model,
        rates.accelerator,
        rates.gpus_per_instance,
        rates.gpus_per_server,
    from staging.mix_rates as rates
    inner join staging.mix_demands as demands using (mix_id)
    where rates.rps_per_instance is not null
),

-- a plan that names an accelerator exactly leaves no question of its kind
named as (
    select
        catalog_hash,
        list(distinct lower(accelerator)) as accelerators,
    from raw.price_plans
    group by catalog_hash
),

in_force as (
    select
        hardware.*,
        plans.* exclude (catalog_hash, accelerator, models, gpus_per_server),
        coalesce(plans.gpus_per_server, hardware.gpus_per_server) as priced_gpus_per_server,
        case
            when plans.kind = 'api' then 'request'
            when plans.rent_unit = 'gpu' then 'instance'
            when plans.rent_unit = 'provisioned' then 'unit'
            else 'server'
        end as unit,
        coalesce(
            (coalesce(len(plans.models), 0) = 0 or list_contains(plans.models, hardware.model))
            and (
                unit in ('request', 'unit')
                or (
                    (
                        lower(plans.accelerator) = lower(hardware.accelerator)
                        or (
                            starts_with(lower(hardware.accelerator), lower(plans.accelerator))
                            and regexp_matches(hardware.accelerator[len(plans.accelerator) + 1:], '^[^A-Za-z0-9]')
                            and not list_contains(named.accelerators, lower(hardware.accelerator))
                        )
                        or (plans.accelerator is null and hardware.accelerator is distinct from 'cpu')
                    )
                    and (plans.gpus_per_server is null or plans.gpus_per_server = hardware.gpus_per_server)
                )
            ),
            false
        ) as fits,
    from hardware
    inner join raw.price_plans as plans
        on
            hardware.catalog_hash = plans.catalog_hash
            and hardware.run_date >= plans.valid_from
            and (plans.valid_to is null or hardware.run_date <= plans.valid_to)
    inner join named on plans.catalog_hash = named.catalog_hash
)

select
    catalog_hash,
    run_date,
    model,
    accelerator,
    gpus_per_instance,
    gpus_per_server,
    price_plan,
    kind,
    rent_unit,
    pricing_category,
    currency,
    valid_from,
    valid_to,
    source,
    server_price,
    salvage,
    depreciation_years,
    hosting_year,
    software_year,
    licence_basis,
    power_kw,
    pue,
    usd_per_kwh,
    staff_year,
    other_year,
    usd_per_hour,
    tokens_per_s,
    price_in,
    price_cached,
    price_out,
    price_reasoning,
    fits,
    unit,
    priced_gpus_per_server,
    -- an own plan's extras that it does not state are not part of it; a power without its price is unknown
    case
        when kind = 'own'
            then
                own_server_year(
                    server_price, depreciation_years, hosting_year, software_year,
                    licence_basis := coalesce(licence_basis, 'per_server'),
                    gpus_per_server := priced_gpus_per_server,
                    power_kw := case when power_kw is null and usd_per_kwh is null then 0 else power_kw end,
                    pue := coalesce(pue, 1),
                    usd_per_kwh := case when power_kw is null and usd_per_kwh is null then 0 else usd_per_kwh end,
                    staff_year := coalesce(staff_year, 0),
                    other_year := coalesce(other_year, 0),
                    salvage := coalesce(salvage, 0)
                )
        when unit = 'server' then usd_per_hour * 8760
    end as server_year_usd,
    case unit
        when 'server' then server_year_usd
        when 'instance' then gpus_per_instance * usd_per_hour * 8760
        when 'unit' then usd_per_hour * 8760
    end as unit_year_usd,
    case
        when unit in ('instance', 'unit') then 1
        when unit = 'server' and gpus_per_instance <= priced_gpus_per_server
            then priced_gpus_per_server // nullif(gpus_per_instance, 0)
        when unit = 'server' then 1 / ceil(gpus_per_instance / nullif(priced_gpus_per_server, 0))
    end as instances_per_unit,
from in_force
