-- FOCUS 1.2 cost and usage: one day of the ledger's buckets as charges (docs/feeds.md, FOCUS).
-- grain: x_FleetId, x_PricePlan, x_Bucket
-- columns: schemas/focus.py. Of a day with several nights the last one stands for the day, of the allocation methods
--   the one asked for where a fleet has it, else the only one it has; so each dollar of a fleet's day is in one row.
--   Buckets without money have no row. The bucket unallocated holds what could not be split.
-- variables: method, provider, publisher, issuer; price_plans, endpoints, demands (empty: all); since, until (null:
--   all). Names are quoted to stand as the specification writes them.
-- noqa: disable=RF06
with ledger as (
    select * from curated.cost_ledger
    where
        (len(getvariable('price_plans')) = 0 or list_contains(getvariable('price_plans'), price_plan))
        and (len(getvariable('endpoints')) = 0 or list_contains(getvariable('endpoints'), endpoint))
        and (len(getvariable('demands')) = 0 or list_contains(getvariable('demands'), demand))
        and (getvariable('since') is null or run_date >= getvariable('since'))
        and (getvariable('until') is null or run_date <= getvariable('until'))
),

nights as (
    select
        demand,
        endpoint,
        run_date,
        max(night) as night,
    from ledger
    group by demand, endpoint, run_date
),

methods as (
    select
        fleet_id,
        price_plan,
        -- both names of a fleet that has several are there, and a pool has but one
        coalesce(
            max(allocation_method) filter (where allocation_method = getvariable('method')), max(allocation_method)
        ) as allocation_method,
    from ledger
    group by fleet_id, price_plan
),

plans as (
    select
        fleet_id,
        price_plan,
        allocation_method,
        rent_unit,
        pricing_category,
        price_source,
        priced_unit,
        priced_units,
        unit_year_usd,
    from curated.cost_per_million_tokens
    where cost_basis = 'demand'
),

shares as (
    select
        operating_point_id,
        slo,
        nullif(judged_requests - failed_requests, 0) as served_requests,
        failed_requests,
        missed_requests,
        good_input_tokens - coalesce(good_cached_input_tokens, 0) as fresh_input_tokens,
        good_cached_input_tokens,
        good_output_tokens,
    from curated.time_shares
),

charges as (
    select
        ledger.*,
        plans.rent_unit,
        plans.pricing_category,
        plans.price_source,
        fleets.application,
        fleets.model,
        ledger.usd / 365 as day_usd,
        ledger.served_rps * 86400 as served_a_day,
        case plans.priced_unit
            when 'server' then 'Server-Hours'
            when 'instance' then 'Instance-Hours'
            when 'unit' then 'Unit-Hours'
            when 'request' then 'Requests'
        end as pricing_unit,
        -- what is paid for in a year, by the unit: an API's requests, or hours of a fleet that runs all year
        case plans.priced_unit
            when 'request' then ledger.fleet_year_usd / nullif(ledger.served_rps * 31536000, 0)
            else plans.unit_year_usd / 8760
        end as unit_price,
        case ledger.bucket
            when 'input' then shares.fresh_input_tokens
            when 'cached_input' then shares.good_cached_input_tokens
            when 'output' then shares.good_output_tokens
            when 'failed' then shares.failed_requests
            when 'slo_missed' then shares.missed_requests
        end / shares.served_requests * served_a_day as consumed,
    from ledger
    inner join nights using (demand, endpoint, run_date, night)
    inner join methods using (fleet_id, price_plan, allocation_method)
    inner join plans using (fleet_id, price_plan, allocation_method)
    inner join curated.server_counts as fleets using (fleet_id)
    left join shares
        on ledger.operating_point_id = shares.operating_point_id and ledger.slo = shares.slo
    where ledger.usd <> 0
),

quantities as (
    select
        *,
        day_usd / unit_price as pricing_quantity,
        -- the product is the cost, to the last bit: whoever checks multiplies
        unit_price * pricing_quantity as cost,
        consumed > 0 as is_counted,
        json_object(
            'x_PriceKind', price_kind, 'x_RentUnit', rent_unit, 'x_PricingCategory', pricing_category
        ) as price_details,
    from charges
)

select
    cost as "BilledCost",
    price_plan as "BillingAccountId",
    cast(null as varchar) as "BillingAccountName",
    currency as "BillingCurrency",
    cast(date_trunc('month', run_date) + interval 1 month as timestamp) as "BillingPeriodEnd",
    cast(date_trunc('month', run_date) as timestamp) as "BillingPeriodStart",
    'Usage' as "ChargeCategory",
    cast(null as varchar) as "ChargeClass",
    concat(bucket, ' of ', endpoint, ' for ', demand, ', plan ', price_plan) as "ChargeDescription",
    'Usage-Based' as "ChargeFrequency",
    cast(run_date + interval 1 day as timestamp) as "ChargePeriodEnd",
    cast(run_date as timestamp) as "ChargePeriodStart",
    cast(null as varchar) as "CommitmentDiscountId",
    cast(null as varchar) as "CommitmentDiscountStatus",
    case when is_counted then consumed else pricing_quantity end as "ConsumedQuantity",
    case
        when not coalesce(is_counted, false) then pricing_unit
        when bucket in ('failed', 'slo_missed') then 'Requests'
        else 'Tokens'
    end as "ConsumedUnit",
    cost as "ContractedCost",
    cost as "EffectiveCost",
    cast(null as varchar) as "InvoiceId",
    getvariable('issuer') as "InvoiceIssuerName",
    cost as "ListCost",
    unit_price as "ListUnitPrice",
    case when pricing_category = 'spot' then 'Dynamic' else 'Standard' end as "PricingCategory",
    currency as "PricingCurrency",
    unit_price as "PricingCurrencyContractedUnitPrice",
    cost as "PricingCurrencyEffectiveCost",
    unit_price as "PricingCurrencyListUnitPrice",
    pricing_quantity as "PricingQuantity",
    pricing_unit as "PricingUnit",
    getvariable('provider') as "ProviderName",
    getvariable('publisher') as "PublisherName",
    concat(demand, '/', endpoint) as "ResourceId",
    cast(null as varchar) as "ResourceName",
    'Fleet' as "ResourceType",
    'AI and Machine Learning' as "ServiceCategory",
    'LLM inference' as "ServiceName",
    'Generative AI' as "ServiceSubcategory",
    concat(endpoint, '/', bucket) as "SkuId",
    bucket as "SkuMeter",
    cast(price_details as varchar) as "SkuPriceDetails",
    concat(endpoint, '/', bucket, '/', price_plan) as "SkuPriceId",
    demand as "SubAccountId",
    application as "SubAccountName",
    allocation_method as "x_AllocationMethod",
    bucket as "x_Bucket",
    demand as "x_Demand",
    endpoint as "x_Endpoint",
    fleet_id as "x_FleetId",
    mean_basis as "x_MeanBasis",
    metric_version as "x_MetricVersion",
    model as "x_Model",
    operating_point_id as "x_OperatingPointId",
    price_kind as "x_PriceKind",
    price_plan as "x_PricePlan",
    price_source as "x_PriceSource",
    run_id as "x_RunId",
    slo as "x_Slo",
    workload as "x_Workload",
from quantities
order by "ChargePeriodStart", "x_FleetId", "x_PricePlan", "x_Bucket"
