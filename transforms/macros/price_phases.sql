-- price_phases: prefill and decode on hardware of their own (docs/economics.md, Input and output prices).
-- A public what-if macro: `usd_per_hour` of either server, `output_tps` of a decode server in tokens/s, `prefill_rps`
-- of a prefill server in requests/s, `output_tokens` of one request. Source: Chip Huyen, prefill and decode apart.
-- grain: one row
create or replace macro price_phases(usd_per_hour, output_tps, prefill_rps, output_tokens) as table
    with given as (
        select
            hour_usd,
            nullif(token_rate, 0) as token_rate,
            nullif(request_rate, 0) as request_rate,
            osl,
        -- a list of values has no aliases that an outer column of the same name could clash with
        from (
            values (
                cast(usd_per_hour as double), cast(output_tps as double), cast(prefill_rps as double),
                cast(output_tokens as double)
            )
        ) as input (hour_usd, token_rate, request_rate, osl)
    ),

    phases as (
        select
            hour_usd / (token_rate * 3600) * 1e6 as decode_mtok,
            hour_usd / (token_rate * 3600) * osl * 1000 as decode_1k,
            hour_usd / (request_rate * 3600) * 1000 as prefill_1k,
        from given
    )

    select
        decode_mtok as usd_per_mtok_output,
        decode_1k as usd_decode_per_1k,
        prefill_1k as usd_prefill_per_1k,
        decode_1k + prefill_1k as usd_total_per_1k,
    from phases
