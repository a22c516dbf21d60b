"""The one list of columns: name, type, nullability, unit and meaning of every column of every table.

Standard library only, so that the load generator can import it anywhere. Types are DuckDB's names; the Arrow
schemas (`schemas.arrow`), the pandera contracts (`schemas.contracts`), `COMMENT ON` (`transforms`) and
`docs/data-dictionary.md` are all derived from here. Definitions: docs/metrics.md.
"""

from dataclasses import dataclass

TRACE_SCHEMA_VERSION = 2
"""2 added transport, conversation_index, turn_index and prefix_group: null in parts of version 1."""

METRIC_VERSION = 2
"""2: validity knows late sends, clock steps, calibration errors and over-saturated levels."""

OUTCOMES = (
    "ok", "http_error", "connect_error", "timeout", "truncated", "malformed", "empty", "cancelled", "interrupted",
)  # fmt: skip
PHASES = ("probe", "warmup", "measure")
CLOCK_SOURCES = ("kernel", "user", "imported")
TRANSPORTS = ("socket", "httpx")
TOKEN_SOURCES = ("usage", "tool")
CHUNK_TOKEN_SOURCES = ("usage", "events", "chunk_mean")
STOP_REASONS = (
    "count", "duration", "confidence", "error_share", "over_saturated", "max_duration", "interrupted",
)  # fmt: skip
ENGINE_PAGES = ("vllm", "sglang", "llama.cpp", "nim", "triton", "transformers")

IMPORT_TOOLS = ("aiperf", "genai-perf", "vllm", "sglang", "guidellm", "llmperf", "csv")
"""Tools whose results `ratecard import` reads, and csv: operating points by the names of this page."""

LATENCY_METRICS = {
    "ttft": "time to first token, first_token - sent",
    "ttft_from_schedule": "first_token - scheduled, free of coordinated omission",
    "ttfa": "time to first answer (non-reasoning) token, first_answer - sent",
    "tpot": "time per output token, (last_token - first_token) / (output_tokens - tokens in the first chunk)",
    "itl": "inter-token latency: gap between token chunks / tokens in the later chunk, weighted by those tokens",
    "e2e": "request latency, last_token - sent",
    "ntpot": "normalised time per output token, e2e / output_tokens",
    "chunk_gap": "raw gap between consecutive token-bearing chunks (vLLM's ITL, `itl_chunk_gap`)",
    "e2e_to_close": "closed - sent, the E2E of tools that count the usage and [DONE] events (GuideLLM, SGLang)",
    "tpot_osl_minus_1": "(last_token - first_token) / (output_tokens - 1), the TPOT of vLLM and SGLang",
    "tpot_including_ttft": "e2e / output_tokens, GuideLLM's TPOT",
    "e2e_databricks": "ttft + tpot * output_tokens",
}
"""Latency metrics of one request (pooled token gaps for itl and chunk_gap), all in milliseconds."""

STATISTICS = {"mean": None, "p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}
"""Statistic name -> probability (null for the mean)."""

MIN_SAMPLES = {"mean": 1, "p50": 11, "p75": 24, "p90": 64, "p95": 130, "p99": 662, "p99_9": 6636}
"""Least n for a percentile: the least n with P(Bin(n, 1-p) <= 1) <= 0.01 (docs/metrics.md: percentiles)."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `type` is a DuckDB type name, `unit` is empty where there is none."""

    name: str
    type: str
    comment: str
    unit: str = ""
    nullable: bool = False

    @property
    def description(self) -> str:
        """Its comment wherever it is published: meaning and unit."""
        return f"{self.comment} [{self.unit}]" if self.unit else self.comment


@dataclass(frozen=True, slots=True)
class Table:
    """One table: `grain` names the columns that identify a row."""

    schema: str
    name: str
    grain: tuple[str, ...]
    comment: str
    columns: tuple[Column, ...]

    @property
    def description(self) -> str:
        """Its comment wherever it is published: meaning and grain."""
        return f"{self.comment} One row for each {' x '.join(self.grain)}."


def _required(name: str, type_: str, comment: str, unit: str = "") -> Column:
    return Column(name, type_, comment, unit)


def _optional(name: str, type_: str, comment: str, unit: str = "") -> Column:
    return Column(name, type_, comment, unit, nullable=True)


_R, _N = _required, _optional

REQUEST_TRACES = Table(
    "raw",
    "request_traces",
    ("run_id", "attempt", "level_index", "shard", "request_index"),
    "One row per request sent, failures too. Times are nanoseconds after epoch_wall_at on one monotonic clock.",
    (
        # identity
        _R("run_id", "VARCHAR", "One endpoint x workload x load on one scheduled night"),
        _R("attempt", "INTEGER", "1 for the first try of the run, counted up"),
        _R("suite", "VARCHAR", "Suite of the catalog, or adhoc"),
        _R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        _R("workload", "VARCHAR", "Workload of the catalog"),
        _R("load", "VARCHAR", "Load of the catalog"),
        _R("run_date", "DATE", "UTC date of the scheduled night"),
        _R("level_index", "INTEGER", "Position of the load level in the plan; 0 is the probe before the levels"),
        _R("load_kind", "VARCHAR", "closed (fixed concurrency) or open (fixed arrival rate)"),
        _N("concurrency", "INTEGER", "Requests kept in flight over all shards (closed loop)"),
        _N("request_rate", "DOUBLE", "Scheduled arrivals over all shards (open loop)", "1/s"),
        _R("shard", "INTEGER", "Worker process of the level"),
        _R("request_index", "BIGINT", "Position of the request in its shard"),
        _R("phase", "VARCHAR", "probe, warmup or measure"),
        _N("conversation_index", "BIGINT", "Conversation of its shard that it is a turn of; null: a single request"),
        _N("turn_index", "INTEGER", "Turn of the conversation, from 0; null: a single request"),
        _N("prefix_group", "INTEGER", "Which shared prefix its prompt begins with; null: none"),
        # provenance
        _R("model", "VARCHAR", "Model name sent"),
        _R("api", "VARCHAR", "chat, completions or responses"),
        _R("config_hash", "VARCHAR", "Hash of endpoint, workload and load as planned"),
        _R("client_version", "VARCHAR", "Version of the load generator; of an import the tool and its version"),
        _R("schema_version", "INTEGER", "Version of this list of columns"),
        _N("transport", "VARCHAR", "socket (ours) or httpx (through a proxy or over HTTP/2); null: imported, or older"),
        # clock
        _R("epoch_wall_at", "TIMESTAMP", "Wall clock (UTC) at the instant that all *_ns count from"),
        _R(
            "clock_source",
            "VARCHAR",
            "kernel (receive time of the socket), user (when the client read) or imported (another tool's)",
        ),
        _R("clock_suspect", "BOOLEAN", "A kernel stamp was impossible and the user stamp was taken"),
        _N("reads", "INTEGER", "Socket reads of the response; null: imported"),
        _N(
            "merged_reads",
            "INTEGER",
            "Reads that held several token events because the client was late; null: imported",
        ),
        _N(
            "first_token_merged",
            "BOOLEAN",
            "The first token came in a merged read: TTFT is an upper bound; null: imported",
        ),
        # times
        _N(
            "scheduled_ns",
            "BIGINT",
            "The load plan wanted the request to start; null: the imported file does not say",
            "ns",
        ),
        _N("sent_ns", "BIGINT", "First byte handed to the socket, connection already open", "ns"),
        _N("headers_ns", "BIGINT", "Response status line and headers received", "ns"),
        _N("first_chunk_ns", "BIGINT", "First SSE data event of any kind", "ns"),
        _N("first_token_ns", "BIGINT", "First event with generated text, reasoning included", "ns"),
        _N("first_answer_ns", "BIGINT", "First event with non-reasoning text", "ns"),
        _N("last_token_ns", "BIGINT", "Last event with generated text", "ns"),
        _R("closed_ns", "BIGINT", "Stream ended, or the error", "ns"),
        _N("connect_ns", "BIGINT", "TCP and TLS connect, where this request opened the connection", "ns"),
        # what happened
        _R("outcome", "VARCHAR", "ok or the way it failed"),
        _N("http_status", "INTEGER", "Status of the response"),
        _N("finish_reason", "VARCHAR", "As the server said"),
        _N("error", "VARCHAR", "Why it failed: at most 500 characters, secrets redacted"),
        # tokens
        _N("input_tokens", "BIGINT", "Prompt tokens by the server's usage, or as input_token_source says", "tokens"),
        _N("cached_input_tokens", "BIGINT", "Part of input_tokens served from a cache", "tokens"),
        _N(
            "output_tokens",
            "BIGINT",
            "Generated tokens by the server's usage, or as output_token_source says",
            "tokens",
        ),
        _N("reasoning_tokens", "BIGINT", "Part of output_tokens that was reasoning", "tokens"),
        _N(
            "input_token_source",
            "VARCHAR",
            "usage, or tool (an imported file's own count); null where the count is unknown",
        ),
        _N(
            "output_token_source",
            "VARCHAR",
            "usage, or tool (an imported file's own count); null where the count is unknown",
        ),
        _N("target_input_tokens", "INTEGER", "Prompt length that the workload asked for; null: not known", "tokens"),
        _N("target_output_tokens", "INTEGER", "Output length that the workload asked for; null: not known", "tokens"),
        # stream
        _N(
            "token_chunks",
            "INTEGER",
            "Chunks with generated text; events of one merged read are one chunk; null: not known",
        ),
        _N(
            "gaps_us",
            "INTEGER[]",
            "Gaps between consecutive token chunks: token_chunks - 1 values; null: not known",
            "us",
        ),
        _N("chunk_tokens", "INTEGER[]", "Tokens of each token chunk; null where only the mean is known", "tokens"),
        _N("chunk_token_source", "VARCHAR", "usage (per chunk), events (one token an event) or chunk_mean"),
        _N("response_bytes", "BIGINT", "Body bytes as received; null: not known", "bytes"),
        _N("prompt_sha256", "VARCHAR", "Hash of the prompt text; null: imported"),
        _N("text_sha256", "VARCHAR", "Hash of the generated text, reasoning included"),
    ),
)

CLIENT_HEALTH = Table(
    "raw",
    "client_health",
    ("run_id", "attempt", "level_index", "shard", "elapsed_s"),
    "How the load generator itself fared: one row per worker and second of a level.",
    (
        _R("run_id", "VARCHAR", "One endpoint x workload x load on one scheduled night"),
        _R("attempt", "INTEGER", "Attempt of the run"),
        _R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        _R("run_date", "DATE", "UTC date of the scheduled night"),
        _R("level_index", "INTEGER", "Position of the load level in the plan; 0 is the probe"),
        _R("shard", "INTEGER", "Worker process of the level"),
        _R("sampled_at", "TIMESTAMP", "Wall clock (UTC)"),
        _R("elapsed_s", "DOUBLE", "Since the level started, on the monotonic clock", "s"),
        # the load, so far
        _R("in_flight", "INTEGER", "Requests sent or being sent that have not ended"),
        _R("sent", "BIGINT", "Requests sent so far"),
        _R("done", "BIGINT", "Requests ended so far"),
        # this second
        _R("late_sends", "BIGINT", "Sent > 5 ms after schedule this second, connecting left out"),
        _R("merged_reads", "BIGINT", "Reads of this second that held several token events because the client was late"),
        _R("reads", "BIGINT", "Socket reads of this second"),
        _N("loop_lag_p50_ms", "DOUBLE", "Median event-loop lag of this second", "ms"),
        _N("loop_lag_p99_ms", "DOUBLE", "p99 event-loop lag of this second", "ms"),
        _N("loop_lag_max_ms", "DOUBLE", "Worst event-loop lag of this second", "ms"),
        _N("read_lag_p99_ms", "DOUBLE", "p99 from the kernel's receipt to our read; null without kernel stamps", "ms"),
        _R("cpu_share", "DOUBLE", "CPU of the worker this second, as a share of one core"),
        # connections and machine
        _R("connections_open", "INTEGER", "Connections open now"),
        _R("connections_opened", "BIGINT", "Connections opened so far"),
        _R("requests_on_reused", "BIGINT", "Requests so far that found an open connection"),
        _N("tcp_rtt_ms", "DOUBLE", "Median smoothed round trip of open connections (TCP_INFO); null: not known", "ms"),
        _R("clock_step_ms", "DOUBLE", "Change of wall - monotonic clock since the level started: steps, slewing", "ms"),
        _N("rss_mib", "DOUBLE", "Resident memory of the worker", "MiB"),
    ),
)

SERVER_METRICS = Table(
    "raw",
    "server_metrics",
    ("run_id", "attempt", "level_index", "elapsed_s"),
    "What the engine says of itself: one row per scrape (1 Hz) of its Prometheus page during a level.",
    (
        _R("run_id", "VARCHAR", "One endpoint x workload x load on one scheduled night"),
        _R("attempt", "INTEGER", "Attempt of the run"),
        _R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        _R("run_date", "DATE", "UTC date of the scheduled night"),
        _R("level_index", "INTEGER", "Position of the load level in the plan"),
        _R("scraped_at", "TIMESTAMP", "Wall clock (UTC) when the page was asked for"),
        _R("elapsed_s", "DOUBLE", "Since the scraping of the level started, on the monotonic clock", "s"),
        _R("source", "VARCHAR", "Whose names the page has: vllm, sglang, llama.cpp, nim, triton or transformers"),
        # gauges
        _N("requests_running", "DOUBLE", "Requests that the engine works on"),
        _N("requests_waiting", "DOUBLE", "Requests in the engine's queue"),
        _N("kv_cache_usage", "DOUBLE", "Share of the KV cache in use, 0 to 1"),
        _N("prefix_cache_hit_share", "DOUBLE", "Hit share as the engine averages it, where it says that"),
        # counters since the engine started
        _N("prefix_cache_queries", "DOUBLE", "Prompt tokens looked up in the prefix cache (counter)", "tokens"),
        _N("prefix_cache_hits", "DOUBLE", "Prompt tokens found there (counter)", "tokens"),
        _N("prompt_tokens", "DOUBLE", "Prompt tokens, cached ones included where the engine says (counter)", "tokens"),
        _N("generation_tokens", "DOUBLE", "Generated tokens (counter)", "tokens"),
        _N("requests_finished", "DOUBLE", "Requests that the engine finished (counter)"),
        _N("preemptions", "DOUBLE", "Requests put back for want of KV cache (counter)"),
        # the cards, where the page has the names of NVIDIA's dcgm-exporter; summed over them, the share averaged
        _N("gpu_power_w", "DOUBLE", "Power that the cards on the page draw now", "W"),
        _N("gpu_energy_mj", "DOUBLE", "Energy that they have drawn since their driver started (counter)", "mJ"),
        _N("gpu_busy_percent", "DOUBLE", "Share of time with a kernel running, as the driver has it, 0 to 100", "%"),
        _N("gpu_memory_mib", "DOUBLE", "Memory in use on them", "MiB"),
        _R("scrape_ms", "DOUBLE", "How long the page took", "ms"),
    ),
)

_SUMMARY_STATISTICS = (*STATISTICS, "max")


def _summary_latencies() -> tuple[Column, ...]:
    return tuple(
        _N(f"{metric}_{statistic}_ms", "DOUBLE", f"{statistic} of {meaning}, as the tool has it", "ms")
        for metric, meaning in LATENCY_METRICS.items()
        for statistic in _SUMMARY_STATISTICS
    )


SUMMARY_POINTS = Table(
    "raw",
    "summary_points",
    ("run_id", "attempt", "level_index"),
    "One row per load level that another tool measured and summed up: its figures over the whole test, as it says them.",
    (
        _R("run_id", "VARCHAR", "Imported endpoint x workload x tool on one day"),
        _R("attempt", "INTEGER", "Attempt of the run"),
        _R("endpoint", "VARCHAR", "Endpoint that was measured"),
        _R("run_date", "DATE", "UTC date of the test"),
        _R("level_index", "INTEGER", "Number made of the load and of what the file says of the test"),
        _R("load_kind", "VARCHAR", "closed (fixed concurrency) or open (fixed arrival rate)"),
        _N("concurrency", "INTEGER", "Requests kept in flight (closed loop)"),
        _N("request_rate", "DOUBLE", "Scheduled arrivals (open loop)", "1/s"),
        # provenance
        _R("tool", "VARCHAR", "Tool that measured: aiperf, genai-perf, vllm, sglang, guidellm, llmperf or csv"),
        _N("tool_version", "VARCHAR", "Its version, where the file says it"),
        _R("source_file", "VARCHAR", "Name of the file"),
        _R("content_sha256", "VARCHAR", "Hash of the figures as the file has them"),
        _N("started_at", "TIMESTAMP", "Start of the test (UTC); null: the file does not say"),
        _N("duration_s", "DOUBLE", "Length of the test, ramp and stragglers included", "s"),
        # counts
        _N("requests", "BIGINT", "Requests of the test, completed and failed; null: a CSV that does not say"),
        _N("completed_requests", "BIGINT", "Completed ones"),
        _R("failed_requests", "BIGINT", "Failed ones; 0 where the tool counts none"),
        _N("token_gaps", "BIGINT", "Gaps that the statistics of itl and chunk_gap pool; null: not known"),
        # rates, over the whole test
        _N("request_rps", "DOUBLE", "Completed requests a second", "1/s"),
        _N("output_tps", "DOUBLE", "Output tokens a second", "tokens/s"),
        _N("input_tps", "DOUBLE", "Input tokens a second", "tokens/s"),
        _N("mean_in_flight", "DOUBLE", "Mean requests in flight, as the tool has it"),
        # tokens
        _N("input_tokens_mean", "DOUBLE", "ISL: mean input tokens of a completed request", "tokens"),
        _N("cached_input_tokens_mean", "DOUBLE", "CSL: mean cached part of it", "tokens"),
        _N("output_tokens_mean", "DOUBLE", "OSL: mean output tokens of a completed request", "tokens"),
        _N("reasoning_tokens_mean", "DOUBLE", "RSL: mean reasoning part of it", "tokens"),
        _N("target_output_tokens", "DOUBLE", "Output length that was asked for", "tokens"),
        # latency, of completed requests
        *_summary_latencies(),
        _N("interactivity_mean_tps", "DOUBLE", "Mean of 1 / TPOT over requests", "tokens/s/user"),
    ),
)

LANDED_TABLES = (REQUEST_TRACES, CLIENT_HEALTH, SERVER_METRICS, SUMMARY_POINTS)
"""The tables whose parts come from the load generator or an importer, and `warehouse.landing` checks."""

RUNS_SOURCE = Table(
    "raw",
    "runs",
    ("run_id", "attempt"),
    "One row per manifest: what was asked, what happened, provenance.",
    (
        _R("run_id", "VARCHAR", "One endpoint x workload x load on one scheduled night"),
        _R("attempt", "INTEGER", "1 for the first try of the run, counted up"),
        _R("suite", "VARCHAR", "Suite of the catalog, or adhoc"),
        _R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        _R("workload", "VARCHAR", "Workload of the catalog"),
        _R("load", "VARCHAR", "Load of the catalog"),
        _R("night", "TIMESTAMP", "Scheduled start of the night (UTC); the start itself for a run by hand"),
        _R("run_date", "DATE", "UTC date of the night"),
        _R("started_at", "TIMESTAMP", "When measuring began (UTC)"),
        _R("ended_at", "TIMESTAMP", "When the manifest was closed (UTC)"),
        _R("status", "VARCHAR", "complete, interrupted or failed"),
        _N("failure", "VARCHAR", "Why it is not complete"),
        _R("levels_planned", "INTEGER", "Load levels in the plan"),
        _R("levels_measured", "INTEGER", "Load levels with landed requests"),
        _R("rows_quarantined", "BIGINT", "Trace rows that broke the contract"),
        _R("catalog_hash", "VARCHAR", "Snapshot of SLOs, demands and prices in force that night"),
        _R("config_hash", "VARCHAR", "Hash of endpoint, workload and load as planned"),
        _R("client_version", "VARCHAR", "Version of the load generator; of an import the tool and its version"),
        _N("url", "VARCHAR", "API base, without credentials; null: an import that does not say"),
        _R("api", "VARCHAR", "chat, completions or responses; unknown: an import that does not say"),
        _R("model", "VARCHAR", "Model served"),
        _N("engine", "VARCHAR", "Serving engine, as the catalog says"),
        _N("engine_version", "VARCHAR", "Version of the engine"),
        _N("precision", "VARCHAR", "Weights' precision, as the catalog says"),
        _N("accelerator", "VARCHAR", "Accelerator of the endpoint; cpu where there is none; null if unknown"),
        _R("gpus_per_instance", "INTEGER", "GPUs that one instance of the model takes"),
        _R("gpus_per_server", "INTEGER", "GPUs in one server"),
        _R("instances_measured", "INTEGER", "Instances behind the URL"),
        _R("role", "VARCHAR", "aggregated, prefill or decode"),
        _N("quality_score", "DOUBLE", "Quality of the endpoint's model, as the catalog says"),
        _N("quality_source", "VARCHAR", "Where the quality score is from"),
        _N("memory_gib_per_gpu", "DOUBLE", "Memory in use on each GPU", "GiB"),
        _N("power_kw_per_gpu", "DOUBLE", "Power of one GPU with all around it, for power budgets", "kW"),
        _R("shares_prefix", "BOOLEAN", "The workload hits a prefix cache on purpose"),
        _N(
            "input_tokens_target",
            "INTEGER",
            "Mean prompt length that the workload asks for; null: its data decide",
            "tokens",
        ),
        _N(
            "output_tokens_target",
            "INTEGER",
            "Mean output length that the workload asks for; null: not known",
            "tokens",
        ),
        _N("host", "VARCHAR", "Machine that sent the load; null: imported"),
        _N("platform", "VARCHAR", "Operating system and architecture of that machine; null: imported"),
        _N("python_version", "VARCHAR", "Python of the load generator; null: imported"),
        _N("cpu_count", "INTEGER", "Cores of that machine; null: imported"),
        _N("chars_per_token", "DOUBLE", "Characters a prompt token, as the probe found it", "1/tokens"),
        _N("prompt_overhead_tokens", "DOUBLE", "Prompt tokens that the chat template adds", "tokens"),
        # the client's own error that night, against the reference endpoint
        _N("calibration_ttft_error_p50_ms", "DOUBLE", "Median TTFT of the client minus the true one", "ms"),
        _N("calibration_ttft_error_p99_ms", "DOUBLE", "p99 TTFT of the client minus the true one", "ms"),
        _N("calibration_itl_error_p50_ms", "DOUBLE", "Median ITL of the client minus the true one", "ms"),
        _N("calibration_itl_error_p99_ms", "DOUBLE", "p99 ITL of the client minus the true one", "ms"),
        _N("calibration_tokens_per_s", "DOUBLE", "Highest token rate that the client held; null: none", "tokens/s"),
        _N("calibration_streams", "INTEGER", "Streams at which the errors were found"),
        # what was said of the attempt afterwards
        _N("retracted_at", "TIMESTAMP", "When it was retracted (UTC): kept, shown, never chosen; null: it counts"),
        _N("retracted_why", "VARCHAR", "Why, as it was told"),
        _N("retracted_by", "VARCHAR", "User and machine that retracted it"),
    ),
)

LEVELS_SOURCE = Table(
    "raw",
    "levels",
    ("run_id", "attempt", "level_index"),
    "One row per load level that was started, from the manifests.",
    (
        _R("run_id", "VARCHAR", "Run"),
        _R("attempt", "INTEGER", "Attempt of the run"),
        _R("level_index", "INTEGER", "Position of the level in the plan, from 1"),
        _R("load_kind", "VARCHAR", "closed or open"),
        _N("concurrency", "INTEGER", "Requests kept in flight (closed loop)"),
        _N("request_rate", "DOUBLE", "Scheduled arrivals (open loop)", "1/s"),
        _N("arrivals", "VARCHAR", "constant, poisson, gamma, ramp or trace; null for a closed loop"),
        _N("search", "VARCHAR", "How the level was chosen: sweep, saturate or goodput"),
        _N("shards", "INTEGER", "Worker processes that were to send it"),
        _R("status", "VARCHAR", "complete, interrupted, stopped (error share or over-saturated) or failed (no rows)"),
        _N("failure", "VARCHAR", "Why it is not complete"),
        _N("stop_reason", "VARCHAR", f"What ended it: {', '.join(STOP_REASONS)}"),
        _R("rows_landed", "BIGINT", "Trace rows in raw/"),
        _R("rows_quarantined", "BIGINT", "Trace rows that broke the contract"),
        _N("client_cpu_share", "DOUBLE", "CPU of the busiest worker, as a share of one core"),
        _N("loop_lag_p99_ms", "DOUBLE", "p99 event-loop lag of the worst worker", "ms"),
    ),
)

SLOS_SOURCE = Table(
    "raw",
    "slos",
    ("catalog_hash", "slo"),
    "SLOs of a catalog snapshot.",
    (
        _R("catalog_hash", "VARCHAR", "Catalog snapshot"),
        _R("slo", "VARCHAR", "Name of the SLO"),
        _R("workloads", "VARCHAR[]", "Workloads it applies to; empty means all"),
        _N("attainment_share", "DOUBLE", "Joint goodput: share of requests within every bound; null: by statistic"),
        _R("max_error_share", "DOUBLE", "Largest error share at which a bound on a mean can be met"),
        _N("min_quality_score", "DOUBLE", "Least quality score of an endpoint that may be chosen"),
    ),
)  # fmt: skip

SLO_BOUNDS_SOURCE = Table(
    "raw",
    "slo_bounds",
    ("catalog_hash", "slo", "bound_index"),
    "Bounds of the SLOs of a catalog snapshot.",
    (
        _R("catalog_hash", "VARCHAR", "Catalog snapshot"),
        _R("slo", "VARCHAR", "Name of the SLO"),
        _R("bound_index", "INTEGER", "Position of the bound in the SLO"),
        _R("metric", "VARCHAR", "Latency metric, or interactivity"),
        _N("statistic", "VARCHAR", "mean or a percentile; null in a SLO judged by attainment"),
        _R("limit_value", "DOUBLE", "Upper limit in ms; lower limit in tokens/s/user for interactivity"),
    ),
)

DEMANDS_SOURCE = Table(
    "raw",
    "demands",
    ("catalog_hash", "demand"),
    "Demands of a catalog snapshot.",
    (
        _R("catalog_hash", "VARCHAR", "Catalog snapshot"),
        _R("demand", "VARCHAR", "Name of the demand"),
        _R("application", "VARCHAR", "Application that it stands for"),
        _N("workload", "VARCHAR", "Workload that it sends; null for a mix (demand_classes)"),
        _R("slo", "VARCHAR", "SLO that it needs"),
        _R("peak_rps", "DOUBLE", "Peak request rate at as_of", "1/s"),
        _N("mean_rps", "DOUBLE", "Mean request rate at as_of; null where unknown", "1/s"),
        _N("mean_source", "VARCHAR", "rates (as stated), users or trace; null where the mean is unknown"),
        _R("growth", "DOUBLE", "Growth of the rates a year, 0.5 = half as much again"),
        _N("as_of", "DATE", "Date of the rates; null: they hold as they are"),
        _R("headroom", "DOUBLE", "Capacity above the peak, 0.1 = 10 %"),
        _R("spares", "INTEGER", "Spare instances (N+1 and the like)"),
        _R("uptime", "DOUBLE", "Share of the year that the fleet serves"),
        _N("max_instances", "INTEGER", "Hard budget of instances, beside max_gpus; null: none"),
        _N("max_gpus", "INTEGER", "Hard budget of GPUs; null: none"),
        _N("max_power_kw", "DOUBLE", "Hard budget of the GPUs' power, all in; null: none", "kW"),
        _R("price_plans", "VARCHAR[]", "Plans to price it with; empty: every plan that fits the hardware"),
    ),
)  # fmt: skip

DEMAND_RATES_SOURCE = Table(
    "raw",
    "demand_rates",
    ("catalog_hash", "demand", "rps"),
    "Rates of the demands that are stated as a trace: how much of the time each held.",
    (
        _R("catalog_hash", "VARCHAR", "Catalog snapshot"),
        _R("demand", "VARCHAR", "Name of the demand"),
        _R("rps", "DOUBLE", "Request rate at as_of", "1/s"),
        _R("share", "DOUBLE", "Share of the time at that rate; the shares of a demand sum to 1"),
    ),
)

PRICE_PLANS_SOURCE = Table(
    "raw",
    "price_plans",
    ("catalog_hash", "price_plan", "valid_from"),
    "Dated own, rent and API plans of a catalog snapshot; reference prices resolved.",
    (
        _R("catalog_hash", "VARCHAR", "Catalog snapshot"),
        _R("price_plan", "VARCHAR", "Name of the plan"),
        _R("kind", "VARCHAR", "own, rent or api"),
        _N("models", "VARCHAR[]", "Models that it prices; empty or null: any"),
        _N("accelerator", "VARCHAR", "Accelerator that it prices; null: any GPU (not cpu)"),
        _R("currency", "VARCHAR", "ISO 4217 code"),
        _R("valid_from", "DATE", "First day of the prices"),
        _N("valid_to", "DATE", "Last day of the prices; null: still valid"),
        _N("gpus_per_server", "INTEGER", "GPUs in the priced server; null where rent is by the GPU"),
        _N("server_price", "DOUBLE", "Own: price of a server", "currency"),
        _N("salvage", "DOUBLE", "Own: value of a server at the end", "currency"),
        _N("depreciation_years", "DOUBLE", "Own: years", "years"),
        _N("hosting_year", "DOUBLE", "Own: hosting a server a year", "currency"),
        _N("software_year", "DOUBLE", "Own: licences a year, by licence_basis", "currency"),
        _N("licence_basis", "VARCHAR", "Own: per_server or per_gpu"),
        _N("power_kw", "DOUBLE", "Own: power of a server", "kW"),
        _N("pue", "DOUBLE", "Own: power usage effectiveness of the building"),
        _N("usd_per_kwh", "DOUBLE", "Own: price of electricity", "currency/kWh"),
        _N("staff_year", "DOUBLE", "Own: staff a server a year", "currency"),
        _N("other_year", "DOUBLE", "Own: anything else a server a year", "currency"),
        _N("rent_unit", "VARCHAR", "Rent: gpu, server or provisioned"),
        _N("usd_per_hour", "DOUBLE", "Rent: price of one unit an hour", "currency/h"),
        _N("tokens_per_s", "DOUBLE", "Provisioned: tokens, input and output, that one unit serves", "tokens/s"),
        _N("pricing_category", "VARCHAR", "Rent: on_demand, reserved or spot"),
        _N("price_in", "DOUBLE", "API price of 1M input tokens; of other plans their reference's", "currency"),
        _N("price_cached", "DOUBLE", "API price of 1M cached input tokens; null: as price_in", "currency"),
        _N("price_out", "DOUBLE", "API price of 1M output tokens", "currency"),
        _N("price_reasoning", "DOUBLE", "API price of 1M reasoning tokens; null: as price_out", "currency"),
        _R("source", "VARCHAR", "Where the figures are from"),
    ),
)  # fmt: skip

DEMAND_CLASSES_SOURCE = Table(
    "raw",
    "demand_classes",
    ("catalog_hash", "demand", "workload"),
    "Workloads of the demands that are a mix of several.",
    (
        _R("catalog_hash", "VARCHAR", "Catalog snapshot"),
        _R("demand", "VARCHAR", "Name of the demand"),
        _R("workload", "VARCHAR", "Workload that it sends"),
        _R("share", "DOUBLE", "Share of the requests; the shares of a demand sum to 1"),
    ),
)

BUILD_SCOPE_SOURCE = Table(
    "raw",
    "build_scope",
    ("since",),
    "One row: what a build is to make.",
    (_N("since", "TIMESTAMP", "Earliest night whose rows are made, here and in tables that look at other nights"),),
)

SOURCE_TABLES = (
    *LANDED_TABLES,
    RUNS_SOURCE,
    LEVELS_SOURCE,
    SLOS_SOURCE,
    SLO_BOUNDS_SOURCE,
    DEMANDS_SOURCE,
    DEMAND_RATES_SOURCE,
    PRICE_PLANS_SOURCE,
    DEMAND_CLASSES_SOURCE,
    BUILD_SCOPE_SOURCE,
)
"""What the transforms read as `raw.<name>`."""

_METRIC_VERSION = _R("metric_version", "INTEGER", "Version of the definitions of docs/metrics.md")
_IDENTITY = (
    _R("suite", "VARCHAR", "Suite of the catalog, or adhoc"),
    _R("endpoint", "VARCHAR", "Endpoint of the catalog"),
    _R("workload", "VARCHAR", "Workload of the catalog"),
    _R("load", "VARCHAR", "Load of the catalog"),
    _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
    _R("run_date", "DATE", "UTC date of the night"),
)

RUNS = Table(
    "curated",
    "runs",
    ("run_id", "attempt"),
    "What was asked, what happened and provenance of each attempt of a run.",
    (
        *RUNS_SOURCE.columns,
        _R("is_current", "BOOLEAN", "Stands for its run: the latest complete attempt, else the latest landed; retracted ones last"),
        _N("superseded_by", "INTEGER", "Attempt that stands for the run in its place; null: it stands itself"),
        _R("rows_landed", "BIGINT", "Trace rows in raw/, probe and warm-up included"),
        _R("requests", "BIGINT", "Measured requests"),
        *(_R(f"requests_{outcome}", "BIGINT", f"Measured requests that ended {outcome}") for outcome in OUTCOMES),
        _METRIC_VERSION,
    ),
)  # fmt: skip


def _rate(name: str, comment: str, unit: str) -> tuple[Column, ...]:
    """Columns of a rate in the window with its 95 % interval, and a GPU's share of it."""
    return (
        _N(name, "DOUBLE", f"{comment} in the window; null where none arrived or a count is unknown", unit),
        _N(f"{name}_lo", "DOUBLE", f"Lower 95 % bound of {name}, batch means; null under 10 C completions", unit),
        _N(f"{name}_hi", "DOUBLE", f"Upper 95 % bound of {name}", unit),
        _N(f"{name}_per_gpu", "DOUBLE", f"{name} / (gpus_per_instance x instances_measured)", unit),
    )


def _latencies() -> tuple[Column, ...]:
    """Every latency metric under every statistic, then interactivity with its slow tail as the low percentile."""
    times = tuple(
        _N(f"{metric}_{statistic}_ms", "DOUBLE", f"{statistic} of {meaning}; null under {MIN_SAMPLES[statistic]}", "ms")
        for metric, meaning in LATENCY_METRICS.items()
        for statistic in STATISTICS
    )
    mean = _N("interactivity_mean_tps", "DOUBLE", "Mean of 1 / TPOT over requests", "tokens/s/user")
    tail = tuple(
        _N(f"interactivity_p{low}_tps", "DOUBLE", f"p{low} of interactivity, 1000 / tpot_p{high}_ms", "tokens/s/user")
        for low, high in ((50, 50), (25, 75), (10, 90), (5, 95), (1, 99))
    )
    return (*times, mean, *tail)


OPERATING_POINTS = Table(
    "curated",
    "operating_points",
    ("operating_point_id",),
    "Throughput, latency and validity of one load level of one attempt, inside its steady-state window.",
    (
        # identity
        _R("operating_point_id", "VARCHAR", "Run, attempt and level"),
        _R("run_id", "VARCHAR", "One endpoint x workload x load on one scheduled night"),
        _R("attempt", "INTEGER", "Attempt of the run"),
        _R("is_current", "BOOLEAN", "The attempt that stands for its run; the others are never chosen"),
        *_IDENTITY,
        _R("level_index", "INTEGER", "Position of the load level in the plan"),
        _R("load_kind", "VARCHAR", "closed (fixed concurrency) or open (fixed arrival rate)"),
        _N("concurrency", "INTEGER", "Requests kept in flight (closed loop)"),
        _N("request_rate", "DOUBLE", "Scheduled arrivals (open loop)", "1/s"),
        # what was measured
        _R("model", "VARCHAR", "Model served"),
        _N("engine", "VARCHAR", "Serving engine"),
        _N("engine_version", "VARCHAR", "Version of the engine"),
        _N("precision", "VARCHAR", "Weights' precision"),
        _N("accelerator", "VARCHAR", "Accelerator of the endpoint; cpu where there is none; null if unknown"),
        _R("gpus_per_instance", "INTEGER", "GPUs that one instance of the model takes"),
        _R("gpus_per_server", "INTEGER", "GPUs in one server"),
        _R("instances_measured", "INTEGER", "Instances behind the URL"),
        _N("quality_score", "DOUBLE", "Quality of the endpoint's model, as the catalog says"),
        _N("quality_source", "VARCHAR", "Where the quality score is from"),
        _N("memory_gib_per_gpu", "DOUBLE", "Memory in use on each GPU", "GiB"),
        _R("config_hash", "VARCHAR", "Hash of endpoint, workload and load as planned"),
        _R("catalog_hash", "VARCHAR", "Snapshot of SLOs, demands and prices in force that night"),
        _METRIC_VERSION,
        # verdict
        _R("validity", "VARCHAR", "valid, imported_summary (another tool's figures), or the reasons against it joined by commas"),
        _R("is_valid", "BOOLEAN", "No reason against it (imported_summary is none); others are shown and never selected"),
        _R("is_knee", "BOOLEAN", "First level after which the request rate grows less than 10 %"),
        _R("is_saturation", "BOOLEAN", "Level with the run's highest request rate"),
        # window and counts
        _N("window_started_at", "TIMESTAMP", "Start of the steady-state window (UTC); null: there was none"),
        _N("window_ended_at", "TIMESTAMP", "End of the steady-state window (UTC)"),
        _N("window_s", "DOUBLE", "Length of the window; of an imported summary the whole test", "s"),
        _N("window_share", "DOUBLE", "Window / whole level"),
        _R("shards", "BIGINT", "Worker processes that sent the level"),
        _N("requests", "BIGINT", "Measured requests of the whole level; null: an import that does not say"),
        _R("requests_in_window", "BIGINT", "Requests sent in the window, those cancelled by the plan left out"),
        _N("completions_in_window", "BIGINT", "Completions in the window, whatever their outcome"),
        _N("error_share", "DOUBLE", "Failed / requests_in_window; of the whole level where there was no window"),
        # rates
        *_rate("request_rps", "Ok completions a second", "1/s"),
        *_rate("output_tps", "Output tokens of ok requests a second, as their chunks arrived,", "tokens/s"),
        *_rate("input_tps", "Input tokens of ok requests a second, counted at the first token,", "tokens/s"),
        *_rate("total_tps", "Input and output tokens a second", "tokens/s"),
        # the load as it was
        _N("mean_in_flight", "DOUBLE", "Time-weighted requests in flight over the window, sent to closed"),
        _N("littles_law_ratio", "DOUBLE", "Completions/s x their mean e2e_to_close / mean_in_flight, any outcome"),
        _N("level_s", "DOUBLE", "Whole level, first request sent to last closed; null: an import that does not say", "s"),
        _N("level_request_rps", "DOUBLE", "Ok completions / level_s, ramp and stragglers included", "1/s"),
        _N("output_tps_wall", "DOUBLE", "Output tokens of ok requests / level_s (vLLM's throughput)", "tokens/s"),
        _N("level_error_share", "DOUBLE", "Failed / requests of the whole level, cancelled left out"),
        # tokens, of ok requests sent in the window
        _N("input_tokens_mean", "DOUBLE", "ISL: mean input tokens; null where a count is unknown", "tokens"),
        _N("cached_input_tokens_mean", "DOUBLE", "CSL: mean cached part of the input; null where unknown", "tokens"),
        _N("output_tokens_mean", "DOUBLE", "OSL: mean output tokens; null where a count is unknown", "tokens"),
        _N("reasoning_tokens_mean", "DOUBLE", "RSL: mean reasoning part of the output; null where unknown", "tokens"),
        _N("cached_share", "DOUBLE", "Cached / input tokens, over requests that know both"),
        # the client
        _N("first_token_merged_share", "DOUBLE", "Ok requests whose TTFT is an upper bound (merged read)"),
        _N("clock_suspect_share", "DOUBLE", "Requests in the window with an impossible stamp or a negative interval"),
        _N("client_cpu_share", "DOUBLE", "CPU of the busiest worker, as a share of one core"),
        _N("loop_lag_p99_ms", "DOUBLE", "p99 event-loop lag of the worst worker", "ms"),
        _N("late_send_share", "DOUBLE", "Sent in the window > 5 ms after schedule, connecting left out"),
        _N("merged_read_share", "DOUBLE", "Reads that held several token events because the client was late"),
        _N("tcp_rtt_ms", "DOUBLE", "Median TCP round trip of the window's seconds", "ms"),
        _N("connection_reuse_share", "DOUBLE", "Sent in the window on a connection that was open already"),
        _N("clock_step_ms", "DOUBLE", "Furthest that the wall clock moved against the monotonic one in the level", "ms"),
        # the server, by its own Prometheus page, over the scrapes in the window
        _N("server_running_mean", "DOUBLE", "Mean requests that the engine worked on"),
        _N("server_waiting_mean", "DOUBLE", "Mean requests in the engine's queue"),
        _N("kv_cache_usage_max", "DOUBLE", "Highest share of the KV cache in use"),
        _N("server_prefix_cache_hit_share", "DOUBLE", "Hits / queries of the prefix cache in the window, in tokens"),
        _N("gpu_power_w", "DOUBLE", "Mean power of the cards on the engine's page in the window; the cards alone", "W"),
        _N("joules_per_output_token", "DOUBLE", "gpu_power_w / output_tps; null for several instances behind one address", "J"),
        _N("joules_per_token", "DOUBLE", "gpu_power_w / total_tps, in the same way", "J"),
        _N("output_tps_per_mw", "DOUBLE", "Output tokens/s of a megawatt of such cards", "1/s"),
        # latency, of ok requests sent in the window
        *_latencies(),
    ),
)  # fmt: skip

_POINT = (
    _N("operating_point_id", "VARCHAR", "Operating point of the level; null where there is none (probe)"),
    _R("is_current", "BOOLEAN", "The attempt that stands for its run"),
)

CURATED_CLIENT_HEALTH = Table(
    "curated",
    CLIENT_HEALTH.name,
    CLIENT_HEALTH.grain,
    CLIENT_HEALTH.comment,
    (*CLIENT_HEALTH.columns, *_POINT),
)

CURATED_SERVER_METRICS = Table(
    "curated",
    SERVER_METRICS.name,
    SERVER_METRICS.grain,
    SERVER_METRICS.comment,
    (*SERVER_METRICS.columns, *_POINT),
)

IMPORTED_SUMMARIES = Table(
    "curated",
    "imported_summaries",
    SUMMARY_POINTS.grain,
    "What other tools say of their tests, word for word: operating_points has of it what our definitions allow.",
    (*SUMMARY_POINTS.columns, *_POINT),
)

SLO_ATTAINMENT = Table(
    "curated",
    "slo_attainment",
    ("operating_point_id", "slo"),
    "How an operating point stands against each SLO that applies to its workload, by that night's catalog.",
    (
        _R("operating_point_id", "VARCHAR", "Operating point"),
        _R("slo", "VARCHAR", "SLO of the catalog"),
        _R("run_id", "VARCHAR", "Run"),
        _R("attempt", "INTEGER", "Attempt of the run"),
        _R("is_current", "BOOLEAN", "The attempt that stands for its run"),
        _R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        _R("workload", "VARCHAR", "Workload of the catalog"),
        _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        _R("run_date", "DATE", "UTC date of the night"),
        _METRIC_VERSION,
        _N("attainment_share", "DOUBLE", "Share that decides; null: each bound is judged by its statistic"),
        _R("judged_requests", "BIGINT", "Requests sent in the window, those cancelled by the plan left out"),
        _N("good_requests", "BIGINT", "Ok and within every bound; null where one cannot be judged"),
        _N("attainment", "DOUBLE", "good / judged requests"),
        _N("attainment_lo", "DOUBLE", "Lower 95 % bound of attainment (Wilson, z = 1.959964)"),
        _N("attainment_hi", "DOUBLE", "Upper 95 % bound of attainment"),
        _N("good_rps", "DOUBLE", "Good completions in the window / window_s", "1/s"),
        _N("good_tps", "DOUBLE", "Output tokens of good completions in the window / window_s", "tokens/s"),
        _R("verdict", "VARCHAR", "met, missed or undecided (a statistic that decides is unknown)"),
        _N("meets_slo", "BOOLEAN", "verdict is met; null where undecided"),
        _N("meets_slo_confident", "BOOLEAN", "attainment_lo meets the share too; null where no share decides"),
        _N("worst_metric", "VARCHAR", "Bound that decides: the worst missed, else an undecided, else the nearest met"),
        _N("worst_statistic", "VARCHAR", "Statistic of that bound; null where it has none"),
        _N("worst_value", "DOUBLE", "Value of that bound: ms, tokens/s/user or a share; infinite through failures"),
        _N("worst_limit", "DOUBLE", "Limit of that bound"),
        _N("worst_excess", "DOUBLE", "How far beyond the limit, as a share of it; negative: within"),
    ),
)

SLO_BOUNDS = Table(
    "curated",
    "slo_bounds",
    ("catalog_hash", "slo", "bound_index"),
    "What each SLO asks for, by catalog snapshot.",
    (
        *SLO_BOUNDS_SOURCE.columns,
        _N(
            "attainment_share",
            "DOUBLE",
            "Share of requests within every bound that decides; null: each by its statistic",
        ),
    ),
)

PARETO_FRONTIER = Table(
    "curated",
    "pareto_frontier",
    ("operating_point_id", "latency_metric", "statistic", "throughput_metric"),
    "Valid operating points of one night, model and workload against each other, per GPU.",
    (
        _R("operating_point_id", "VARCHAR", "Operating point"),
        _R("latency_metric", "VARCHAR", "ttft, tpot, e2e or interactivity (higher is better)"),
        _R("statistic", "VARCHAR", "mean or a percentile; interactivity names its slow tail p25 to p1"),
        _R("throughput_metric", "VARCHAR", "request_rps, output_tps or total_tps"),
        _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        _R("run_date", "DATE", "UTC date of the night"),
        _R("model", "VARCHAR", "Model served"),
        _R("workload", "VARCHAR", "Workload of the catalog"),
        _R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        _R("run_id", "VARCHAR", "Run"),
        _N("engine", "VARCHAR", "Serving engine"),
        _N("precision", "VARCHAR", "Weights' precision"),
        _N("accelerator", "VARCHAR", "Accelerator of the endpoint"),
        _N("quality_score", "DOUBLE", "Quality of the endpoint's model: speed bought with accuracy must be seen"),
        _N("quality_source", "VARCHAR", "Where the quality score is from"),
        _N("memory_gib_per_gpu", "DOUBLE", "Memory in use on each GPU", "GiB"),
        _METRIC_VERSION,
        _R("latency", "DOUBLE", "Value of the latency metric: ms, tokens/s/user for interactivity"),
        _R("throughput_per_gpu", "DOUBLE", "Value of the throughput metric a GPU", "1/s"),
        _R("is_on_frontier", "BOOLEAN", "No other point has as much throughput at as little latency, one better"),
        _N("dominated_by", "VARCHAR", "An operating point that dominates it; null on the frontier"),
    ),
)  # fmt: skip

BEST_OPERATING_POINTS = Table(
    "curated",
    "best_operating_points",
    ("endpoint", "workload", "slo", "night"),
    "The operating point to run at: the highest request rate per GPU among valid points that meet the SLO.",
    (
        _R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        _R("workload", "VARCHAR", "Workload of the catalog"),
        _R("slo", "VARCHAR", "SLO of the catalog"),
        _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        _R("run_date", "DATE", "UTC date of the night"),
        _R("status", "VARCHAR", "chosen, infeasible, undecided or no_valid_point"),
        _N("reasons", "VARCHAR", "Why there is no valid point, or what left it undecided"),
        _R("points", "BIGINT", "Operating points measured"),
        _R("valid_points", "BIGINT", "Valid ones among them"),
        _R("feasible_points", "BIGINT", "Valid ones that meet the SLO"),
        _R("catalog_hash", "VARCHAR", "Snapshot of SLOs, demands and prices in force that night"),
        _METRIC_VERSION,
        _N("operating_point_id", "VARCHAR", "The chosen point; null unless chosen"),
        _N("run_id", "VARCHAR", "Run of the chosen point"),
        _N("attempt", "INTEGER", "Attempt of that run"),
        _N("concurrency", "INTEGER", "Requests kept in flight at the chosen point"),
        _N("request_rate", "DOUBLE", "Scheduled arrivals at the chosen point", "1/s"),
        _N("request_rps", "DOUBLE", "Request rate of the chosen point", "1/s"),
        _N("request_rps_lo", "DOUBLE", "Its lower 95 % bound", "1/s"),
        _N("request_rps_hi", "DOUBLE", "Its upper 95 % bound", "1/s"),
        _N("request_rps_per_gpu", "DOUBLE", "What it was chosen for", "1/s"),
        _N("attainment", "DOUBLE", "good / judged requests of the chosen point"),
        _N("meets_slo_confident", "BOOLEAN", "The lower bound of attainment meets the share too"),
        _N("nearest_operating_point_id", "VARCHAR", "Where infeasible: the valid point that misses by least"),
        _N("nearest_metric", "VARCHAR", "Metric that it misses"),
        _N("nearest_statistic", "VARCHAR", "Statistic of that bound"),
        _N("nearest_value", "DOUBLE", "Its value: ms, tokens/s/user or a share"),
        _N("nearest_limit", "DOUBLE", "The limit"),
        _N("nearest_excess", "DOUBLE", "By how much, as a share of the limit"),
    ),
)

TIME_SHARES = Table(
    "curated",
    "time_shares",
    ("operating_point_id", "slo"),
    "What the time of a chosen operating point went to by processor sharing: at each instant all requests in flight "
    "share the instance equally.",
    (
        _R("operating_point_id", "VARCHAR", "Operating point that was chosen"),
        _R("slo", "VARCHAR", "SLO that it was chosen for"),
        _R("run_id", "VARCHAR", "Run"),
        _R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        _R("workload", "VARCHAR", "Workload of the catalog"),
        _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        _METRIC_VERSION,
        _R("basis", "VARCHAR", "traces: the times of each request; summary: request counts of an imported summary"),
        _N("window_s", "DOUBLE", "Length of the window; of a summary the whole test, null where it does not say", "s"),
        _N("idle_share", "DOUBLE", "Share of the window without a request in flight; null: an open loop's summary"),
        _N("failed_share", "DOUBLE", "Of the time (basis summary: of the count) of failed, missed and good requests; null where one is unjudged"),
        _N("missed_share", "DOUBLE", "Of that time, the share of ok requests that miss the SLO"),
        _N("input_share", "DOUBLE", "Of the good requests' time, the share before the first token, queueing included"),
        _N("output_share", "DOUBLE", "Of the good requests' time, the share after the first token"),
        _N("judged_requests", "BIGINT", "Requests sent in the window, those cancelled by the plan left out; of a summary all, where known"),
        _R("failed_requests", "BIGINT", "Failed ones among them"),
        _N("missed_requests", "BIGINT", "Ok ones among them that miss the SLO; null where one cannot be judged"),
        _N("good_requests", "BIGINT", "Ok ones among them within every bound; null where one cannot be judged"),
        _R("failed_input_tokens", "DOUBLE", "Input tokens of the failed requests; what was not reported was not billed", "tokens"),
        _R("failed_cached_input_tokens", "DOUBLE", "Cached input tokens of the failed requests", "tokens"),
        _R("failed_output_tokens", "DOUBLE", "Output tokens of the failed requests", "tokens"),
        _R("failed_reasoning_tokens", "DOUBLE", "Reasoning tokens of the failed requests", "tokens"),
        _N("missed_input_tokens", "DOUBLE", "Input tokens of the ok requests that miss the SLO; null where one is unknown", "tokens"),
        _N("missed_cached_input_tokens", "DOUBLE", "Cached input tokens of the ok requests that miss the SLO", "tokens"),
        _N("missed_output_tokens", "DOUBLE", "Output tokens of the ok requests that miss the SLO", "tokens"),
        _N("missed_reasoning_tokens", "DOUBLE", "Reasoning tokens of the ok requests that miss the SLO", "tokens"),
        _N("good_input_tokens", "DOUBLE", "Input tokens of the good requests; null where one is unknown", "tokens"),
        _N("good_cached_input_tokens", "DOUBLE", "Cached input tokens of the good requests", "tokens"),
        _N("good_output_tokens", "DOUBLE", "Output tokens of the good requests", "tokens"),
        _N("good_reasoning_tokens", "DOUBLE", "Reasoning tokens of the good requests", "tokens"),
    ),
)  # fmt: skip

SERVER_COUNTS = Table(
    "curated",
    "server_counts",
    ("fleet_id",),
    "How many instances, servers and GPUs a demand needs on an endpoint, by the night's best operating point.",
    (
        _R("fleet_id", "VARCHAR", "Demand, endpoint and night"),
        _R("demand", "VARCHAR", "Demand of the catalog"),
        _R("application", "VARCHAR", "Application that it stands for"),
        _R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        _R("workload", "VARCHAR", "Workload of the catalog"),
        _R("slo", "VARCHAR", "SLO of the catalog"),
        _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        _R("run_date", "DATE", "UTC date of the night"),
        _R("status", "VARCHAR", "Of the best operating point, or unknown_power; counts are null unless chosen"),
        _N("run_id", "VARCHAR", "Run that it stands on"),
        _N("operating_point_id", "VARCHAR", "Operating point that it stands on"),
        _R("catalog_hash", "VARCHAR", "Snapshot of the demand"),
        _METRIC_VERSION,
        _N("role", "VARCHAR", "aggregated, or prefill or decode: a pool of a disaggregated fleet, sized by itself"),
        _N("model", "VARCHAR", "Model that the endpoint serves"),
        _N("accelerator", "VARCHAR", "Accelerator of the endpoint"),
        _N("gpus_per_instance", "INTEGER", "GPUs that one instance takes"),
        _N("gpus_per_server", "INTEGER", "GPUs in one server"),
        _R("peak_rps", "DOUBLE", "Peak request rate that night, growth included", "1/s"),
        _N("mean_rps", "DOUBLE", "Mean request rate that night, growth included; null where unknown", "1/s"),
        _N("mean_source", "VARCHAR", "rates (as stated), users or trace; null where the mean is unknown"),
        _N("peak_to_average", "DOUBLE", "peak_rps / mean_rps"),
        _R("growth_factor", "DOUBLE", "Of the rates since the demand's as_of, in both of them already"),
        _R("headroom", "DOUBLE", "Capacity above the peak, 0.1 = 10 %"),
        _R("uptime", "DOUBLE", "Share of the year that the fleet serves"),
        _N(
            "max_instances",
            "BIGINT",
            "Hard budget in instances: the least of its instances, GPUs and power; null: none",
        ),
        _N("rps_per_instance", "DOUBLE", "request_rps / instances_measured", "1/s"),
        _N("rps_per_instance_lo", "DOUBLE", "At the lower 95 % bound", "1/s"),
        _N("rps_per_instance_hi", "DOUBLE", "At the upper 95 % bound", "1/s"),
        _N("rps_per_server", "DOUBLE", "Of the instances that fit a server", "1/s"),
        _N("instances_for_peak", "BIGINT", "n0: instances that carry the peak"),
        _N("instances_with_headroom", "BIGINT", "n1: instances that carry peak x (1 + headroom)"),
        _N("spares", "BIGINT", "Spare instances, within the budget"),
        _N("instances", "BIGINT", "instances_with_headroom + spares"),
        _N("servers", "BIGINT", "Servers for the instances; none straddles two servers that could hold it"),
        _N("gpus", "BIGINT", "GPUs of the instances"),
        _N("stranded_gpus", "BIGINT", "GPUs of the servers that no instance uses"),
        _N("power_kw", "DOUBLE", "Power of the instances' GPUs, all in; null where not known", "kW"),
        _N("utilisation", "DOUBLE", "peak_rps / (instances x rps_per_instance); above 1: the budget is too small"),
        _N("utilisation_at_mean", "DOUBLE", "mean_rps / (instances x rps_per_instance)"),
        _N("share_of_load_served", "DOUBLE", "Share of the peak that the instances carry, spares included; 1: all"),
        _N("survives_one_server", "BOOLEAN", "The instances left by the loss of one server carry the peak"),
        _N("instances_to_survive", "BIGINT", "Instances that carry the peak with one server down, whatever the budget"),
        _N("servers_to_survive", "BIGINT", "Servers for those"),
        _N("instances_lo", "BIGINT", "instances at rps_per_instance_hi"),
        _N("instances_hi", "BIGINT", "instances at rps_per_instance_lo; null where that is not above 0"),
    ),
)

FLEET_MIXES = Table(
    "curated",
    "fleet_mixes",
    ("mix_id", "currency", "endpoint", "price_plan"),
    "The cheapest mix of endpoints and price plans for a demand of several workloads; one solution a currency.",
    (
        _R("mix_id", "VARCHAR", "Demand and night"),
        _R("demand", "VARCHAR", "Demand of the catalog"),
        _R("application", "VARCHAR", "Application that it stands for"),
        _R("slo", "VARCHAR", "SLO of the catalog, held by each workload of the mix"),
        _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        _R("run_date", "DATE", "UTC date of the night"),
        _R("status", "VARCHAR", "solved, infeasible, no_price_plan, or undecided: time ran out with nothing found"),
        _N("reasons", "VARCHAR", "Why there is no solution, and which plans were left out"),
        _R("catalog_hash", "VARCHAR", "Snapshot of the demand"),
        _METRIC_VERSION,
        _N("currency", "VARCHAR", "Currency of every usd column; null where no plan mattered"),
        _N("solver", "VARCHAR", "What solved it, with its version"),
        _N("optimality_gap", "DOUBLE", "Share of the cost by which another mix could be cheaper; 0: proven optimal"),
        _R("peak_rps", "DOUBLE", "Peak request rate that night, growth included", "1/s"),
        _N("mean_rps", "DOUBLE", "Mean request rate that night, growth included; null where unknown", "1/s"),
        _R("headroom", "DOUBLE", "Capacity above the peak, 0.1 = 10 %"),
        _R("uptime", "DOUBLE", "Share of the year that the fleet serves"),
        _N("served_rps", "DOUBLE", "The mean rate, or what the instances carry x uptime where that is less", "1/s"),
        _N("mix_offers", "BIGINT", "Endpoints x plans in the mix: its rows"),
        _N("mix_instances", "BIGINT", "Instances of the mix, spares included; null for API plans alone"),
        _N("mix_servers", "BIGINT", "Servers of the mix; null where none is paid by the server"),
        _N("mix_gpus", "BIGINT", "GPUs of its instances"),
        _N("mix_power_kw", "DOUBLE", "Power of those, all in; null where one is not known", "kW"),
        _N("mix_year_usd", "DOUBLE", "The whole mix for a year", "currency"),
        _N("usd_per_request", "DOUBLE", "mix_year_usd / the requests served in a year; null where the mean is unknown", "currency"),
        _N("single_endpoint", "VARCHAR", "Cheapest endpoint that serves every workload by itself; null: none does"),
        _N("single_price_plan", "VARCHAR", "Its price plan"),
        _N("single_year_usd", "DOUBLE", "Its cost for a year", "currency"),
        _N("saved_year_usd", "DOUBLE", "single_year_usd - mix_year_usd", "currency"),
        _N("endpoint", "VARCHAR", "Endpoint of this row; null where there is no solution"),
        _N("price_plan", "VARCHAR", "Price plan of this row"),
        _N("run_ids", "VARCHAR", "Runs that its rates stand on; by workload in mix_routes"),
        _N("price_kind", "VARCHAR", "own, rent or api"),
        _N("rent_unit", "VARCHAR", "Rent: gpu (nothing is stranded) or server"),
        _N("pricing_category", "VARCHAR", "Rent: on_demand, reserved or spot"),
        _N("price_valid_from", "DATE", "First day of the plan's prices"),
        _N("price_valid_to", "DATE", "Last day of the plan's prices; null: still valid"),
        _N("price_source", "VARCHAR", "Where the plan's figures are from"),
        _N("accelerator", "VARCHAR", "Accelerator of the endpoint"),
        _N("gpus_per_instance", "INTEGER", "GPUs that one instance takes"),
        _N("gpus_per_server", "INTEGER", "GPUs in one server of the plan"),
        _N("load_share", "DOUBLE", "Share of all requests that goes here"),
        _N("instances", "BIGINT", "Instances, spares included; null for an API"),
        _N("spares", "INTEGER", "Spare ones among them"),
        _N("servers", "BIGINT", "Servers for them; null where none is paid by the server"),
        _N("gpus", "BIGINT", "GPUs of the instances"),
        _N("stranded_gpus", "BIGINT", "GPUs of the servers that no instance uses"),
        _N("power_kw", "DOUBLE", "Power of the instances' GPUs, all in", "kW"),
        _N("utilisation", "DOUBLE", "Instances that the peak keeps busy / instances"),
        _N("priced_unit", "VARCHAR", "What the plan charges for: server, instance (rent by the GPU) or request"),
        _N("priced_units", "BIGINT", "How many of those; null for an API"),
        _N("unit_year_usd", "DOUBLE", "One of those for a year; null for an API", "currency"),
        _N("fleet_year_usd", "DOUBLE", "This row's part of mix_year_usd", "currency"),
    ),
)  # fmt: skip

MIX_ROUTES = Table(
    "curated",
    "mix_routes",
    ("mix_id", "workload", "endpoint", "price_plan"),
    "Which share of each workload of a mix goes to which endpoint, in the solutions of fleet_mixes.",
    (
        _R("mix_id", "VARCHAR", "Demand and night"),
        _R("demand", "VARCHAR", "Demand of the catalog"),
        _R("workload", "VARCHAR", "Workload: a class of the mix"),
        _R("endpoint", "VARCHAR", "Endpoint that it goes to"),
        _R("price_plan", "VARCHAR", "Price plan that pays for it"),
        _R("slo", "VARCHAR", "SLO of the catalog"),
        _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        _R("run_date", "DATE", "UTC date of the night"),
        _R("run_id", "VARCHAR", "Run that the rate stands on"),
        _R("operating_point_id", "VARCHAR", "Operating point that the rate stands on"),
        _R("catalog_hash", "VARCHAR", "Snapshot of the demand"),
        _METRIC_VERSION,
        _R("currency", "VARCHAR", "Currency of the solution"),
        _R("price_valid_from", "DATE", "First day of the plan's prices"),
        _R("class_share", "DOUBLE", "Share of all requests that are of this workload"),
        _R("share_of_class", "DOUBLE", "Share of this workload that goes here"),
        _R("share_of_requests", "DOUBLE", "class_share x share_of_class"),
        _R("peak_rps", "DOUBLE", "Requests that go here at peak", "1/s"),
        _N("mean_rps", "DOUBLE", "Requests that go here on average; null where unknown", "1/s"),
        _N("rps_per_instance", "DOUBLE", "Requests of this workload that one instance serves; null for an API", "1/s"),
        _N("instances_busy", "DOUBLE", "peak_rps x (1 + headroom) / rps_per_instance"),
        _N("api_usd_per_request", "DOUBLE", "An API's bill for one request", "currency"),
        _N("api_year_usd", "DOUBLE", "An API's bill for a year", "currency"),
    ),
)  # fmt: skip

PRICE_TERMS = Table(
    "curated",
    "price_terms",
    ("endpoint", "workload", "night", "price_plan"),
    "What each price plan that applies to an endpoint, or that a demand names, charges on a night.",
    (
        _R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        _R("workload", "VARCHAR", "Workload of the catalog"),
        _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        _R("price_plan", "VARCHAR", "Price plan of the catalog"),
        _R("run_date", "DATE", "UTC date of the night"),
        _R("catalog_hash", "VARCHAR", "Snapshot of the prices"),
        _METRIC_VERSION,
        _R("applies", "BOOLEAN", "Pays for every demand that names no plans; else only where a demand names it"),
        _R("price_kind", "VARCHAR", "own, rent or api"),
        _N("rent_unit", "VARCHAR", "Rent: gpu (nothing is stranded), server or provisioned"),
        _N("pricing_category", "VARCHAR", "Rent: on_demand, reserved or spot"),
        _R("currency", "VARCHAR", "Currency of every usd column"),
        _R("price_valid_from", "DATE", "First day of the plan's prices"),
        _N("price_valid_to", "DATE", "Last day of the plan's prices; null: still valid"),
        _R("price_source", "VARCHAR", "Where the plan's figures are from"),
        _R("priced_unit", "VARCHAR", "What the plan charges for: server, instance (rent by the GPU), unit or request"),
        _N("gpus_per_server", "INTEGER", "GPUs in one server of the plan"),
        _N("instances_per_unit", "DOUBLE", "Instances that one of what is paid for holds; null for an API"),
        _N("server_year_usd", "DOUBLE", "One server for a year; null for rent by the GPU or unit, and an API", "currency"),
        _N("unit_year_usd", "DOUBLE", "One of what is paid for, a year; null for an API", "currency"),
        _N("tokens_per_s", "DOUBLE", "Provisioned: tokens, input and output, that a unit serves", "tokens/s"),
        _N("usd_per_mtok_input", "DOUBLE", "API: 1M input tokens. Else those of its reference plan, for the ratio", "currency"),
        _N("usd_per_mtok_cached_input", "DOUBLE", "1M cached input tokens there; null: as input", "currency"),
        _N("usd_per_mtok_output", "DOUBLE", "1M output tokens there", "currency"),
        _N("usd_per_mtok_reasoning", "DOUBLE", "1M reasoning tokens there; null: as output", "currency"),
    ),
)  # fmt: skip

DEMANDS = Table(
    "curated",
    "demands",
    ("catalog_hash", "demand", "night"),
    "What was asked of fleets on each night, as its catalog snapshot has it.",
    (
        *DEMANDS_SOURCE.columns[:2],
        _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        _R("run_date", "DATE", "UTC date of the night"),
        *DEMANDS_SOURCE.columns[2:],
        _N("trace_rps", "DOUBLE[]", "Of a demand trace: its rates at as_of", "1/s"),
        _N("trace_shares", "DOUBLE[]", "Share of the time at each of them"),
        _R("slo_terms", "VARCHAR", "The whole SLO in one line"),
        _METRIC_VERSION,
    ),
)

PRICE_PLANS = Table(
    "curated",
    "price_plans",
    ("catalog_hash", "price_plan", "night"),
    "The price book as it stood on each night: plans of its catalog snapshot in force on its date.",
    (
        *PRICE_PLANS_SOURCE.columns[:2],
        _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        _R("run_date", "DATE", "UTC date of the night"),
        *PRICE_PLANS_SOURCE.columns[2:],
        _METRIC_VERSION,
    ),
)

CHANGE_POINTS = Table(
    "curated",
    "change_points",
    ("performance_id", "night"),
    "Each night's performance against its baseline, prices and demands left out; changes as episodes.",
    (
        _R("performance_id", "VARCHAR", "Endpoint, workload, SLO and measure: what the costs of several series follow"),
        _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        _R("run_date", "DATE", "UTC date of the night"),
        _R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        _R("workload", "VARCHAR", "Workload of the catalog"),
        _R("slo", "VARCHAR", "SLO of the catalog"),
        _R("measure", "VARCHAR", "gpu_seconds, gpu_seconds_good (of good requests), good_share, or the bill of an API plan"),
        _METRIC_VERSION,
        _R("lineage", "VARCHAR", "Nights with the same loads, lengths, SLO and metric version: only they are compared"),
        _R("performance_value", "DOUBLE", "What 1M tokens or a request take, in the measure's unit; less is better"),
        _R("own_error_share", "DOUBLE", "Standard error of the night's own rate"),
        _R("baseline_since", "TIMESTAMP", "First night of the baseline: after the last step that held"),
        _R("baseline_nights", "BIGINT", "Valid nights in it"),
        _N("baseline_value", "DOUBLE", "Its mean, outliers left out; null: too few nights"),
        _N("baseline_spread_share", "DOUBLE", "Robust spread from night to night; null: too few nights"),
        _N("sigmas", "DOUBLE", "The night alone against the baseline, in spreads; above 0 is worse"),
        _R("state", "VARCHAR", "no_baseline, quiet, or of a change: open, passed (gone again), settled (the new normal)"),
        _N("change_id", "VARCHAR", "The change that is open, or ended tonight; stable, and one for all its nights"),
        _N("first_night", "TIMESTAMP", "Night on which it was found"),
        _N("step_night", "TIMESTAMP", "Night on which it began, as known tonight"),
        _N("direction", "VARCHAR", "worse or better"),
        _N("change_share", "DOUBLE", "Mean since the step against the baseline; 0.05 takes 5 % more"),
        _N("change_sigmas", "DOUBLE", "Of the test that found it"),
        _N("confidence", "DOUBLE", "Share of mere noise that stays below that"),
    ),
)  # fmt: skip

COST_PER_MILLION_TOKENS = Table(
    "curated",
    "cost_per_million_tokens",
    ("fleet_id", "price_plan", "cost_basis", "allocation_method"),
    "What a fleet's year costs per request and per token under a price plan in force that night.",
    (
        _R("series_id", "VARCHAR", "Endpoint, workload, SLO, demand, plan, basis and allocation, stable over nights"),
        _R("fleet_id", "VARCHAR", "Demand, endpoint and night"),
        _R("price_plan", "VARCHAR", "Price plan of the catalog"),
        _R("cost_basis", "VARCHAR", "capacity: every server full; slo: good requests only; demand: the mean rate"),
        _R(
            "allocation_method",
            "VARCHAR",
            "Input and output by API prices (price_ratio), measured time (processor_sharing) or pool (separate_phases)",
        ),
        _R("demand", "VARCHAR", "Demand of the catalog"),
        _R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        _R("workload", "VARCHAR", "Workload of the catalog"),
        _R("slo", "VARCHAR", "SLO of the catalog"),
        _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        _R("run_date", "DATE", "UTC date of the night"),
        _R("status", "VARCHAR", "Of the best operating point; figures are null unless chosen"),
        _N("run_id", "VARCHAR", "Run that it stands on"),
        _N("operating_point_id", "VARCHAR", "Operating point that it stands on"),
        _METRIC_VERSION,
        _R("role", "VARCHAR", "aggregated, or prefill or decode: the price of one pool of a disaggregated fleet"),
        _R("price_kind", "VARCHAR", "own, rent or api"),
        _N("rent_unit", "VARCHAR", "Rent: gpu (nothing is stranded), server or provisioned"),
        _N("pricing_category", "VARCHAR", "Rent: on_demand, reserved or spot"),
        _R("currency", "VARCHAR", "Currency of every usd_ column"),
        _R("price_valid_from", "DATE", "First day of the plan's prices"),
        _N("price_valid_to", "DATE", "Last day of the plan's prices; null: still valid"),
        _R("price_source", "VARCHAR", "Where the plan's figures are from"),
        _R("priced_unit", "VARCHAR", "What the plan charges for: server, instance (rent by the GPU), unit or request"),
        _N("priced_units", "BIGINT", "How many of those the fleet has; null for an API"),
        _N("unit_year_usd", "DOUBLE", "One unit for a year; null for an API", "currency"),
        _N("server_year_usd", "DOUBLE", "One server for a year; null for rent by the GPU or unit, and an API", "currency"),
        _N("fleet_year_usd", "DOUBLE", "The fleet, or the API's bill at the mean rate, for a year", "currency"),
        _N("served_rps", "DOUBLE", "Requests served on this cost basis", "1/s"),
        _N("input_tokens_mean", "DOUBLE", "ISL of the operating point", "tokens"),
        _N("cached_input_tokens_mean", "DOUBLE", "CSL of the operating point", "tokens"),
        _N("output_tokens_mean", "DOUBLE", "OSL of the operating point", "tokens"),
        _N("usd_per_1k_prompts", "DOUBLE", "1000 requests", "currency"),
        _N("usd_per_1k_prompts_lo", "DOUBLE", "At the upper 95 % bound of the rate, fleet sized anew", "currency"),
        _N("usd_per_1k_prompts_hi", "DOUBLE", "At the lower 95 % bound of the rate, fleet sized anew", "currency"),
        _N("usd_per_request", "DOUBLE", "One request", "currency"),
        _N("usd_per_request_lo", "DOUBLE", "At the upper 95 % bound of the rate, fleet sized anew", "currency"),
        _N("usd_per_request_hi", "DOUBLE", "At the lower 95 % bound of the rate, fleet sized anew", "currency"),
        _N("usd_per_mtok", "DOUBLE", "1M tokens, input and output alike; null where unknown, and for a pool", "currency"),
        _N("usd_per_mtok_lo", "DOUBLE", "At the upper 95 % bound of the rate, fleet sized anew", "currency"),
        _N("usd_per_mtok_hi", "DOUBLE", "At the lower 95 % bound of the rate, fleet sized anew", "currency"),
        _N("usd_per_mtok_input", "DOUBLE", "1M fresh input tokens; null where the split is unknown", "currency"),
        _N("usd_per_mtok_cached_input", "DOUBLE", "1M cached input tokens", "currency"),
        _N("usd_per_mtok_output", "DOUBLE", "1M output tokens", "currency"),
    ),
)  # fmt: skip

_FLEET = (
    _R("fleet_id", "VARCHAR", "Demand, endpoint and night"),
    _R("price_plan", "VARCHAR", "Price plan of the catalog"),
)
_STANDS_ON = (
    _R("demand", "VARCHAR", "Demand of the catalog"),
    _R("endpoint", "VARCHAR", "Endpoint of the catalog"),
    _R("workload", "VARCHAR", "Workload of the catalog"),
    _R("slo", "VARCHAR", "SLO of the catalog"),
    _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
    _R("run_date", "DATE", "UTC date of the night"),
    _N("run_id", "VARCHAR", "Run that it stands on"),
    _N("operating_point_id", "VARCHAR", "Operating point that it stands on"),
    _METRIC_VERSION,
    _R("price_kind", "VARCHAR", "own, rent or api"),
    _R("price_valid_from", "DATE", "First day of the plan's prices"),
    _R("currency", "VARCHAR", "Currency of every usd column"),
)

COST_LEDGER = Table(
    "curated",
    "cost_ledger",
    ("fleet_id", "price_plan", "allocation_method", "bucket"),
    "Where a fleet's yearly cost goes: the buckets of a fleet, plan and method sum to it.",
    (
        *_FLEET,
        _R("allocation_method", "VARCHAR", "price_ratio, processor_sharing or separate_phases"),
        _R(
            "bucket",
            "VARCHAR",
            "stranded, spare, headroom, idle, failed, slo_missed, input, cached_input, output; unallocated: not known which",
        ),
        _N("usd", "DOUBLE", "A year of it; null where the split is unknown, and then unallocated holds it", "currency"),
        _N("usd_shown", "DOUBLE", "In whole cents, rounded so that the buckets sum to the rounded fleet year", "currency"),
        _R("fleet_year_usd", "DOUBLE", "The fleet for a year", "currency"),
        _R("served_rps", "DOUBLE", "Requests served a second over the year", "1/s"),
        _R("mean_basis", "VARCHAR", "Rate that it stands at: mean, trace, or peak where the demand states no mean"),
        *_STANDS_ON,
    ),
)  # fmt: skip

BREAK_EVEN = Table(
    "curated",
    "break_even",
    ("fleet_id", "price_plan", "other_plan"),
    "From which use on a price plan is cheaper than another: own against rent, own and rent against an API.",
    (
        *_FLEET,
        _R("other_plan", "VARCHAR", "Plan that it is held against"),
        _R("other_kind", "VARCHAR", "rent or api"),
        _R("verdict", "VARCHAR", "crosses, never, unknown or currency_mix"),
        _N("hours_per_year", "DOUBLE", "Against rent: hours a year above which owning is cheaper", "h"),
        _N("utilisation", "DOUBLE", "That as a share of a year; against an API: rps / the fleet's capacity"),
        _N("requests_per_year", "DOUBLE", "Requests a year above which the plan is cheaper"),
        _N("rps", "DOUBLE", "The same a second", "1/s"),
        _N("tokens_per_month", "DOUBLE", "Input and output tokens of those requests a month", "tokens"),
        _N("units", "BIGINT", "Servers, instances or units that the break-even rate needs"),
        _N("fleet_year_usd", "DOUBLE", "Those for a year", "currency"),
        _N("other_usd_per_request", "DOUBLE", "Against an API: one request there", "currency"),
        _R("other_valid_from", "DATE", "First day of the other plan's prices"),
        *_STANDS_ON,
    ),
)  # fmt: skip

USD_PER_REQUEST = Table(
    "curated",
    "usd_per_request",
    ("fleet_id", "price_plan"),
    "What one request costs on each endpoint and plan that could serve a demand, models beside each other.",
    (
        *_FLEET,
        _R("model", "VARCHAR", "Model served: across models only a request is comparable, not a token"),
        _N("precision", "VARCHAR", "Weights' precision"),
        _N("accelerator", "VARCHAR", "Accelerator of the endpoint"),
        _N("quality_score", "DOUBLE", "Quality of the endpoint's model, as the catalog says"),
        _R("status", "VARCHAR", "Of the best operating point; figures are null unless chosen"),
        _N("attainment", "DOUBLE", "good / judged requests at the operating point"),
        _N("input_tokens_mean", "DOUBLE", "ISL by that model's own tokens", "tokens"),
        _N("output_tokens_mean", "DOUBLE", "OSL by that model's own tokens", "tokens"),
        _N("usd_per_request_capacity", "DOUBLE", "One request, every server full", "currency"),
        _N("usd_per_request_slo", "DOUBLE", "One good request, every server full", "currency"),
        _N("usd_per_request_demand", "DOUBLE", "One request at the demand's mean rate", "currency"),
        _N("fleet_year_usd", "DOUBLE", "The fleet for a year", "currency"),
        _N("rank", "BIGINT", "1 is the cheapest of demand, night and currency: at the mean rate, else on full servers"),
        *_STANDS_ON,
    ),
)  # fmt: skip

COST_BY_CACHED_SHARE = Table(
    "curated",
    "cost_by_cached_share",
    ("fleet_id", "price_plan", "cached_band"),
    "What good requests cost by how much of their input came from a cache, every server full.",
    (
        *_FLEET,
        _R("cached_band", "VARCHAR", "Cached share of the input: none, 0-25 %, 25-50 %, 50-75 % or 75-100 %"),
        _R("is_most_cached", "BOOLEAN", "The band with the largest share that has at least 11 requests"),
        _R("requests", "BIGINT", "Good requests of the band, sent in the window"),
        _R("input_tokens_mean", "DOUBLE", "Input tokens of the band's requests", "tokens"),
        _R("cached_input_tokens_mean", "DOUBLE", "Cached ones among them", "tokens"),
        _R("output_tokens_mean", "DOUBLE", "Output tokens of the band's requests", "tokens"),
        _R("seconds_per_request", "DOUBLE", "What one holds of its instance by processor sharing", "s"),
        _N("usd_per_request", "DOUBLE", "By the time held on own and rented hardware, by the price list of an API", "currency"),
        _N("usd_per_mtok", "DOUBLE", "1M tokens of the band, input and output alike", "currency"),
        *_STANDS_ON,
    ),
)  # fmt: skip

SAVINGS = Table(
    "curated",
    "savings",
    ("fleet_id", "price_plan", "lever", "alternative"),
    "What could make a request cheaper, from measured points alone, every server full. Levers do not add up.",
    (
        *_FLEET,
        _R("lever", "VARCHAR", "prompt_cache, output_budget, precision or routing"),
        _R("alternative", "VARCHAR", "Cached band, budget in tokens, or endpoint"),
        _N("share_of_traffic", "DOUBLE", "Requests that it changes: outside the band, above the budget, or sent elsewhere"),
        _R("usd_per_request_now", "DOUBLE", "One request today", "currency"),
        _N("usd_per_request_then", "DOUBLE", "One request on average with the lever; null where not known", "currency"),
        _N("saving_share", "DOUBLE", "1 - then / now; below 0: it would cost more"),
        _N("served_rps", "DOUBLE", "Rate that the demand is served at; null where its mean is unknown", "1/s"),
        _N("saving_year_usd", "DOUBLE", "(now - then) x the requests served in a year", "currency"),
        _N("precision", "VARCHAR", "Weights' precision"),
        _N("quality_score", "DOUBLE", "Quality of the endpoint's model, as the catalog says"),
        _N("other_endpoint", "VARCHAR", "precision, routing: the other endpoint"),
        _N("other_price_plan", "VARCHAR", "Its plan: the same, or the cheapest of the same terms"),
        _N("other_operating_point_id", "VARCHAR", "Its operating point: chosen, or the nearest to the SLO"),
        _N("other_precision", "VARCHAR", "Its weights' precision"),
        _N("other_quality_score", "DOUBLE", "Its quality: what the saving may cost"),
        *_STANDS_ON,
    ),
)  # fmt: skip

COST_BY_SLO_LIMIT = Table(
    "curated",
    "cost_by_slo_limit",
    ("endpoint", "workload", "night", "price_plan", "latency_metric", "statistic", "operating_point_id"),
    "What a latency limit costs, at measured points only: the cheapest point within each, every server full.",
    (
        _R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        _R("workload", "VARCHAR", "Workload of the catalog"),
        _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        _R("price_plan", "VARCHAR", "Own or rent plan of the catalog"),
        _R("latency_metric", "VARCHAR", "ttft, tpot, e2e or interactivity (the limit is then a least one)"),
        _R("statistic", "VARCHAR", "mean or a percentile; interactivity names its slow tail p25 to p1"),
        _R("operating_point_id", "VARCHAR", "Valid point whose latency is the limit"),
        _R("run_date", "DATE", "UTC date of the night"),
        _R("run_id", "VARCHAR", "Run of the point"),
        _METRIC_VERSION,
        _R("currency", "VARCHAR", "Currency of every usd column"),
        _R("price_valid_from", "DATE", "First day of the plan's prices"),
        _R("limit_value", "DOUBLE", "The limit: ms, tokens/s/user for interactivity"),
        _R("cheapest_point_id", "VARCHAR", "Point within the limit with the most requests a second a GPU"),
        _N("request_rps_per_gpu", "DOUBLE", "Its request rate a GPU", "1/s"),
        _N("usd_per_request", "DOUBLE", "One request there", "currency"),
        _N("usd_per_mtok", "DOUBLE", "1M tokens there, input and output alike", "currency"),
        _N("twice_as_tight_point_id", "VARCHAR", "The same at half the limit (twice the interactivity); null: none is"),
        _N("usd_per_mtok_twice_as_tight", "DOUBLE", "1M tokens there", "currency"),
        _N("times_dearer_twice_as_tight", "DOUBLE", "What the tighter limit costs, as a multiple of usd_per_request"),
    ),
)  # fmt: skip

DISAGGREGATED_FLEETS = Table(
    "curated",
    "disaggregated_fleets",
    ("prefill_fleet_id", "decode_fleet_id", "price_plan", "decode_price_plan", "cost_basis"),
    "A prefill and a decode pool of one model and demand as one fleet: each sized by itself, costs added.",
    (
        _R("prefill_fleet_id", "VARCHAR", "Demand, prefill endpoint and night"),
        _R("decode_fleet_id", "VARCHAR", "Demand, decode endpoint and night"),
        _R("price_plan", "VARCHAR", "Price plan of the prefill pool"),
        _R("decode_price_plan", "VARCHAR", "Price plan of the decode pool, in the same currency"),
        _R("cost_basis", "VARCHAR", "capacity, slo or demand"),
        _R("demand", "VARCHAR", "Demand of the catalog"),
        _R("model", "VARCHAR", "Model that both serve"),
        _R("workload", "VARCHAR", "Workload of the catalog"),
        _R("slo", "VARCHAR", "SLO of the catalog"),
        _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        _R("prefill_endpoint", "VARCHAR", "Endpoint of the prefill pool"),
        _R("decode_endpoint", "VARCHAR", "Endpoint of the decode pool"),
        _R("status", "VARCHAR", "chosen where both pools have a point; else that of the first that has none"),
        _METRIC_VERSION,
        _R("currency", "VARCHAR", "Currency of every usd column"),
        _N("prefill_operating_point_id", "VARCHAR", "Operating point of the prefill pool"),
        _N("decode_operating_point_id", "VARCHAR", "Operating point of the decode pool"),
        _N("prefill_instances", "BIGINT", "Instances of the prefill pool, spares included"),
        _N("decode_instances", "BIGINT", "Instances of the decode pool, spares included"),
        _N("prefill_gpus", "BIGINT", "GPUs of the prefill pool's instances"),
        _N("decode_gpus", "BIGINT", "GPUs of the decode pool's instances"),
        _N("prefill_per_decode", "DOUBLE", "Prefill instances a decode instance that carry the same rate, unrounded"),
        _N("usual_band", "VARCHAR", "2:1-4:1 (long input, TTFT first), 1:2-1:1 (short input, TPOT first) or outside"),
        _N("request_rps_per_gpu", "DOUBLE", "Rate a GPU of pools in balance: 1 / (g_p / r_p + g_d / r_d)", "1/s"),
        _N("fleet_year_usd", "DOUBLE", "Both pools for a year", "currency"),
        _N("usd_per_1k_prompts", "DOUBLE", "1000 requests, both phases", "currency"),
        _N("usd_prefill_per_1k", "DOUBLE", "Prefill of 1000 requests", "currency"),
        _N("usd_decode_per_1k", "DOUBLE", "Decode of 1000 requests", "currency"),
        _N("usd_per_mtok", "DOUBLE", "1M tokens, input and output alike", "currency"),
        _N("usd_per_mtok_input", "DOUBLE", "1M input tokens: the prefill pool", "currency"),
        _N("usd_per_mtok_output", "DOUBLE", "1M output tokens: the decode pool", "currency"),
    ),
)  # fmt: skip

COST_TRENDS = Table(
    "curated",
    "cost_trends",
    ("series_id", "night"),
    "Each series' cost night by night, against the valid night before and its baseline, the change split by cause.",
    (
        _R("series_id", "VARCHAR", "Endpoint, workload, SLO, demand, plan, basis and allocation, stable over nights"),
        _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        _R("run_date", "DATE", "UTC date of the night"),
        _R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        _R("workload", "VARCHAR", "Workload of the catalog"),
        _R("slo", "VARCHAR", "SLO of the catalog"),
        _R("demand", "VARCHAR", "Demand of the catalog"),
        _R("price_plan", "VARCHAR", "Price plan of the catalog"),
        _R("cost_basis", "VARCHAR", "capacity: every server full; slo: good requests only; demand: the mean rate"),
        _R("allocation_method", "VARCHAR", "Of the series; a whole token's price does not depend on it"),
        _R("status", "VARCHAR", "Of the best operating point"),
        _R("fleet_id", "VARCHAR", "Demand, endpoint and night"),
        _N("run_id", "VARCHAR", "Run that it stands on"),
        _N("operating_point_id", "VARCHAR", "Operating point that it stands on"),
        _N("performance_id", "VARCHAR", "Row of change_points that it follows; null: the cost follows from no performance"),
        _METRIC_VERSION,
        _N("loads", "VARCHAR", "Loads that were measured; only nights of the same are compared"),
        _R("currency", "VARCHAR", "Currency of every usd column"),
        _R("measure", "VARCHAR", "Column that value_usd is: usd_per_mtok; of a pool that of its own tokens; usd_per_request"),
        _N("value_usd", "DOUBLE", "The cost; null where the night has none (no_value)", "currency"),
        _N("value_usd_lo", "DOUBLE", "At the upper 95 % bound of the rate", "currency"),
        _N("value_usd_hi", "DOUBLE", "At the lower 95 % bound of the rate", "currency"),
        _N("no_value", "VARCHAR", "Why there is none: such a night is a gap, never carried forward, and no baseline"),
        _N("previous_night", "TIMESTAMP", "The last valid night before, of the same loads, measure and metric version"),
        _N("days_since_previous", "BIGINT", "Days since then", "days"),
        _N("previous_value_usd", "DOUBLE", "The cost of that night", "currency"),
        _N("previous_fleet_id", "VARCHAR", "Its fleet"),
        _N("change_usd", "DOUBLE", "value_usd - previous_value_usd", "currency"),
        _N("change_share", "DOUBLE", "The same as a share of previous_value_usd"),
        _N("performance_effect_usd", "DOUBLE", "Part of change_usd that is the endpoint's", "currency"),
        _N("price_effect_usd", "DOUBLE", "Part that is the price book's", "currency"),
        _N("scope_effect_usd", "DOUBLE", "Part that is what was asked: demand, its growth, SLO, workload", "currency"),
        _N("baseline_break", "VARCHAR", "What is new (load, SLO, tokens, metrics), so that a new baseline begins"),
        _R("baseline_nights", "BIGINT", "Valid nights in the baseline; under 5 there is none"),
        _N("baseline_since", "TIMESTAMP", "The first of them"),
        _N("baseline_until", "TIMESTAMP", "The last of them"),
        _N("baseline_usd", "DOUBLE", "Their median", "currency"),
        _N("baseline_spread_share", "DOUBLE", "Their spread (1.4826 MAD) as a share of the median"),
        _N("change_vs_baseline_usd", "DOUBLE", "value_usd - baseline_usd", "currency"),
        _N("change_vs_baseline_share", "DOUBLE", "The same as a share of baseline_usd"),
        _N("noise_share", "DOUBLE", "Night-to-night noise of the performance that it follows (change_points)"),
        _N("sigmas", "DOUBLE", "The night's performance against its baseline, in that noise; above 0 is worse"),
        _N("change_id", "VARCHAR", "Change of the performance that is open, or ended tonight (change_points)"),
    ),
)  # fmt: skip

REGRESSIONS = Table(
    "curated",
    "regressions",
    ("series_id", "night"),
    "What moved the cost of a series: larger than its own noise, or known exactly. Told from the night it was found "
    "until it is the new normal.",
    (
        _R("series_id", "VARCHAR", "Endpoint, workload, SLO, demand, plan, basis and allocation, stable over nights"),
        _R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        _R("run_date", "DATE", "UTC date of the night"),
        _R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        _R("workload", "VARCHAR", "Workload of the catalog"),
        _R("slo", "VARCHAR", "SLO of the catalog"),
        _R("demand", "VARCHAR", "Demand of the catalog"),
        _R("price_plan", "VARCHAR", "Price plan of the catalog"),
        _R("cost_basis", "VARCHAR", "capacity: every server full; slo: good requests only; demand: the mean rate"),
        _R("allocation_method", "VARCHAR", "Of the series; a whole token's price does not depend on it"),
        _R("fleet_id", "VARCHAR", "Demand, endpoint and night"),
        _N("run_id", "VARCHAR", "Run that the night stands on"),
        _N("operating_point_id", "VARCHAR", "Operating point that it stands on"),
        _METRIC_VERSION,
        _R("currency", "VARCHAR", "Currency of every usd column"),
        _R("measure", "VARCHAR", "Column of the cost that moved"),
        _R("regression_id", "VARCHAR", "The change: one for all its nights, and for all series that it moved"),
        _R("cause", "VARCHAR", "performance, price or scope: the largest of what moved it"),
        _R("direction", "VARCHAR", "worse (dearer) or better"),
        _R("is_new", "BOOLEAN", "Found tonight"),
        _R("state", "VARCHAR", "open, or settled: from tomorrow on the new normal"),
        _R("first_night", "TIMESTAMP", "Night on which it was found"),
        _R("step_night", "TIMESTAMP", "Since when: the night on which it began, as known tonight"),
        _R("value_usd", "DOUBLE", "The cost tonight", "currency"),
        _N("reference_usd", "DOUBLE", "The cost before: at the baseline's performance; of price, scope and the demand basis the night before", "currency"),
        _N("change_usd", "DOUBLE", "What the cause did to it", "currency"),
        _N("change_share", "DOUBLE", "The same as a share of reference_usd"),
        _N("performance_effect_usd", "DOUBLE", "What performance did since step_night", "currency"),
        _N("price_effect_usd", "DOUBLE", "What prices did since then", "currency"),
        _N("scope_effect_usd", "DOUBLE", "What demand, its growth, SLO and workload did since then", "currency"),
        _N("performance_change_share", "DOUBLE", "Of performance: GPU time for the same work, mean since the step"),
        _N("change_sigmas", "DOUBLE", "Of performance: sigmas of the test that found it"),
        _R("confidence", "DOUBLE", "How sure: share of mere noise that stays below that; 1 where it is known exactly"),
        _N("noise_share", "DOUBLE", "Night-to-night noise of the performance"),
        _R("suspects", "VARCHAR[]", "What else changed around the step, as name: before -> after"),
    ),
)  # fmt: skip

CURATED_TABLES = (
    RUNS,
    OPERATING_POINTS,
    CURATED_CLIENT_HEALTH,
    CURATED_SERVER_METRICS,
    IMPORTED_SUMMARIES,
    SLO_ATTAINMENT,
    SLO_BOUNDS,
    PARETO_FRONTIER,
    BEST_OPERATING_POINTS,
    TIME_SHARES,
    SERVER_COUNTS,
    FLEET_MIXES,
    MIX_ROUTES,
    PRICE_TERMS,
    DEMANDS,
    PRICE_PLANS,
    COST_PER_MILLION_TOKENS,
    COST_LEDGER,
    BREAK_EVEN,
    USD_PER_REQUEST,
    COST_BY_CACHED_SHARE,
    SAVINGS,
    COST_BY_SLO_LIMIT,
    DISAGGREGATED_FLEETS,
    CHANGE_POINTS,
    COST_TRENDS,
    REGRESSIONS,
)
"""The public tables of the warehouse, schema `curated`."""

BUILD = Table(
    "meta",
    "build",
    ("built_at",),
    "One row: how this file was built.",
    (
        _R("built_at", "TIMESTAMP", "Last build (UTC)"),
        _R(
            "structure",
            "VARCHAR",
            "Hash of the tables and macros; an incremental build starts from a file with its own",
        ),
        _N("catalog_override", "VARCHAR", "Hash of the catalog that priced every night (what-if); null: each its own"),
        _R("whole_bytes", "BIGINT", "Size of the file when it was last written in one go", "bytes"),
        _R("whole_rows", "BIGINT", "Rows of all curated tables then", "1"),
    ),
)

INPUTS = Table(
    "meta",
    "inputs",
    ("manifest",),
    "From what this file was built: one row for each closed attempt of a run.",
    (
        _R("manifest", "VARCHAR", "Path of its manifest below raw/manifests"),
        _R("fingerprint", "VARCHAR", "Size and time of the manifest, and of what else is said of the attempt"),
        _R("night", "TIMESTAMP", "Scheduled start of its night (UTC)"),
        _R("is_archived", "BOOLEAN", "Rows of its night are those of its archive: traces were thinned or dropped"),
        _METRIC_VERSION,
        _R("built_at", "TIMESTAMP", "Build that made the rows of its night (UTC)"),
    ),
)

INPUT_PARTS = Table(
    "meta",
    "input_parts",
    ("part",),
    "The parts that those attempts landed.",
    (
        _R("manifest", "VARCHAR", "Attempt that landed it"),
        _R("part", "VARCHAR", "Path below the home"),
        _R("fingerprint", "VARCHAR", "Size and time of the file when its hash was last checked"),
    ),
)

META_TABLES = (BUILD, INPUTS, INPUT_PARTS)
"""What the warehouse file says of itself, schema `meta`."""

TABLES = (*SOURCE_TABLES, *CURATED_TABLES, *META_TABLES)
