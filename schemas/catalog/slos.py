"""SLOs of the catalog (slos.yaml): what users need."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.catalog_base import Model, Name, Positive, Share, Statistic


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
