-- price_fleet: what a fleet's year costs per request and per token (docs/economics.md, Three costs).
-- A public what-if macro: always three rows, one a cost basis. `capacity` fills every server, `slo` counts good
-- requests only, `demand` serves the mean rate; a basis whose rate is unknown has null prices, never another's.
-- Tokens are means of one request, cached a part of input. The split into input, cached and output prices is
-- price_ratio (NVIDIA): reference prices per 1M, of which only the ratios count; price_cached defaults to price_in,
-- and then the split does not depend on the cached tokens. A year has 31,536,000 s.
-- grain: cost_basis
create or replace macro price_fleet(
    servers, server_year, rps_per_server, input_tokens, output_tokens,
    cached_tokens := 0, uptime := 1, good_rps_per_server := null, mean_rps := null,
    price_in := null, price_cached := null, price_out := null
) as table
    with given as (
        select
            n,
            year_usd,
            rate * up as rate,
            good_rate * up as good_rate,
            mean_rate,
            isl,
            csl,
            osl,
            p_in,
            p_cached,
            p_out,
        -- a list of values has no aliases that an outer column of the same name could clash with
        from (
            values (
                cast(servers as double), cast(server_year as double), cast(rps_per_server as double),
                cast(good_rps_per_server as double), cast(mean_rps as double), cast(uptime as double),
                cast(input_tokens as double), cast(cached_tokens as double), cast(output_tokens as double),
                cast(price_in as double), cast(price_cached as double), cast(price_out as double)
            )
        ) as input (n, year_usd, rate, good_rate, mean_rate, up, isl, csl, osl, p_in, p_cached, p_out)
    ),

    served as (
        select
            *,
            n * year_usd as fleet_usd,
            n * rate as capacity_rps,
            n * good_rate as slo_rps,
            -- least(null, x) is x: an unknown mean must not become the capacity price
            case when mean_rate is null or n * rate is null then null else least(mean_rate, n * rate) end as demand_rps,
            case when p_cached is null then isl * p_in else (isl - csl) * p_in + csl * p_cached end as ref_input,
        from given
    ),

    bases as (
        select
            *,
            unnest(['capacity', 'slo', 'demand']) as basis,
            unnest([capacity_rps, slo_rps, demand_rps]) as rps,
        from served
    ),

    priced as (
        select
            *,
            fleet_usd * 1000 / (nullif(rps, 0) * 31536000) as per_1k,
            (ref_input + osl * p_out) / 1000 as ref_1k,
        from bases
    )

    select
        basis as cost_basis,
        rps as served_rps,
        fleet_usd as fleet_year,
        per_1k as usd_per_1k_prompts,
        per_1k / 1000 as usd_per_request,
        per_1k * 1000 / nullif(isl + osl, 0) as usd_per_mtok,
        p_in * per_1k / nullif(ref_1k, 0) as usd_per_mtok_input,
        coalesce(p_cached, p_in) * per_1k / nullif(ref_1k, 0) as usd_per_mtok_cached_input,
        p_out * per_1k / nullif(ref_1k, 0) as usd_per_mtok_output,
    from priced
