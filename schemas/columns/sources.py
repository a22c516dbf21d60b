"""What the transforms read as `raw.<name>`: what has landed, and manifests and catalogs as rows."""

from schemas.columns.landed import LANDED_TABLES, REQUEST_TRACES
from schemas.columns.table import N, R, Table
from schemas.columns.vocabulary import STOP_REASONS

RUNS_SOURCE = Table(
    "raw",
    "runs",
    ("run_id", "attempt"),
    "One row per manifest: what was asked, what happened, provenance.",
    (
        R("run_id", "VARCHAR", "One endpoint x workload x load on one scheduled night"),
        R("attempt", "INTEGER", "1 for the first try of the run, counted up"),
        R("suite", "VARCHAR", "Suite of the catalog, or adhoc"),
        R("endpoint", "VARCHAR", "Endpoint of the catalog"),
        R("workload", "VARCHAR", "Workload of the catalog"),
        R("load", "VARCHAR", "Load of the catalog"),
        R("night", "TIMESTAMP", "Scheduled start of the night (UTC); the start itself for a run by hand"),
        R("run_date", "DATE", "UTC date of the night"),
        R("started_at", "TIMESTAMP", "When measuring began (UTC)"),
        R("ended_at", "TIMESTAMP", "When the manifest was closed (UTC)"),
        R("status", "VARCHAR", "complete, interrupted or failed"),
        N("failure", "VARCHAR", "Why it is not complete"),
        R("levels_planned", "INTEGER", "Load levels in the plan"),
        R("levels_measured", "INTEGER", "Load levels with landed requests"),
        R("rows_quarantined", "BIGINT", "Trace rows that broke the contract"),
        R("catalog_hash", "VARCHAR", "Snapshot of SLOs, demands and prices in force that night"),
        R("config_hash", "VARCHAR", "Hash of endpoint, workload and load as planned"),
        R("client_version", "VARCHAR", "Version of the load generator; of an import the tool and its version"),
        N("url", "VARCHAR", "API base, without credentials; null: an import that does not say"),
        R("api", "VARCHAR", "chat, completions or responses; unknown: an import that does not say"),
        R("model", "VARCHAR", "Model served"),
        N("engine", "VARCHAR", "Serving engine, as the catalog says"),
        N("engine_version", "VARCHAR", "Version of the engine"),
        N("precision", "VARCHAR", "Weights' precision, as the catalog says"),
        N("accelerator", "VARCHAR", "Accelerator of the endpoint; cpu where there is none; null if unknown"),
        R("gpus_per_instance", "INTEGER", "GPUs that one instance of the model takes"),
        R("gpus_per_server", "INTEGER", "GPUs in one server"),
        R("instances_measured", "INTEGER", "Instances behind the URL"),
        R("role", "VARCHAR", "aggregated, prefill or decode"),
        N("quality_score", "DOUBLE", "Quality of the endpoint's model, as the catalog says"),
        N("quality_source", "VARCHAR", "Where the quality score is from"),
        N("memory_gib_per_gpu", "DOUBLE", "Memory in use on each GPU", "GiB"),
        N("power_kw_per_gpu", "DOUBLE", "Power of one GPU with all around it, for power budgets", "kW"),
        R("shares_prefix", "BOOLEAN", "The workload hits a prefix cache on purpose"),
        N(
            "input_tokens_target",
            "INTEGER",
            "Mean prompt length that the workload asks for; null: its data decide",
            "tokens",
        ),
        N(
            "output_tokens_target",
            "INTEGER",
            "Mean output length that the workload asks for; null: not known",
            "tokens",
        ),
        N("host", "VARCHAR", "Machine that sent the load; null: imported"),
        N("platform", "VARCHAR", "Operating system and architecture of that machine; null: imported"),
        N("python_version", "VARCHAR", "Python of the load generator; null: imported"),
        N("cpu_count", "INTEGER", "Cores of that machine; null: imported"),
        N("chars_per_token", "DOUBLE", "Characters a prompt token, as the probe found it", "1/tokens"),
        N("prompt_overhead_tokens", "DOUBLE", "Prompt tokens that the chat template adds", "tokens"),
        # the client's own error that night, against the reference endpoint
        N("calibration_ttft_error_p50_ms", "DOUBLE", "Median TTFT of the client minus the true one", "ms"),
        N("calibration_ttft_error_p99_ms", "DOUBLE", "p99 TTFT of the client minus the true one", "ms"),
        N("calibration_itl_error_p50_ms", "DOUBLE", "Median ITL of the client minus the true one", "ms"),
        N("calibration_itl_error_p99_ms", "DOUBLE", "p99 ITL of the client minus the true one", "ms"),
        N("calibration_tokens_per_s", "DOUBLE", "Highest token rate that the client held; null: none", "tokens/s"),
        N("calibration_streams", "INTEGER", "Streams at which the errors were found"),
        # what was said of the attempt afterwards
        N("retracted_at", "TIMESTAMP", "When it was retracted (UTC): kept, shown, never chosen; null: it counts"),
        N("retracted_why", "VARCHAR", "Why, as it was told"),
        N("retracted_by", "VARCHAR", "User and machine that retracted it"),
    ),
)

LEVELS_SOURCE = Table(
    "raw",
    "levels",
    ("run_id", "attempt", "level_index"),
    "One row per load level that was started, from the manifests.",
    (
        R("run_id", "VARCHAR", "Run"),
        R("attempt", "INTEGER", "Attempt of the run"),
        R("level_index", "INTEGER", "Position of the level in the plan, from 1"),
        R("load_kind", "VARCHAR", "closed or open"),
        N("concurrency", "INTEGER", "Requests kept in flight (closed loop)"),
        N("request_rate", "DOUBLE", "Scheduled arrivals (open loop)", "1/s"),
        N("arrivals", "VARCHAR", "constant, poisson, gamma, ramp or trace; null for a closed loop"),
        N("search", "VARCHAR", "How the level was chosen: sweep, saturate or goodput"),
        N("shards", "INTEGER", "Worker processes that were to send it"),
        R("status", "VARCHAR", "complete, interrupted, stopped (error share or over-saturated) or failed (no rows)"),
        N("failure", "VARCHAR", "Why it is not complete"),
        N("stop_reason", "VARCHAR", f"What ended it: {', '.join(STOP_REASONS)}"),
        R("rows_landed", "BIGINT", "Trace rows in raw/"),
        R("rows_quarantined", "BIGINT", "Trace rows that broke the contract"),
        N("client_cpu_share", "DOUBLE", "CPU of the busiest worker, as a share of one core"),
        N("loop_lag_p99_ms", "DOUBLE", "p99 event-loop lag of the worst worker", "ms"),
        N("late_start_ms", "DOUBLE", "How long after the common start the last worker began; null: older", "ms"),
        N(
            "turns_left_out",
            "BIGINT",
            "Turns of its conversations not sent when it ended; null: single requests, or older",
        ),
    ),
)

SLOS_SOURCE = Table(
    "raw",
    "slos",
    ("catalog_hash", "slo"),
    "SLOs of a catalog snapshot.",
    (
        R("catalog_hash", "VARCHAR", "Catalog snapshot"),
        R("slo", "VARCHAR", "Name of the SLO"),
        R("workloads", "VARCHAR[]", "Workloads it applies to; empty means all"),
        N("attainment_share", "DOUBLE", "Joint goodput: share of requests within every bound; null: by statistic"),
        R("max_error_share", "DOUBLE", "Largest error share at which a bound on a mean can be met"),
        N("min_quality_score", "DOUBLE", "Least quality score of an endpoint that may be chosen"),
    ),
)  # fmt: skip

SLO_BOUNDS_SOURCE = Table(
    "raw",
    "slo_bounds",
    ("catalog_hash", "slo", "bound_index"),
    "Bounds of the SLOs of a catalog snapshot.",
    (
        R("catalog_hash", "VARCHAR", "Catalog snapshot"),
        R("slo", "VARCHAR", "Name of the SLO"),
        R("bound_index", "INTEGER", "Position of the bound in the SLO"),
        R("metric", "VARCHAR", "Latency metric, or interactivity"),
        N("statistic", "VARCHAR", "mean or a percentile; null in a SLO judged by attainment"),
        R("limit_value", "DOUBLE", "Upper limit in ms; lower limit in tokens/s/user for interactivity"),
    ),
)

DEMANDS_SOURCE = Table(
    "raw",
    "demands",
    ("catalog_hash", "demand"),
    "Demands of a catalog snapshot.",
    (
        R("catalog_hash", "VARCHAR", "Catalog snapshot"),
        R("demand", "VARCHAR", "Name of the demand"),
        R("application", "VARCHAR", "Application that it stands for"),
        N("workload", "VARCHAR", "Workload that it sends; null for a mix (demand_classes)"),
        R("slo", "VARCHAR", "SLO that it needs"),
        R("peak_rps", "DOUBLE", "Peak request rate at as_of", "1/s"),
        N("mean_rps", "DOUBLE", "Mean request rate at as_of; null where unknown", "1/s"),
        N("mean_source", "VARCHAR", "rates (as stated), users or trace; null where the mean is unknown"),
        R("growth", "DOUBLE", "Growth of the rates a year, 0.5 = half as much again"),
        N("as_of", "DATE", "Date of the rates; null: they hold as they are"),
        R("headroom", "DOUBLE", "Capacity above the peak, 0.1 = 10 %"),
        R("spares", "INTEGER", "Spare instances (N+1 and the like)"),
        R("uptime", "DOUBLE", "Share of the year that the fleet serves"),
        N("max_instances", "INTEGER", "Hard budget of instances, beside max_gpus; null: none"),
        N("max_gpus", "INTEGER", "Hard budget of GPUs; null: none"),
        N("max_power_kw", "DOUBLE", "Hard budget of the GPUs' power, all in; null: none", "kW"),
        R("price_plans", "VARCHAR[]", "Plans to price it with; empty: every plan that fits the hardware"),
    ),
)  # fmt: skip

DEMAND_RATES_SOURCE = Table(
    "raw",
    "demand_rates",
    ("catalog_hash", "demand", "rps"),
    "Rates of the demands that are stated as a trace: how much of the time each held.",
    (
        R("catalog_hash", "VARCHAR", "Catalog snapshot"),
        R("demand", "VARCHAR", "Name of the demand"),
        R("rps", "DOUBLE", "Request rate at as_of", "1/s"),
        R("share", "DOUBLE", "Share of the time at that rate; the shares of a demand sum to 1"),
    ),
)

PRICE_PLANS_SOURCE = Table(
    "raw",
    "price_plans",
    ("catalog_hash", "price_plan", "valid_from"),
    "Dated own, rent and API plans of a catalog snapshot; reference prices resolved.",
    (
        R("catalog_hash", "VARCHAR", "Catalog snapshot"),
        R("price_plan", "VARCHAR", "Name of the plan"),
        R("kind", "VARCHAR", "own, rent or api"),
        N("models", "VARCHAR[]", "Models that it prices; empty or null: any"),
        N("accelerator", "VARCHAR", "Accelerator that it prices; null: any GPU (not cpu)"),
        R("currency", "VARCHAR", "ISO 4217 code"),
        R("valid_from", "DATE", "First day of the prices"),
        N("valid_to", "DATE", "Last day of the prices; null: still valid"),
        N("gpus_per_server", "INTEGER", "GPUs in the priced server; null where rent is by the GPU"),
        N("server_price", "DOUBLE", "Own: price of a server", "currency"),
        N("salvage", "DOUBLE", "Own: value of a server at the end", "currency"),
        N("depreciation_years", "DOUBLE", "Own: years", "years"),
        N("hosting_year", "DOUBLE", "Own: hosting a server a year", "currency"),
        N("software_year", "DOUBLE", "Own: licences a year, by licence_basis", "currency"),
        N("licence_basis", "VARCHAR", "Own: per_server or per_gpu"),
        N("power_kw", "DOUBLE", "Own: power of a server", "kW"),
        N("pue", "DOUBLE", "Own: power usage effectiveness of the building"),
        N("usd_per_kwh", "DOUBLE", "Own: price of electricity", "currency/kWh"),
        N("staff_year", "DOUBLE", "Own: staff a server a year", "currency"),
        N("other_year", "DOUBLE", "Own: anything else a server a year", "currency"),
        N("rent_unit", "VARCHAR", "Rent: gpu, server or provisioned"),
        N("usd_per_hour", "DOUBLE", "Rent: price of one unit an hour", "currency/h"),
        N("tokens_per_s", "DOUBLE", "Provisioned: tokens, input and output, that one unit serves", "tokens/s"),
        N("pricing_category", "VARCHAR", "Rent: on_demand, reserved or spot"),
        N("price_in", "DOUBLE", "API price of 1M input tokens; of other plans their reference's", "currency"),
        N("price_cached", "DOUBLE", "API price of 1M cached input tokens; null: as price_in", "currency"),
        N("price_out", "DOUBLE", "API price of 1M output tokens", "currency"),
        N("price_reasoning", "DOUBLE", "API price of 1M reasoning tokens; null: as price_out", "currency"),
        R("source", "VARCHAR", "Where the figures are from"),
    ),
)  # fmt: skip

DEMAND_CLASSES_SOURCE = Table(
    "raw",
    "demand_classes",
    ("catalog_hash", "demand", "workload"),
    "Workloads of the demands that are a mix of several.",
    (
        R("catalog_hash", "VARCHAR", "Catalog snapshot"),
        R("demand", "VARCHAR", "Name of the demand"),
        R("workload", "VARCHAR", "Workload that it sends"),
        R("share", "DOUBLE", "Share of the requests; the shares of a demand sum to 1"),
    ),
)

BUILD_SCOPE_SOURCE = Table(
    "raw",
    "build_scope",
    ("since",),
    "One row: what a build is to make.",
    (N("since", "TIMESTAMP", "Earliest night whose rows are made, here and in tables that look at other nights"),),
)

TRACES_SOURCE = Table(
    REQUEST_TRACES.schema,
    REQUEST_TRACES.name,
    REQUEST_TRACES.grain,
    REQUEST_TRACES.comment,
    (
        *REQUEST_TRACES.columns,
        R("file", "VARCHAR", "Path of the part that it lies in: not a column of the part, but known to the build"),
        R("row_no", "BIGINT", "Rows before it in the part, not a column either"),
    ),
)

SOURCE_TABLES = (
    TRACES_SOURCE,
    *(table for table in LANDED_TABLES if table is not REQUEST_TRACES),
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
