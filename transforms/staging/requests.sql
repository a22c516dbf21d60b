-- staging.requests: requests of all levels with their own latencies (docs/metrics.md, Latency).
-- grain: level_no, shard, request_index
-- columns: identity; file and row_no, where it lies; is_measured; *_ns on the wall clock; is_ok, is_failed (neither ok,
--   nor cancelled by the plan, nor interrupted with the client);
--   sent_in_window (latencies and attainment count these), completed_in_window (rates count these; the completion
--   that opens the window belongs to the time before it), is_in_flight_in_window (sent to closed, for any time of the
--   window; never one that was not sent); is_late_send (more than 5 ms after schedule, connecting
--   left out) and is_on_reused (no connection had to be opened), null where it was never sent or another tool did;
--   streamed_tokens, output tokens that came as text: billed but unstreamed reasoning is left out; mean_chunk_tokens,
--   of them a chunk, where only that mean is known; *_ms, the metrics of
--   LATENCY_METRICS in schemas/columns.py that one request has, null where they never happened or the token count is
--   unknown.
-- Those that are measured, and those of the warm-up that were still under way when the window began: what they did in
--   it counts for rates, and nothing else. The probe, level 0, is not among them.
with traces as (
    select * from raw.request_traces
    where level_index > 0
),

placed as (
    select
        traces.* exclude (sent_ns),
        levels.level_no,
        levels.window_started_ns,
        levels.window_ended_ns,
        epoch_us(traces.epoch_wall_at) * 1000 as epoch_ns,
        case traces.load_kind
            when 'open' then coalesce(traces.scheduled_ns, traces.sent_ns)
            else coalesce(traces.sent_ns, traces.scheduled_ns)
        end
            as placed_ns,
        traces.sent_ns is not null as was_sent,
        coalesce(traces.sent_ns, traces.scheduled_ns) as sent_ns,
        traces.phase = 'measure' as is_measured,
        traces.sent_ns - traces.scheduled_ns - coalesce(traces.connect_ns, 0) > 5000000 as is_late_send,
        case
            when traces.sent_ns is not null and traces.clock_source <> 'imported' then traces.connect_ns is null
        end as is_on_reused,
    from traces
    inner join staging.levels as levels using (run_id, attempt, level_index)
    where is_measured or epoch_ns + traces.closed_ns > levels.window_started_ns
),

counted as (
    select
        *,
        case
            when output_tokens is null then null
            when chunk_tokens is not null then list_sum(chunk_tokens)
            when reasoning_tokens > 0 and first_answer_ns = first_token_ns then output_tokens - reasoning_tokens
            else output_tokens
        end as streamed_tokens,
        outcome = 'ok' as is_ok,
        last_token_ns - first_token_ns as streaming_ns,
    from placed
),

timed as (
    select
        *,
        coalesce(chunk_tokens[1], streamed_tokens / nullif(token_chunks, 0)) as first_chunk_tokens,
        (first_token_ns - sent_ns) / 1e6 as ttft_ms,
        (last_token_ns - sent_ns) / 1e6 as e2e_ms,
        (closed_ns - sent_ns) / 1e6 as e2e_to_close_ms,
    from counted
),

measured as (
    select
        *,
        streaming_ns / 1e6 / nullif(streamed_tokens - first_chunk_tokens, 0) as tpot_ms,
    from timed
)

select
    level_no,
    shard,
    request_index,
    file,
    row_no,
    is_measured,
    is_ok,
    not is_ok and outcome not in ('cancelled', 'interrupted') as is_failed,
    clock_source,
    clock_suspect or e2e_to_close_ms < 0 or ttft_ms < 0 or streaming_ns < 0 as is_clock_suspect,
    first_token_merged,
    is_late_send,
    is_on_reused,
    reads,
    merged_reads,
    epoch_ns + sent_ns as sent_ns,
    epoch_ns + first_token_ns as first_token_ns,
    epoch_ns + last_token_ns as last_token_ns,
    epoch_ns + closed_ns as closed_ns,
    coalesce(is_measured and epoch_ns + placed_ns between window_started_ns and window_ended_ns, false)
        as sent_in_window,
    coalesce(epoch_ns + closed_ns > window_started_ns and epoch_ns + closed_ns <= window_ended_ns, false)
        as completed_in_window,
    coalesce(
        was_sent and epoch_ns + closed_ns > window_started_ns and epoch_ns + sent_ns < window_ended_ns, false
    ) as is_in_flight_in_window,
    token_chunks,
    input_tokens,
    cached_input_tokens,
    output_tokens,
    reasoning_tokens,
    streamed_tokens,
    case when chunk_tokens is null then streamed_tokens / token_chunks end as mean_chunk_tokens,
    target_output_tokens,
    ttft_ms,
    (first_token_ns - scheduled_ns) / 1e6 as ttft_from_schedule_ms,
    (first_answer_ns - sent_ns) / 1e6 as ttfa_ms,
    tpot_ms,
    e2e_ms,
    e2e_ms / nullif(output_tokens, 0) as ntpot_ms,
    streaming_ns / 1e6 / nullif(token_chunks - 1, 0) as chunk_gap_ms,
    e2e_to_close_ms,
    streaming_ns / 1e6 / nullif(output_tokens - 1, 0) as tpot_osl_minus_1_ms,
    e2e_ms / nullif(output_tokens, 0) as tpot_including_ttft_ms,
    ttft_ms + tpot_ms * output_tokens as e2e_databricks_ms,
    1000 / nullif(tpot_ms, 0) as interactivity_tps,
from measured
