"""Demands of the catalog (demands.yaml): how much is to be served, and within which budgets."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.catalog_base import DemandRate, Model, Name, NonNegative, Positive, PositiveInt, Rate, Share


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
