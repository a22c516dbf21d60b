"""Loads of the catalog (loads.yaml): how hard to push, and when a level ends."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.catalog_base import Model, Name, NonNegative, NonNegativeInt, Positive, PositiveInt, Rate, Share


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
    shards: PositiveInt | None = Field(
        None,
        description="Worker processes; null: cores - 1, and in a closed loop no more than leave each 32 in flight; at least 1",
    )
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
