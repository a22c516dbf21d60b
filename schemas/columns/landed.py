"""Tables that the load generator or an importer lands as Parquet."""

from schemas.columns.table import Column, N, R, Table
from schemas.columns.vocabulary import LATENCY_METRICS, STATISTICS

REQUEST_TRACES = Table(
    "raw",
    "request_traces",
    ("run_id", "attempt", "level_index", "shard", "request_index"),
    "One row per request sent, failures too. Times are nanoseconds after epoch_wall_at on one monotonic clock.",
    (
        # identity
        R("run_id", "VARCHAR", "One endpoint x workload x load on one scheduled night"),
        R("attempt", "INTEGER", "1 for the first try of the run, counted up"),
        R("suite", "VARCHAR", "Suite of the catalog, or adhoc"),
        R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        R("workload", "VARCHAR", "Workload of the catalog"),
        R("load", "VARCHAR", "Load of the catalog"),
        R("run_date", "DATE", "UTC date of the scheduled night"),
        R("level_index", "INTEGER", "Position of the load level in the plan; 0 is the probe before the levels"),
        R("load_kind", "VARCHAR", "closed (fixed concurrency) or open (fixed arrival rate)"),
        N("concurrency", "INTEGER", "Requests kept in flight over all shards (closed loop)"),
        N("request_rate", "DOUBLE", "Scheduled arrivals over all shards (open loop)", "1/s"),
        R("shard", "INTEGER", "Worker process of the level"),
        R("request_index", "BIGINT", "Position of the request in its shard"),
        R("phase", "VARCHAR", "probe, warmup or measure"),
        N("conversation_index", "BIGINT", "Conversation of its shard that it is a turn of; null: a single request"),
        N("turn_index", "INTEGER", "Turn of the conversation, from 0; null: a single request"),
        N("prefix_group", "INTEGER", "Which shared prefix its prompt begins with; null: none"),
        # provenance
        R("model", "VARCHAR", "Model name sent"),
        R("api", "VARCHAR", "chat, completions or responses"),
        R("config_hash", "VARCHAR", "Hash of endpoint, workload and load as planned"),
        R("client_version", "VARCHAR", "Version of the load generator; of an import the tool and its version"),
        R("schema_version", "INTEGER", "Version of this list of columns"),
        N("transport", "VARCHAR", "socket (ours) or httpx (through a proxy or over HTTP/2); null: imported, or older"),
        # clock
        R("epoch_wall_at", "TIMESTAMP", "Wall clock (UTC) at the instant that all *_ns count from"),
        R(
            "clock_source",
            "VARCHAR",
            "kernel (receive time of the socket), user (when the client read) or imported (another tool's)",
        ),
        R("clock_suspect", "BOOLEAN", "A kernel stamp was impossible and the user stamp was taken"),
        N("reads", "INTEGER", "Socket reads of the response; null: imported"),
        N(
            "merged_reads",
            "INTEGER",
            "Reads that held several token events because the client was late; null: imported",
        ),
        N(
            "first_token_merged",
            "BOOLEAN",
            "The first token came in a merged read: TTFT is an upper bound; null: imported",
        ),
        # times
        N(
            "scheduled_ns",
            "BIGINT",
            "The load plan wanted the request to start; null: the imported file does not say",
            "ns",
        ),
        N("sent_ns", "BIGINT", "First byte handed to the socket, connection already open", "ns"),
        N("headers_ns", "BIGINT", "Response status line and headers received", "ns"),
        N("first_chunk_ns", "BIGINT", "First SSE data event of any kind", "ns"),
        N("first_token_ns", "BIGINT", "First event with generated text, reasoning included", "ns"),
        N("first_answer_ns", "BIGINT", "First event with non-reasoning text", "ns"),
        N("last_token_ns", "BIGINT", "Last event with generated text", "ns"),
        R("closed_ns", "BIGINT", "Stream ended, or the error", "ns"),
        N(
            "connect_ns",
            "BIGINT",
            "TCP and TLS connect, where the request waited for it; null: the connection was open before its time",
            "ns",
        ),
        # what happened
        R("outcome", "VARCHAR", "ok or the way it failed"),
        N("http_status", "INTEGER", "Status of the response"),
        N("finish_reason", "VARCHAR", "As the server said"),
        N("error", "VARCHAR", "Why it failed: at most 500 characters, secrets redacted"),
        # tokens
        N("input_tokens", "BIGINT", "Prompt tokens by the server's usage, or as input_token_source says", "tokens"),
        N("cached_input_tokens", "BIGINT", "Part of input_tokens served from a cache", "tokens"),
        N(
            "output_tokens",
            "BIGINT",
            "Generated tokens by the server's usage, or as output_token_source says",
            "tokens",
        ),
        N("reasoning_tokens", "BIGINT", "Part of output_tokens that was reasoning", "tokens"),
        N(
            "input_token_source",
            "VARCHAR",
            "usage, or tool (an imported file's own count); null where the count is unknown",
        ),
        N(
            "output_token_source",
            "VARCHAR",
            "usage, or tool (an imported file's own count); null where the count is unknown",
        ),
        N("target_input_tokens", "INTEGER", "Prompt length that the workload asked for; null: not known", "tokens"),
        N("target_output_tokens", "INTEGER", "Output length that the workload asked for; null: not known", "tokens"),
        # stream
        N(
            "token_chunks",
            "INTEGER",
            "Chunks with generated text; events of one merged read are one chunk; null: not known",
        ),
        N(
            "gaps_us",
            "INTEGER[]",
            "Gaps between consecutive token chunks: token_chunks - 1 values; null: not known",
            "us",
        ),
        N("chunk_tokens", "INTEGER[]", "Tokens of each token chunk; null where only the mean is known", "tokens"),
        N("chunk_token_source", "VARCHAR", "usage (per chunk), events (one token an event) or chunk_mean"),
        N("response_bytes", "BIGINT", "Body bytes as received; null: not known", "bytes"),
        N("prompt_sha256", "VARCHAR", "Hash of the prompt text; null: imported"),
        N("text_sha256", "VARCHAR", "Hash of the generated text, reasoning included"),
    ),
)

CLIENT_HEALTH = Table(
    "raw",
    "client_health",
    ("run_id", "attempt", "level_index", "shard", "elapsed_s"),
    "How the load generator itself fared: one row per worker and second of a level.",
    (
        R("run_id", "VARCHAR", "One endpoint x workload x load on one scheduled night"),
        R("attempt", "INTEGER", "Attempt of the run"),
        R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        R("run_date", "DATE", "UTC date of the scheduled night"),
        R("level_index", "INTEGER", "Position of the load level in the plan; 0 is the probe"),
        R("shard", "INTEGER", "Worker process of the level"),
        R("sampled_at", "TIMESTAMP", "Wall clock (UTC)"),
        R("elapsed_s", "DOUBLE", "Since the level started, on the monotonic clock", "s"),
        # the load, so far
        R("in_flight", "INTEGER", "Requests sent or being sent that have not ended"),
        R("sent", "BIGINT", "Requests sent so far"),
        R("done", "BIGINT", "Requests ended so far"),
        # this second
        R("late_sends", "BIGINT", "Sent > 5 ms after schedule this second, connecting left out"),
        R("merged_reads", "BIGINT", "Reads of this second that held several token events because the client was late"),
        R("reads", "BIGINT", "Socket reads of this second"),
        N("loop_lag_p50_ms", "DOUBLE", "Median event-loop lag of this second", "ms"),
        N("loop_lag_p99_ms", "DOUBLE", "p99 event-loop lag of this second", "ms"),
        N("loop_lag_max_ms", "DOUBLE", "Worst event-loop lag of this second", "ms"),
        N("read_lag_p99_ms", "DOUBLE", "p99 from the kernel's receipt to our read; null without kernel stamps", "ms"),
        R("cpu_share", "DOUBLE", "CPU of the worker this second, as a share of one core"),
        # connections and machine
        R("connections_open", "INTEGER", "Connections open now"),
        R("connections_opened", "BIGINT", "Connections opened so far"),
        R("requests_on_reused", "BIGINT", "Requests so far that found an open connection"),
        N("tcp_rtt_ms", "DOUBLE", "Median smoothed round trip of open connections (TCP_INFO); null: not known", "ms"),
        R("clock_step_ms", "DOUBLE", "Change of wall - monotonic clock since the level started: steps, slewing", "ms"),
        N("rss_mib", "DOUBLE", "Resident memory of the worker", "MiB"),
    ),
)

SERVER_METRICS = Table(
    "raw",
    "server_metrics",
    ("run_id", "attempt", "level_index", "elapsed_s"),
    "What the engine says of itself: one row per scrape (1 Hz) of its Prometheus page during a level.",
    (
        R("run_id", "VARCHAR", "One endpoint x workload x load on one scheduled night"),
        R("attempt", "INTEGER", "Attempt of the run"),
        R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        R("run_date", "DATE", "UTC date of the scheduled night"),
        R("level_index", "INTEGER", "Position of the load level in the plan"),
        R("scraped_at", "TIMESTAMP", "Wall clock (UTC) when the page was asked for"),
        R("elapsed_s", "DOUBLE", "Since the scraping of the level started, on the monotonic clock", "s"),
        R("source", "VARCHAR", "Whose names the page has: vllm, sglang, llama.cpp, nim, triton or transformers"),
        # gauges
        N("requests_running", "DOUBLE", "Requests that the engine works on"),
        N("requests_waiting", "DOUBLE", "Requests in the engine's queue"),
        N("kv_cache_usage", "DOUBLE", "Share of the KV cache in use, 0 to 1"),
        N("prefix_cache_hit_share", "DOUBLE", "Hit share as the engine averages it, where it says that"),
        # counters since the engine started
        N("prefix_cache_queries", "DOUBLE", "Prompt tokens looked up in the prefix cache (counter)", "tokens"),
        N("prefix_cache_hits", "DOUBLE", "Prompt tokens found there (counter)", "tokens"),
        N("prompt_tokens", "DOUBLE", "Prompt tokens, cached ones included where the engine says (counter)", "tokens"),
        N("generation_tokens", "DOUBLE", "Generated tokens (counter)", "tokens"),
        N("requests_finished", "DOUBLE", "Requests that the engine finished (counter)"),
        N("preemptions", "DOUBLE", "Requests put back for want of KV cache (counter)"),
        # the cards, where the page has the names of NVIDIA's dcgm-exporter; summed over them, the share averaged
        N("gpu_power_w", "DOUBLE", "Power that the cards on the page draw now", "W"),
        N("gpu_energy_mj", "DOUBLE", "Energy that they have drawn since their driver started (counter)", "mJ"),
        N("gpu_busy_percent", "DOUBLE", "Share of time with a kernel running, as the driver has it, 0 to 100", "%"),
        N("gpu_memory_mib", "DOUBLE", "Memory in use on them", "MiB"),
        R("scrape_ms", "DOUBLE", "How long the page took", "ms"),
    ),
)

_SUMMARY_STATISTICS = (*STATISTICS, "max")


def _summary_latencies() -> tuple[Column, ...]:
    return tuple(
        N(f"{metric}_{statistic}_ms", "DOUBLE", f"{statistic} of {meaning}, as the tool has it", "ms")
        for metric, meaning in LATENCY_METRICS.items()
        for statistic in _SUMMARY_STATISTICS
    )


SUMMARY_POINTS = Table(
    "raw",
    "summary_points",
    ("run_id", "attempt", "level_index"),
    "One row per load level that another tool measured and summed up: its figures over the whole test, as it says them.",
    (
        R("run_id", "VARCHAR", "Imported endpoint x workload x tool on one day"),
        R("attempt", "INTEGER", "Attempt of the run"),
        R("endpoint", "VARCHAR", "Endpoint that was measured"),
        R("run_date", "DATE", "UTC date of the test"),
        R("level_index", "INTEGER", "Number made of the load and of what the file says of the test"),
        R("load_kind", "VARCHAR", "closed (fixed concurrency) or open (fixed arrival rate)"),
        N("concurrency", "INTEGER", "Requests kept in flight (closed loop)"),
        N("request_rate", "DOUBLE", "Scheduled arrivals (open loop)", "1/s"),
        # provenance
        R("tool", "VARCHAR", "Tool that measured: aiperf, genai-perf, vllm, sglang, guidellm, llmperf or csv"),
        N("tool_version", "VARCHAR", "Its version, where the file says it"),
        R("source_file", "VARCHAR", "Name of the file"),
        R("content_sha256", "VARCHAR", "Hash of the figures as the file has them"),
        N("started_at", "TIMESTAMP", "Start of the test (UTC); null: the file does not say"),
        N("duration_s", "DOUBLE", "Length of the test, ramp and stragglers included", "s"),
        # counts
        N("requests", "BIGINT", "Requests of the test, completed and failed; null: a CSV that does not say"),
        N("completed_requests", "BIGINT", "Completed ones"),
        R("failed_requests", "BIGINT", "Failed ones; 0 where the tool counts none"),
        N("token_gaps", "BIGINT", "Gaps that the statistics of itl and chunk_gap pool; null: not known"),
        # rates, over the whole test
        N("request_rps", "DOUBLE", "Completed requests a second", "1/s"),
        N("output_tps", "DOUBLE", "Output tokens a second", "tokens/s"),
        N("input_tps", "DOUBLE", "Input tokens a second", "tokens/s"),
        N("mean_in_flight", "DOUBLE", "Mean requests in flight, as the tool has it"),
        # tokens
        N("input_tokens_mean", "DOUBLE", "ISL: mean input tokens of a completed request", "tokens"),
        N("cached_input_tokens_mean", "DOUBLE", "CSL: mean cached part of it", "tokens"),
        N("output_tokens_mean", "DOUBLE", "OSL: mean output tokens of a completed request", "tokens"),
        N("reasoning_tokens_mean", "DOUBLE", "RSL: mean reasoning part of it", "tokens"),
        N("target_output_tokens", "DOUBLE", "Output length that was asked for", "tokens"),
        # latency, of completed requests
        *_summary_latencies(),
        N("interactivity_mean_tps", "DOUBLE", "Mean of 1 / TPOT over requests", "tokens/s/user"),
    ),
)

LANDED_TABLES = (REQUEST_TRACES, CLIENT_HEALTH, SERVER_METRICS, SUMMARY_POINTS)
"""The tables whose parts come from the load generator or an importer, and `warehouse.landing` checks."""
