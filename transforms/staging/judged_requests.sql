-- staging.judged_requests: which measured requests are good by each SLO of their workload (docs/metrics.md).
-- grain: level_no, slo_no, shard, request_index
-- columns: is_good: ok and within the limit of every bound, null where that is not known. One chunk has no TPOT and is
--   within; a TPOT that is unknown for want of a token or chunk count is not known to be within. A request's own
--   itl and chunk_gap are its means. is_failed; is_judged: sent in the window, counts for attainment;
--   completed_in_window, counts for rates; output_tokens.
-- Ok and failed requests that have anything to do with the window. SLOs are those of the run's own catalog.
-- assertions (judged_requests.test.sql): what failed is not good
with applicable as (
    select
        levels.level_no,
        limits.* exclude (catalog_hash, slo, role),
    from staging.levels as levels
    inner join staging.attempts as attempts using (run_id, attempt)
    inner join raw.slos as slos using (catalog_hash)
    inner join staging.slo_limits as limits
        on
            attempts.catalog_hash = limits.catalog_hash
            and slos.slo = limits.slo
            and attempts.role = limits.role
    where len(slos.workloads) = 0 or list_contains(slos.workloads, attempts.workload)
),

requests as (
    select
        *,
        -- no TPOT for want of tokens after the first chunk, not for want of a count
        tpot_ms is null
        and token_chunks is not null
        and (output_tokens is not null or token_chunks = 1) as is_single_chunk,
    from staging.requests
    where (is_ok or is_failed) and (sent_in_window or completed_in_window or is_in_flight_in_window)
)

select
    applicable.level_no,
    applicable.slo_no,
    requests.shard,
    requests.request_index,
    requests.is_failed,
    requests.sent_in_window as is_judged,
    requests.completed_in_window,
    requests.output_tokens,
    requests.is_ok
    and (applicable.ttft_limit_ms is null or requests.ttft_ms <= applicable.ttft_limit_ms)
    and (
        applicable.ttft_from_schedule_limit_ms is null
        or requests.ttft_from_schedule_ms <= applicable.ttft_from_schedule_limit_ms
    )
    and (applicable.ttfa_limit_ms is null or coalesce(requests.ttfa_ms <= applicable.ttfa_limit_ms, false))
    and (
        applicable.tpot_limit_ms is null or requests.is_single_chunk or requests.tpot_ms <= applicable.tpot_limit_ms
    )
    and (applicable.itl_limit_ms is null or requests.is_single_chunk or requests.tpot_ms <= applicable.itl_limit_ms)
    and (applicable.e2e_limit_ms is null or requests.e2e_ms <= applicable.e2e_limit_ms)
    and (applicable.ntpot_limit_ms is null or requests.ntpot_ms <= applicable.ntpot_limit_ms)
    and (
        applicable.chunk_gap_limit_ms is null
        or requests.token_chunks = 1
        or requests.chunk_gap_ms <= applicable.chunk_gap_limit_ms
    )
    and (applicable.e2e_to_close_limit_ms is null or requests.e2e_to_close_ms <= applicable.e2e_to_close_limit_ms)
    and (
        applicable.tpot_osl_minus_1_limit_ms is null
        or requests.output_tokens = 1
        or requests.token_chunks = 1
        or requests.tpot_osl_minus_1_ms <= applicable.tpot_osl_minus_1_limit_ms
    )
    and (
        applicable.tpot_including_ttft_limit_ms is null
        or requests.tpot_including_ttft_ms <= applicable.tpot_including_ttft_limit_ms
    )
    and (
        applicable.e2e_databricks_limit_ms is null
        or requests.is_single_chunk
        or requests.e2e_databricks_ms <= applicable.e2e_databricks_limit_ms
    )
    and (
        applicable.interactivity_limit_tps is null
        or requests.is_single_chunk
        or 1000 >= applicable.interactivity_limit_tps * requests.tpot_ms
    ) as is_good,
from applicable
inner join requests using (level_no)
