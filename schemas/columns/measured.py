"""Curated tables of what was measured: runs, operating points, what they attain."""

from schemas.columns.identity import IDENTITY, POINT, VERSION_COLUMN
from schemas.columns.landed import CLIENT_HEALTH, SERVER_METRICS, SUMMARY_POINTS
from schemas.columns.sources import RUNS_SOURCE, SLO_BOUNDS_SOURCE
from schemas.columns.table import Column, N, R, Table
from schemas.columns.vocabulary import LATENCY_METRICS, MIN_SAMPLES, OUTCOMES, STATISTICS

RUNS = Table(
    "curated",
    "runs",
    ("run_id", "attempt"),
    "What was asked, what happened and provenance of each attempt of a run.",
    (
        *RUNS_SOURCE.columns,
        R("is_current", "BOOLEAN", "Stands for its run: the latest complete attempt, else the latest landed; retracted ones last"),
        N("superseded_by", "INTEGER", "Attempt that stands for the run in its place; null: it stands itself"),
        R("rows_landed", "BIGINT", "Trace rows in raw/, probe and warm-up included"),
        R("requests", "BIGINT", "Measured requests"),
        *(R(f"requests_{outcome}", "BIGINT", f"Measured requests that ended {outcome}") for outcome in OUTCOMES),
        VERSION_COLUMN,
    ),
)  # fmt: skip


def _rate(name: str, comment: str, unit: str) -> tuple[Column, ...]:
    """Columns of a rate in the window with its 95 % interval, and a GPU's share of it."""
    return (
        N(name, "DOUBLE", f"{comment} in the window; null where none arrived or a count is unknown", unit),
        N(f"{name}_lo", "DOUBLE", f"Lower 95 % bound of {name}, batch means; null under 10 C completions", unit),
        N(f"{name}_hi", "DOUBLE", f"Upper 95 % bound of {name}", unit),
        N(f"{name}_per_gpu", "DOUBLE", f"{name} / (gpus_per_instance x instances_measured)", unit),
    )


def _latencies() -> tuple[Column, ...]:
    """Every latency metric under every statistic, then interactivity with its slow tail as the low percentile."""
    times = tuple(
        N(f"{metric}_{statistic}_ms", "DOUBLE", f"{statistic} of {meaning}; null under {MIN_SAMPLES[statistic]}", "ms")
        for metric, meaning in LATENCY_METRICS.items()
        for statistic in STATISTICS
    )
    mean = N("interactivity_mean_tps", "DOUBLE", "Mean of 1 / TPOT over requests", "tokens/s/user")
    tail = tuple(
        N(f"interactivity_p{low}_tps", "DOUBLE", f"p{low} of interactivity, 1000 / tpot_p{high}_ms", "tokens/s/user")
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
        R("operating_point_id", "VARCHAR", "Run, attempt and level"),
        R("run_id", "VARCHAR", "One endpoint x workload x load on one scheduled night"),
        R("attempt", "INTEGER", "Attempt of the run"),
        R("is_current", "BOOLEAN", "The attempt that stands for its run; the others are never chosen"),
        *IDENTITY,
        R("level_index", "INTEGER", "Position of the load level in the plan"),
        R("load_kind", "VARCHAR", "closed (fixed concurrency) or open (fixed arrival rate)"),
        N("concurrency", "INTEGER", "Requests kept in flight (closed loop)"),
        N("request_rate", "DOUBLE", "Scheduled arrivals (open loop)", "1/s"),
        # what was measured
        R("model", "VARCHAR", "Model served"),
        N("engine", "VARCHAR", "Serving engine"),
        N("engine_version", "VARCHAR", "Version of the engine"),
        N("precision", "VARCHAR", "Weights' precision"),
        N("accelerator", "VARCHAR", "Accelerator of the endpoint; cpu where there is none; null if unknown"),
        R("gpus_per_instance", "INTEGER", "GPUs that one instance of the model takes"),
        R("gpus_per_server", "INTEGER", "GPUs in one server"),
        R("instances_measured", "INTEGER", "Instances behind the URL"),
        N("quality_score", "DOUBLE", "Quality of the endpoint's model, as the catalog says"),
        N("quality_source", "VARCHAR", "Where the quality score is from"),
        N("memory_gib_per_gpu", "DOUBLE", "Memory in use on each GPU", "GiB"),
        R("config_hash", "VARCHAR", "Hash of endpoint, workload and load as planned"),
        R("catalog_hash", "VARCHAR", "Snapshot of SLOs, demands and prices in force that night"),
        VERSION_COLUMN,
        # verdict
        R("validity", "VARCHAR", "valid, imported_summary (another tool's figures), or the reasons against it joined by commas"),
        R("is_valid", "BOOLEAN", "No reason against it (imported_summary is none); others are shown and never selected"),
        R("is_knee", "BOOLEAN", "First level after which the request rate grows less than 10 %"),
        R("is_saturation", "BOOLEAN", "Level with the run's highest request rate"),
        # window and counts
        N("window_started_at", "TIMESTAMP", "Start of the steady-state window (UTC); null: there was none"),
        N("window_ended_at", "TIMESTAMP", "End of the steady-state window (UTC)"),
        N("window_s", "DOUBLE", "Length of the window; of an imported summary the whole test", "s"),
        N("window_share", "DOUBLE", "Window / whole level"),
        R("shards", "BIGINT", "Worker processes that sent the level"),
        N("requests", "BIGINT", "Measured requests of the whole level; null: an import that does not say"),
        R("requests_in_window", "BIGINT", "Requests sent in the window, those cancelled by the plan left out"),
        N("completions_in_window", "BIGINT", "Completions in the window, whatever their outcome; also of the warm-up"),
        N("error_share", "DOUBLE", "Failed / requests_in_window; of the whole level where there was no window"),
        # rates
        *_rate("request_rps", "Ok completions a second", "1/s"),
        *_rate("output_tps", "Output tokens of ok requests a second, as their chunks arrived,", "tokens/s"),
        *_rate("input_tps", "Input tokens of ok requests a second, counted at the first token,", "tokens/s"),
        *_rate("total_tps", "Input and output tokens a second", "tokens/s"),
        # the load as it was
        N("mean_in_flight", "DOUBLE", "Time-weighted requests in flight over the window, sent to closed"),
        N("littles_law_ratio", "DOUBLE", "Completions/s x their mean e2e_to_close / mean_in_flight, any outcome"),
        N("level_s", "DOUBLE", "Whole level, first request sent to last closed; null: an import that does not say", "s"),
        N("level_request_rps", "DOUBLE", "Ok completions / level_s, ramp and stragglers included", "1/s"),
        N("output_tps_wall", "DOUBLE", "Output tokens of ok requests / level_s (vLLM's throughput)", "tokens/s"),
        N("level_error_share", "DOUBLE", "Failed / requests of the whole level, cancelled left out"),
        N("turns_left_out", "BIGINT", "Turns of the level's conversations that were not sent when it ended; null: single requests"),
        # tokens, of ok requests sent in the window
        N("input_tokens_mean", "DOUBLE", "ISL: mean input tokens; null where a count is unknown", "tokens"),
        N("cached_input_tokens_mean", "DOUBLE", "CSL: mean cached part of the input; null where unknown", "tokens"),
        N("output_tokens_mean", "DOUBLE", "OSL: mean output tokens; null where a count is unknown", "tokens"),
        N("reasoning_tokens_mean", "DOUBLE", "RSL: mean reasoning part of the output; null where unknown", "tokens"),
        N("cached_share", "DOUBLE", "Cached / input tokens, over requests that know both"),
        # the client
        N("first_token_merged_share", "DOUBLE", "Ok requests whose TTFT is an upper bound (merged read)"),
        N("clock_suspect_share", "DOUBLE", "Requests in the window with an impossible stamp or a negative interval"),
        N("client_cpu_share", "DOUBLE", "CPU of the busiest worker, as a share of one core"),
        N("loop_lag_p99_ms", "DOUBLE", "p99 event-loop lag of the worst worker", "ms"),
        N("late_start_ms", "DOUBLE", "How long after the common start of its workers the last one began", "ms"),
        N("late_send_share", "DOUBLE", "Sent in the window > 5 ms after schedule, connecting left out"),
        N("merged_read_share", "DOUBLE", "Reads that held several token events because the client was late"),
        N("tcp_rtt_ms", "DOUBLE", "Median TCP round trip of the window's seconds", "ms"),
        N("connection_reuse_share", "DOUBLE", "Sent in the window on a connection that was open already"),
        N("clock_step_ms", "DOUBLE", "Furthest that the wall clock moved against the monotonic one in the level", "ms"),
        # the server, by its own Prometheus page, over the scrapes in the window
        N("server_running_mean", "DOUBLE", "Mean requests that the engine worked on"),
        N("server_waiting_mean", "DOUBLE", "Mean requests in the engine's queue"),
        N("kv_cache_usage_max", "DOUBLE", "Highest share of the KV cache in use"),
        N("server_prefix_cache_hit_share", "DOUBLE", "Hits / queries of the prefix cache in the window, in tokens"),
        N("gpu_power_w", "DOUBLE", "Mean power of the cards on the engine's page in the window; the cards alone", "W"),
        N("joules_per_output_token", "DOUBLE", "gpu_power_w / output_tps; null for several instances behind one address", "J"),
        N("joules_per_token", "DOUBLE", "gpu_power_w / total_tps, in the same way", "J"),
        N("output_tps_per_mw", "DOUBLE", "Output tokens/s of a megawatt of such cards", "1/s"),
        # latency, of ok requests sent in the window
        *_latencies(),
    ),
)  # fmt: skip

CURATED_CLIENT_HEALTH = Table(
    "curated",
    CLIENT_HEALTH.name,
    CLIENT_HEALTH.grain,
    CLIENT_HEALTH.comment,
    (*CLIENT_HEALTH.columns, *POINT),
)

CURATED_SERVER_METRICS = Table(
    "curated",
    SERVER_METRICS.name,
    SERVER_METRICS.grain,
    SERVER_METRICS.comment,
    (*SERVER_METRICS.columns, *POINT),
)

IMPORTED_SUMMARIES = Table(
    "curated",
    "imported_summaries",
    SUMMARY_POINTS.grain,
    "What other tools say of their tests, word for word: operating_points has of it what our definitions allow.",
    (*SUMMARY_POINTS.columns, *POINT),
)

SLO_ATTAINMENT = Table(
    "curated",
    "slo_attainment",
    ("operating_point_id", "slo"),
    "How an operating point stands against each SLO that applies to its workload, by that night's catalog.",
    (
        R("operating_point_id", "VARCHAR", "Operating point"),
        R("slo", "VARCHAR", "SLO of the catalog"),
        R("run_id", "VARCHAR", "Run"),
        R("attempt", "INTEGER", "Attempt of the run"),
        R("is_current", "BOOLEAN", "The attempt that stands for its run"),
        R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        R("workload", "VARCHAR", "Workload of the catalog"),
        R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        R("run_date", "DATE", "UTC date of the night"),
        VERSION_COLUMN,
        N("attainment_share", "DOUBLE", "Share that decides; null: each bound is judged by its statistic"),
        R("judged_requests", "BIGINT", "Requests sent in the window, those cancelled by the plan left out"),
        N("good_requests", "BIGINT", "Ok and within every bound; null where one cannot be judged"),
        N("attainment", "DOUBLE", "good / judged requests"),
        N("attainment_lo", "DOUBLE", "Lower 95 % bound of attainment (Wilson, z = 1.959964)"),
        N("attainment_hi", "DOUBLE", "Upper 95 % bound of attainment"),
        N("good_rps", "DOUBLE", "Good completions in the window / window_s", "1/s"),
        N("good_tps", "DOUBLE", "Output tokens of good completions in the window / window_s", "tokens/s"),
        R("verdict", "VARCHAR", "met, missed or undecided (a statistic that decides is unknown)"),
        N("meets_slo", "BOOLEAN", "verdict is met; null where undecided"),
        N("meets_slo_confident", "BOOLEAN", "attainment_lo meets the share too; null where no share decides"),
        N("worst_metric", "VARCHAR", "Bound that decides: the worst missed, else an undecided, else the nearest met"),
        N("worst_statistic", "VARCHAR", "Statistic of that bound; null where it has none"),
        N("worst_value", "DOUBLE", "Value of that bound: ms, tokens/s/user or a share; infinite through failures"),
        N("worst_limit", "DOUBLE", "Limit of that bound"),
        N("worst_excess", "DOUBLE", "How far beyond the limit, as a share of it; negative: within"),
    ),
)

SLO_BOUNDS = Table(
    "curated",
    "slo_bounds",
    ("catalog_hash", "slo", "bound_index"),
    "What each SLO asks for, by catalog snapshot.",
    (
        *SLO_BOUNDS_SOURCE.columns,
        N(
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
        R("operating_point_id", "VARCHAR", "Operating point"),
        R("latency_metric", "VARCHAR", "ttft, tpot, e2e or interactivity (higher is better)"),
        R("statistic", "VARCHAR", "mean or a percentile; interactivity names its slow tail p25 to p1"),
        R("throughput_metric", "VARCHAR", "request_rps, output_tps or total_tps"),
        R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        R("run_date", "DATE", "UTC date of the night"),
        R("model", "VARCHAR", "Model served"),
        R("workload", "VARCHAR", "Workload of the catalog"),
        R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        R("run_id", "VARCHAR", "Run"),
        N("engine", "VARCHAR", "Serving engine"),
        N("precision", "VARCHAR", "Weights' precision"),
        N("accelerator", "VARCHAR", "Accelerator of the endpoint"),
        N("quality_score", "DOUBLE", "Quality of the endpoint's model: speed bought with accuracy must be seen"),
        N("quality_source", "VARCHAR", "Where the quality score is from"),
        N("memory_gib_per_gpu", "DOUBLE", "Memory in use on each GPU", "GiB"),
        VERSION_COLUMN,
        R("latency", "DOUBLE", "Value of the latency metric: ms, tokens/s/user for interactivity"),
        R("throughput_per_gpu", "DOUBLE", "Value of the throughput metric a GPU", "1/s"),
        R("is_on_frontier", "BOOLEAN", "No other point has as much throughput at as little latency, one better"),
        N("dominated_by", "VARCHAR", "An operating point that dominates it; null on the frontier"),
    ),
)  # fmt: skip

BEST_OPERATING_POINTS = Table(
    "curated",
    "best_operating_points",
    ("endpoint", "workload", "slo", "night"),
    "The operating point to run at: the highest request rate per GPU among valid points that meet the SLO.",
    (
        R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        R("workload", "VARCHAR", "Workload of the catalog"),
        R("slo", "VARCHAR", "SLO of the catalog"),
        R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        R("run_date", "DATE", "UTC date of the night"),
        R("status", "VARCHAR", "chosen, infeasible, undecided or no_valid_point"),
        N("reasons", "VARCHAR", "Why there is no valid point, or what left it undecided"),
        R("points", "BIGINT", "Operating points measured"),
        R("valid_points", "BIGINT", "Valid ones among them"),
        R("feasible_points", "BIGINT", "Valid ones that meet the SLO"),
        R("catalog_hash", "VARCHAR", "Snapshot of SLOs, demands and prices in force that night"),
        VERSION_COLUMN,
        N("operating_point_id", "VARCHAR", "The chosen point; null unless chosen"),
        N("run_id", "VARCHAR", "Run of the chosen point"),
        N("attempt", "INTEGER", "Attempt of that run"),
        N("concurrency", "INTEGER", "Requests kept in flight at the chosen point"),
        N("request_rate", "DOUBLE", "Scheduled arrivals at the chosen point", "1/s"),
        N("request_rps", "DOUBLE", "Request rate of the chosen point", "1/s"),
        N("request_rps_lo", "DOUBLE", "Its lower 95 % bound", "1/s"),
        N("request_rps_hi", "DOUBLE", "Its upper 95 % bound", "1/s"),
        N("request_rps_per_gpu", "DOUBLE", "What it was chosen for", "1/s"),
        N("attainment", "DOUBLE", "good / judged requests of the chosen point"),
        N("meets_slo_confident", "BOOLEAN", "The lower bound of attainment meets the share too"),
        N("nearest_operating_point_id", "VARCHAR", "Where infeasible: the valid point that misses by least"),
        N("nearest_metric", "VARCHAR", "Metric that it misses"),
        N("nearest_statistic", "VARCHAR", "Statistic of that bound"),
        N("nearest_value", "DOUBLE", "Its value: ms, tokens/s/user or a share"),
        N("nearest_limit", "DOUBLE", "The limit"),
        N("nearest_excess", "DOUBLE", "By how much, as a share of the limit"),
    ),
)

TIME_SHARES = Table(
    "curated",
    "time_shares",
    ("operating_point_id", "slo"),
    "What the time of a chosen operating point went to by processor sharing: at each instant all requests in flight "
    "share the instance equally.",
    (
        R("operating_point_id", "VARCHAR", "Operating point that was chosen"),
        R("slo", "VARCHAR", "SLO that it was chosen for"),
        R("run_id", "VARCHAR", "Run"),
        R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        R("workload", "VARCHAR", "Workload of the catalog"),
        R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
        VERSION_COLUMN,
        R("basis", "VARCHAR", "traces: the times of each request; summary: request counts of an imported summary"),
        N("window_s", "DOUBLE", "Length of the window; of a summary the whole test, null where it does not say", "s"),
        N("idle_share", "DOUBLE", "Share of the window without a request in flight; null: an open loop's summary"),
        N("failed_share", "DOUBLE", "Of the time (basis summary: of the count) of failed, missed and good requests; null where one is unjudged"),
        N("missed_share", "DOUBLE", "Of that time, the share of ok requests that miss the SLO"),
        N("input_share", "DOUBLE", "Of the good requests' time, the share before the first token, queueing included"),
        N("output_share", "DOUBLE", "Of the good requests' time, the share after the first token"),
        N("judged_requests", "BIGINT", "Requests sent in the window, those cancelled by the plan left out; of a summary all, where known"),
        R("failed_requests", "BIGINT", "Failed ones among them"),
        N("missed_requests", "BIGINT", "Ok ones among them that miss the SLO; null where one cannot be judged"),
        N("good_requests", "BIGINT", "Ok ones among them within every bound; null where one cannot be judged"),
        R("failed_input_tokens", "DOUBLE", "Input tokens of the failed requests; what was not reported was not billed", "tokens"),
        R("failed_cached_input_tokens", "DOUBLE", "Cached input tokens of the failed requests", "tokens"),
        R("failed_output_tokens", "DOUBLE", "Output tokens of the failed requests", "tokens"),
        R("failed_reasoning_tokens", "DOUBLE", "Reasoning tokens of the failed requests", "tokens"),
        N("missed_input_tokens", "DOUBLE", "Input tokens of the ok requests that miss the SLO; null where one is unknown", "tokens"),
        N("missed_cached_input_tokens", "DOUBLE", "Cached input tokens of the ok requests that miss the SLO", "tokens"),
        N("missed_output_tokens", "DOUBLE", "Output tokens of the ok requests that miss the SLO", "tokens"),
        N("missed_reasoning_tokens", "DOUBLE", "Reasoning tokens of the ok requests that miss the SLO", "tokens"),
        N("good_input_tokens", "DOUBLE", "Input tokens of the good requests; null where one is unknown", "tokens"),
        N("good_cached_input_tokens", "DOUBLE", "Cached input tokens of the good requests", "tokens"),
        N("good_output_tokens", "DOUBLE", "Output tokens of the good requests", "tokens"),
        N("good_reasoning_tokens", "DOUBLE", "Reasoning tokens of the good requests", "tokens"),
    ),
)  # fmt: skip
