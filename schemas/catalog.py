"""The catalog's models: what to measure and what it costs, as strict pydantic models.

One model per YAML file of the catalog; `schemas.catalog_files` reads the files and turns every mistake into
file, line, field, found and expected. Units are in the field names or their descriptions.
"""

from datetime import date
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from schemas.catalog_base import (
    DemandRate,
    EnvName,
    Model,
    Name,
    NonNegative,
    NonNegativeInt,
    Positive,
    PositiveInt,
    Rate,
    Share,
    Statistic,
)
from schemas.prices import PricePlan

SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "api-key", "x-api-key"}


def check_url(url: str) -> None:
    """Raise ValueError unless `url` is http(s)://HOST[:PORT][/PATH]; what it holds beyond that is never repeated."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # checks the range
    except ValueError as error:
        raise ValueError(f"not a URL: {error}") from None
    if "@" in parts.netloc:
        raise ValueError("a URL with a user or password would end in files and logs: name the key with api_key_env")
    if parts.scheme not in ("http", "https") or not parts.hostname or " " in url:
        raise ValueError(f"found {url!r}, expected http://HOST:PORT or https://HOST, with or without /v1")
    if parts.query or parts.fragment:
        raise ValueError(f"found {url!r}, expected no ?query and no #fragment: the API's paths are added at the end")


class Launch(Model):
    """A server that Ratecard ships and starts itself as a child process."""

    engine: Literal["llama"] = Field(description="llama: llama.cpp with a randomly initialised Llama")
    slots: PositiveInt = Field(4, description="Requests that the engine decodes at once")


class Endpoint(Model):
    """One served model on one hardware and engine configuration (endpoints.yaml)."""

    url: str | None = Field(None, description="API base, with or without /v1")
    launch: Launch | None = Field(None, description="Instead of url: a server that Ratecard starts")
    model: str | None = Field(None, description="Model name to send; a launched server names its own")
    api: Literal["chat", "completions", "responses"] = "chat"
    api_key_env: EnvName | None = Field(None, description="Environment variable that holds the key")
    headers: dict[str, str] = Field(default_factory=dict, description="Extra request headers, no secrets")
    extra_body: dict[str, Any] = Field(default_factory=dict, description="Extra fields of the request body")
    timeout_s: Positive = Field(600.0, description="Longest wait for one request")
    verify_tls: bool = True
    proxy: str | None = Field(
        None, description="Proxy to go through, http://HOST:PORT; stamps are then the client's own"
    )
    http2: bool = Field(False, description="Speak HTTP/2; stamps are then the client's own")
    metrics_url: str | None = Field(None, description="Prometheus page of the engine; null: /metrics beside the API")
    tokenizer: str | None = Field(
        None, description="A tokenizer.json, to build prompts to the token; null: by the probe"
    )
    engine: str | None = None
    engine_version: str | None = None
    precision: str | None = None
    accelerator: Name | None = Field(None, description="Such as h200; cpu for none; null if unknown")
    parallelism: str | None = Field(None, description="Such as tp8 or tep8")
    gpus_per_instance: PositiveInt = 1
    gpus_per_server: PositiveInt = 8
    role: Literal["aggregated", "prefill", "decode"] = "aggregated"
    instances_measured: PositiveInt = Field(1, description="Instances behind the url")
    quality_score: float | None = None
    quality_source: str | None = None
    memory_gib_per_gpu: Positive | None = None
    power_kw_per_gpu: Positive | None = Field(
        None, description="kW a GPU with all around it, for power budgets; null: as schemas/accelerators.py knows it"
    )

    @field_validator("url", "proxy", "metrics_url")
    @classmethod
    def _plain_url(cls, url: str | None) -> str | None:
        if url is not None:
            check_url(url)
        return url

    @field_validator("headers")
    @classmethod
    def _no_secrets(cls, headers: dict[str, str]) -> dict[str, str]:
        if secret := sorted(name for name in headers if name.lower() in SECRET_HEADERS):
            raise ValueError(
                f"{secret[0]} is a secret and does not belong into a file: name its variable with api_key_env"
            )
        return headers

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.url is None) == (self.launch is None):
            raise ValueError("give either url (a running server) or launch (one that Ratecard starts)")
        if self.url is not None and self.model is None:
            raise ValueError("model is needed beside url: the name that the server knows")
        if self.quality_score is not None and self.quality_source is None:
            raise ValueError("quality_source is needed beside quality_score: say where the score is from")
        return self


class Fixed(Model):
    """Always the same length; `512` alone means this."""

    distribution: Literal["fixed"] = "fixed"
    tokens: PositiveInt


class Uniform(Model):
    """Every length from min to max alike, both included."""

    distribution: Literal["uniform"]
    min: PositiveInt
    max: PositiveInt

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max < self.min:
            raise ValueError(f"max ({self.max}) is below min ({self.min})")
        return self


class _Spread(Model):
    mean: Positive = Field(description="Mean before the cut at min and max, tokens")
    stddev: NonNegative = Field(description="Standard deviation before the cut, tokens")
    min: PositiveInt = 1
    max: PositiveInt | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.mean < self.min or (self.max is not None and self.mean > self.max):
            raise ValueError(f"mean ({self.mean:g}) must lie between min ({self.min}) and max ({self.max or 'none'})")
        return self


class Normal(_Spread):
    """Bell curve, cut at min and max."""

    distribution: Literal["normal"]


class Lognormal(_Spread):
    """Long tail to the right; mean and stddev are those of the lengths, not of their logarithms."""

    distribution: Literal["lognormal"]


class Empirical(Model):
    """Lengths of a file, drawn alike: a CSV with a header, JSON lines (named .jsonl), or one number a line."""

    distribution: Literal["empirical"]
    file: str
    column: str | None = Field(None, description="Column or key; null: the file has one number a line")


def _distribution(value: Any) -> str | None:
    """Which distribution a length in the catalog is."""
    if isinstance(value, dict):
        return value.get("distribution", "fixed" if "tokens" in value else None)
    return getattr(value, "distribution", "tokens")


Length = Annotated[
    Annotated[PositiveInt, Tag("tokens")]
    | Annotated[Fixed, Tag("fixed")]
    | Annotated[Uniform, Tag("uniform")]
    | Annotated[Normal, Tag("normal")]
    | Annotated[Lognormal, Tag("lognormal")]
    | Annotated[Empirical, Tag("empirical")],
    Discriminator(_distribution),
]
"""A length in tokens, or how lengths are distributed."""


def longest_of(length: "int | Model | None") -> int | None:
    """The highest length that can be drawn; null for one without a bound, or one that a file has."""
    if isinstance(length, Fixed):
        return length.tokens
    return length if isinstance(length, int) else getattr(length, "max", None)


class SharedPrefix(Model):
    """Prompts that begin alike on purpose, as a system prompt does; it counts as part of input_tokens."""

    tokens: PositiveInt
    prefixes: PositiveInt = Field(1, description="How many different prefixes there are, used in turn")


class Turns(Model):
    """Conversations: each turn sends all that was said before; input_tokens is what a turn adds."""

    count: Length
    think_time_s: NonNegative = Field(0.0, description="Mean pause between an answer and the next turn")
    think_time: Literal["fixed", "exponential"] = "fixed"


class Dataset(Model):
    """Prompts of a file, in an order that the seed gives."""

    file: str
    format: Literal["sharegpt", "jsonl"]
    multi_turn: bool = Field(False, description="Play whole conversations, not their first turns only")


class TraceFile(Model):
    """Recorded arrivals with the lengths of each request; the load says how fast they are replayed."""

    file: str
    format: Literal["azure", "mooncake", "burstgpt"]
    limit: PositiveInt | None = Field(None, description="Only the first so many arrivals")


class Workload(Model):
    """What the requests look like (workloads.yaml)."""

    input_tokens: Length | None = Field(None, description="Prompt length by the server's own count, tokens")
    output_tokens: Length | None = Field(None, description="Output length asked for (max_tokens), tokens")
    shared_prefix: SharedPrefix | None = None
    turns: Turns | None = None
    dataset: Dataset | None = None
    trace: TraceFile | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(
        None, description="Same seed, same prompts; null: a seed of each run's own, so that no cache has seen them"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.dataset is not None and self.trace is not None:
            raise ValueError("give dataset or trace, not both: prompts come from one of them")
        if self.trace is not None and (self.input_tokens is not None or self.output_tokens is not None):
            raise ValueError("a trace brings its own lengths: leave input_tokens and output_tokens out")
        if self.trace is not None and (self.turns is not None or self.shared_prefix is not None):
            raise ValueError("a trace brings its own prompts: leave turns and shared_prefix out")
        if self.dataset is not None and (self.input_tokens is not None or self.turns or self.shared_prefix):
            raise ValueError("a dataset brings its own prompts: leave input_tokens, turns and shared_prefix out")
        if self.dataset is None and self.trace is None and (self.input_tokens is None or self.output_tokens is None):
            raise ValueError("input_tokens and output_tokens are needed (or a dataset, or a trace)")
        longest = longest_of(self.input_tokens)
        if self.shared_prefix is not None and longest is not None and longest <= self.shared_prefix.tokens:
            raise ValueError(
                f"input_tokens (at most {longest}) includes the shared prefix ({self.shared_prefix.tokens}): "
                "leave at least 1 token for what each request says itself"
            )
        return self

    @property
    def shares_prefix(self) -> bool:
        """Whether requests begin alike on purpose, so that a prefix cache may hit."""
        return any((self.shared_prefix, self.turns, self.dataset, self.trace))


class Cancellation(Model):
    """Users who give up: this share of the requests is closed by the client, on purpose."""

    share: Annotated[float, Field(gt=0, le=1)]
    after_s: NonNegative = Field(description="Seconds after sending at which the client hangs up")


class Confidence(Model):
    """A level ends early once the 95 % interval of its mean is narrow enough."""

    metric: Literal["request_rps", "ttft", "tpot", "e2e"] = "request_rps"
    relative: Annotated[float, Field(gt=0, lt=1)] = Field(description="Half of the interval / the mean, such as 0.05")


class Search(Model):
    """Levels found while measuring: the knee of the throughput, or the highest load that holds an SLO."""

    kind: Literal["saturate", "goodput"]
    over: Literal["concurrency", "rate"] = "concurrency"
    start: Positive = Field(1.0, description="First load")
    max: Positive = Field(1024.0, description="Highest load to try")
    slo: Name | None = Field(None, description="goodput: the SLO that must hold")
    resolution: Annotated[float, Field(gt=0, lt=1)] = Field(0.1, description="Bisect until the bracket is this narrow")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.kind == "goodput") != (self.slo is not None):
            raise ValueError("a goodput search needs slo: what must hold; a saturate search has none")
        if self.start > self.max:
            raise ValueError(f"start ({self.start:g}) is above max ({self.max:g})")
        if self.over == "concurrency" and (self.start != int(self.start) or self.max != int(self.max)):
            raise ValueError("a concurrency is a whole number: start and max too")
        return self


class Load(Model):
    """How hard to push (loads.yaml): closed-loop levels, open-loop levels, a trace's own pace, or a search."""

    concurrency: Annotated[list[PositiveInt], Field(min_length=1)] | None = Field(
        None, description="Closed loop: requests kept in flight, one level each"
    )
    rate: Annotated[list[Rate], Field(min_length=1)] | None = Field(
        None, description="Open loop: requests a second whatever the server does, one level each"
    )
    speed: Annotated[list[Rate], Field(min_length=1)] | None = Field(
        None, description="Open loop: the workload's trace, so many times as fast as recorded, one level each"
    )
    search: Search | None = Field(None, description="Instead of levels: find them")
    arrivals: Literal["constant", "poisson", "gamma", "ramp"] = Field(
        "poisson", description="Open loop: how arrivals are spread; ramp climbs from ramp_from to the rate"
    )
    burstiness: Positive = Field(1.0, description="gamma: shape of the gaps; 1 is Poisson, less is burstier")
    ramp_from: NonNegative = Field(0.0, description="ramp: requests a second at the start")
    max_in_flight: PositiveInt | None = Field(
        None, description="Open loop: hold requests back above this (they are then late, and counted so)"
    )
    requests: PositiveInt | None = Field(None, description="Measured requests a level, at least 7 x concurrency")
    duration_s: Positive | None = Field(
        None, description="Or: seconds a level; closed loop: until 7 x concurrency were sent"
    )
    max_duration_s: Positive = Field(600.0, description="A level sends nothing more after this")
    grace_s: NonNegative | None = Field(
        None,
        description="Requests still in flight so long after the last was sent are cut and count as timeout; null: followed to their end",
    )
    warmup_requests: NonNegativeInt | None = Field(
        None,
        description="Requests before measuring, with prompts of their own; null: the concurrency, or 5 s of the rate",
    )
    shards: PositiveInt | None = Field(None, description="Worker processes; null: cores - 1, at least 1")
    run_by: str | None = Field(
        None, description="FLOW/DEPLOYMENT that runs a shard on other machines; null: processes on this one"
    )
    stop_error_share: Share = Field(0.5, description="A level is stopped when more than this share fails")
    over_saturation_stop: bool = Field(True, description="Open loop: stop a level whose queue only grows")
    confidence: Confidence | None = None
    cancel: Cancellation | None = None

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        shapes = {"concurrency": self.concurrency, "rate": self.rate, "speed": self.speed, "search": self.search}
        given = [name for name, value in shapes.items() if value is not None]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(shapes)}; found {' and '.join(given) or 'none'}")
        for name in ("concurrency", "rate", "speed"):
            levels = shapes[name]
            if isinstance(levels, list) and levels != sorted(set(levels)):
                raise ValueError(f"{name} {levels} must rise without repeats")
        if self.shards is not None and self.concurrency is not None and self.shards > self.concurrency[0]:
            raise ValueError(f"shards ({self.shards}) is above the lowest concurrency ({self.concurrency[0]})")
        return self

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.speed is None and (self.requests is None) == (self.duration_s is None):
            raise ValueError("give either requests or duration_s: how long a level lasts")
        if self.requests is not None and self.duration_s is not None:
            raise ValueError("give requests or duration_s, not both")
        if self.duration_s is not None and self.duration_s > self.max_duration_s:
            raise ValueError(f"duration_s ({self.duration_s:g}) is above max_duration_s ({self.max_duration_s:g})")
        return self

    @model_validator(mode="after")
    def _fits_the_loop(self) -> Self:
        closed = self.concurrency is not None or (self.search is not None and self.search.over == "concurrency")
        open_only = {"burstiness", "ramp_from", "max_in_flight", "arrivals"} & self.model_fields_set
        if closed and open_only:
            raise ValueError(f"{sorted(open_only)[0]} belongs to an open loop (rate), not to concurrency")
        if self.speed is not None and {"burstiness", "ramp_from", "arrivals"} & self.model_fields_set:
            raise ValueError("a trace brings its own arrivals: leave arrivals, burstiness and ramp_from out")
        if "burstiness" in self.model_fields_set and self.arrivals != "gamma":
            raise ValueError("burstiness needs arrivals: gamma")
        if "ramp_from" in self.model_fields_set and self.arrivals != "ramp":
            raise ValueError("ramp_from needs arrivals: ramp")
        if self.arrivals == "ramp" and self.search is not None:
            raise ValueError("a search compares steady levels: arrivals cannot be a ramp")
        return self


class Bound(Model):
    """One limit of an SLO: an upper limit in ms, or a lower one in tokens/s/user for interactivity."""

    metric: Literal["ttft", "ttft_from_schedule", "ttfa", "tpot", "itl", "e2e", "ntpot", "interactivity"]
    statistic: Statistic | None = None
    max_ms: Positive | None = None
    min_tps: Positive | None = None

    @model_validator(mode="after")
    def _right_limit(self) -> Self:
        if self.metric == "interactivity":
            if self.min_tps is None or self.max_ms is not None:
                raise ValueError("a bound on interactivity states min_tps (tokens/s/user), not max_ms")
        elif self.max_ms is None or self.min_tps is not None:
            raise ValueError(f"a bound on {self.metric} states max_ms, not min_tps")
        return self

    @property
    def limit_value(self) -> float:
        """The limit in ms, or tokens/s/user."""
        limit = self.min_tps if self.max_ms is None else self.max_ms
        assert limit is not None
        return limit


class Slo(Model):
    """What users need (slos.yaml). Without bounds (offline work) the highest throughput is wanted."""

    bounds: list[Bound] = Field(default_factory=list)
    attainment_share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Share of requests that must be within every bound at once; null: bounds by statistic"
    )
    workloads: list[Name] = Field(default_factory=list, description="Workloads it applies to; empty: all")
    max_error_share: Share = 0.01
    min_quality_score: float | None = None

    @model_validator(mode="after")
    def _bounds_can_be_judged(self) -> Self:
        for bound in self.bounds:
            if self.attainment_share is None and bound.statistic is None:
                raise ValueError(
                    f"the bound on {bound.metric} needs a statistic (p50, p99, mean …), or the SLO an attainment_share"
                )
            if self.attainment_share is not None and bound.metric == "itl":
                raise ValueError("itl is pooled over requests and has no attainment: bound tpot instead")
        if self.attainment_share is not None and not self.bounds:
            raise ValueError("attainment_share without bounds: say what a good request is within")
        return self


class MixPart(Model):
    """One class of the requests of a mix: a workload, and its share of all requests."""

    workload: Name
    share: Share


class Users(Model):
    """A demand stated as users x requests an hour: the mean rate."""

    count: Rate
    requests_per_hour: Rate = Field(description="Requests of one user an hour")


class DemandTrace(Model):
    """A demand stated as recorded arrivals: peak and mean are measured from them, in bins."""

    file: str
    format: Literal["azure", "mooncake", "burstgpt"]
    bin_s: Positive = Field(60.0, description="Seconds over which a rate is counted; the highest bin is the peak")
    scale: Positive = Field(1.0, description="Times the recorded rates, for a trace that is a sample")
    limit: PositiveInt | None = Field(None, description="Only the first so many arrivals")


class RateSpan(Model):
    """A rate of a demand trace, and the share of the time that it held."""

    rps: NonNegative
    share: Annotated[float, Field(gt=0, le=1)]


class Demand(Model):
    """How much of a workload, or of a mix of workloads, is to be served (demands.yaml)."""

    application: str
    workload: Name | None = None
    mix: list[MixPart] = Field(
        default_factory=list, description="Instead of workload: several of them, and the share of the requests of each"
    )
    slo: Name
    peak_rps: DemandRate | None = None
    mean_rps: DemandRate | None = None
    peak_to_average: Annotated[float, Field(ge=1, le=1e6)] | None = None
    users: Users | None = None
    trace: DemandTrace | None = None
    trace_rates: list[RateSpan] = Field(
        default_factory=list,
        description="Rates of the trace, as they were when the catalog was read; not given by hand",
    )
    growth: Annotated[float, Field(gt=-1, le=100)] = Field(0.0, description="A year; 0.5 is half as much again")
    as_of: date | None = Field(None, description="Date of the rates, from which growth counts")
    headroom: Annotated[float, Field(ge=0, le=100)] = Field(0.0, description="Capacity above the peak; 0.1 is 10 %")
    spares: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    uptime: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_gpus: PositiveInt | None = Field(None, description="Hard budget")
    max_instances: PositiveInt | None = Field(None, description="Hard budget")
    max_power_kw: Positive | None = Field(None, description="Hard budget of the GPUs' power, all in")
    price_plans: list[Name] = Field(default_factory=list, description="Empty: every plan that fits the hardware")

    @field_validator("mix")
    @classmethod
    def _whole_mix(cls, mix: list[MixPart]) -> list[MixPart]:
        names = [part.workload for part in mix]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{repeated[0]!r} is given twice: add its shares up to one entry")
        total = sum(part.share for part in mix)
        if mix and abs(total - 1) > 1e-9:
            raise ValueError(
                f"the shares sum to {round(total, 12)}, expected 1: every request is of one of the workloads"
            )
        return mix

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        if (self.workload is None) == (not self.mix):
            raise ValueError("give either workload (one) or mix (several, with the share of each)")
        return self

    @model_validator(mode="after")
    def _rates(self) -> Self:
        if self.trace is not None:
            if any(given is not None for given in (self.peak_rps, self.mean_rps, self.peak_to_average, self.users)):
                raise ValueError(
                    "a trace brings its own rates: leave peak_rps, mean_rps, peak_to_average and users out"
                )
        elif self.users is not None:
            if self.peak_rps is not None or self.mean_rps is not None or self.peak_to_average is None:
                raise ValueError(
                    "users x requests_per_hour is the mean rate: give peak_to_average beside it and no rps"
                )
        elif self.peak_rps is None:
            raise ValueError("peak_rps is needed (or users with peak_to_average, or a trace)")
        elif self.mean_rps is not None and self.peak_to_average is not None:
            raise ValueError("give mean_rps or peak_to_average, not both")
        if self.mean_rps is not None and self.peak_rps is not None and self.mean_rps > self.peak_rps:
            raise ValueError(f"mean_rps ({self.mean_rps:g}) is above peak_rps ({self.peak_rps:g})")
        if self.growth and self.as_of is None:
            raise ValueError("growth needs as_of: the date of the rates")
        return self

    def rates(self) -> tuple[float, float | None]:
        """(peak, mean) in requests/s; the mean is None where it is unknown."""
        if self.trace is not None:
            return max(span.rps for span in self.trace_rates), sum(span.rps * span.share for span in self.trace_rates)
        if self.users is not None:
            mean = self.users.count * self.users.requests_per_hour / 3600
            return mean * (self.peak_to_average or 1.0), mean
        assert self.peak_rps is not None
        return self.peak_rps, self.mean_rps or (self.peak_rps / self.peak_to_average if self.peak_to_average else None)


class Measurements(Model):
    """Every endpoint x workload x load of the three lists."""

    endpoints: Annotated[list[Name], Field(min_length=1)]
    workloads: Annotated[list[Name], Field(min_length=1)]
    loads: Annotated[list[Name], Field(min_length=1)]


class Suite(Model):
    """What one night measures (suites.yaml)."""

    measure: Annotated[list[Measurements], Field(min_length=1)]
    schedule: Name | None = Field(None, description="Deployment that runs it, such as nightly; null: by hand")


class Catalog(Model):
    """All of it; `schemas.catalog_files.load` checks that names refer to something."""

    endpoints: dict[Name, Endpoint] = Field(default_factory=dict)
    workloads: dict[Name, Workload] = Field(default_factory=dict)
    loads: dict[Name, Load] = Field(default_factory=dict)
    slos: dict[Name, Slo] = Field(default_factory=dict)
    demands: dict[Name, Demand] = Field(default_factory=dict)
    prices: dict[Name, PricePlan] = Field(default_factory=dict)
    suites: dict[Name, Suite] = Field(default_factory=dict)
