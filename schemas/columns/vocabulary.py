"""Words and numbers that columns and checks share: versions, outcomes, metrics, statistics.

Standard library only. Definitions: docs/metrics.md.
"""

TRACE_SCHEMA_VERSION = 2
"""2 added transport, conversation_index, turn_index and prefix_group: null in parts of version 1."""

METRIC_VERSION = 4
"""2: validity knows late sends, clock steps, calibration errors and over-saturated levels. 3: and turns left out, and lost workers.
4: rates know what the warm-up still did in the window."""

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
