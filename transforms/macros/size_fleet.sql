-- size_fleet: instances, servers and GPUs for a peak request rate (docs/economics.md, Servers).
-- A public what-if macro: rates in requests/s, `headroom` a share of the peak, `spares` instances.
-- An instance never straddles servers: floor(k / g) instances fit a server of k GPUs, or one takes ceil(g / k) servers.
-- Zero rates and zero GPUs give null, never a made-up fleet.
-- grain: one row
create or replace macro size_fleet(
    peak_rps, rps_per_instance, gpus_per_instance, gpus_per_server, headroom := 0, spares := 0
) as table
    with given as (
        select
            peak,
            nullif(rate, 0) as rate,
            nullif(g, 0) as g,
            nullif(k, 0) as k,
            share_above,
            standby,
        -- a list of values has no aliases that an outer column of the same name could clash with
        from (
            values (
                cast(peak_rps as double), cast(rps_per_instance as double), cast(gpus_per_instance as double),
                cast(gpus_per_server as double), cast(headroom as double), cast(spares as double)
            )
        ) as input (peak, rate, g, k, share_above, standby)
    ),

    counted as (
        select
            peak,
            rate,
            g,
            k,
            ceil(round(peak * (1 + share_above) / rate, 9)) + standby as n,
        from given
    ),

    housed as (
        select
            peak,
            rate,
            g,
            k,
            n,
            case when g <= k then ceil(round(n / floor(k / g), 9)) else n * ceil(round(g / k, 9)) end as boxes,
        from counted
    )

    select
        try_cast(n as bigint) as instances,
        try_cast(n * g as bigint) as gpus,
        try_cast(boxes as bigint) as servers,
        try_cast(boxes * k - n * g as bigint) as stranded_gpus,
        peak / nullif(n * rate, 0) as utilisation,
    from housed
