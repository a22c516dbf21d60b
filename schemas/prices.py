"""The price book's models: own, rent and API plans, dated (prices.yaml). Units: docs/economics.md."""

from datetime import date, timedelta
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.catalog_base import Model, Name, NonNegative, Positive, PositiveInt


class Period(Model):
    """Days on which prices hold, both ends included."""

    valid_from: date
    valid_to: date | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise ValueError(f"valid_to ({self.valid_to}) is before valid_from ({self.valid_from})")
        return self


class OwnPrices(Period):
    """Yearly cost of an owned server, all per server (docs/economics.md)."""

    server_price: Positive
    depreciation_years: Positive
    salvage: NonNegative = 0.0
    hosting_year: NonNegative = 0.0
    software_year: NonNegative = 0.0
    licence_basis: Literal["per_server", "per_gpu"] = "per_server"
    power_kw: NonNegative = 0.0
    pue: Annotated[float, Field(ge=1, le=10)] = 1.0
    usd_per_kwh: NonNegative = 0.0
    staff_year: NonNegative = 0.0
    other_year: NonNegative = 0.0

    @model_validator(mode="after")
    def _plausible(self) -> Self:
        if self.power_kw and not self.usd_per_kwh:
            raise ValueError("power_kw needs usd_per_kwh: electricity is not free")
        if self.salvage > self.server_price:
            raise ValueError(f"salvage ({self.salvage:g}) is above server_price ({self.server_price:g})")
        return self


class RentPrices(Period):
    """Price of one GPU, server or provisioned unit an hour."""

    usd_per_hour: Positive
    tokens_per_s: Positive | None = Field(None, description="provisioned: tokens, input and output, that a unit serves")


class ApiPrices(Period):
    """Prices of 1M tokens."""

    usd_per_mtok_input: Positive
    usd_per_mtok_output: Positive
    usd_per_mtok_cached_input: NonNegative | None = Field(None, description="null: as input")
    usd_per_mtok_reasoning: NonNegative | None = Field(None, description="null: as output")


class _Plan(Model):
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = "USD"
    source: str = Field(description="Where the figures are from, with its date")
    models: list[str] = Field(default_factory=list, description="Models that it prices; empty: any")


class _HardwarePlan(_Plan):
    accelerator: Name | None = Field(None, description="Accelerator that it prices; null: any GPU, not cpu")
    reference_plan: Name | None = Field(
        None, description="API plan whose price ratios split cost over input and output"
    )


class OwnPlan(_HardwarePlan):
    """Servers bought."""

    kind: Literal["own"]
    gpus_per_server: PositiveInt = 8
    periods: Annotated[list[OwnPrices], Field(min_length=1)]


class RentPlan(_HardwarePlan):
    """GPUs, servers or provisioned units by the hour."""

    kind: Literal["rent"]
    rent_unit: Literal["gpu", "server", "provisioned"]
    gpus_per_server: PositiveInt | None = Field(None, description="GPUs in the server that is rented")
    pricing_category: Literal["on_demand", "reserved", "spot"] = "on_demand"
    periods: Annotated[list[RentPrices], Field(min_length=1)]

    @model_validator(mode="after")
    def _unit_is_known(self) -> Self:
        if self.rent_unit == "server" and self.gpus_per_server is None:
            raise ValueError("rent by the server needs gpus_per_server")
        provisioned = self.rent_unit == "provisioned"
        if provisioned and (self.accelerator is not None or self.gpus_per_server is not None):
            raise ValueError(
                "a provisioned unit is tokens a second, not hardware: leave accelerator and gpus_per_server out"
            )
        for period in self.periods:
            if provisioned != (period.tokens_per_s is not None):
                raise ValueError(
                    f"the period from {period.valid_from} needs tokens_per_s: what one provisioned unit serves"
                    if provisioned
                    else f"tokens_per_s belongs to rent_unit: provisioned, not to {self.rent_unit}"
                )
        return self


class ApiPlan(_Plan):
    """Tokens by the million: an offer of its own, and the reference of price ratios."""

    kind: Literal["api"]
    periods: Annotated[list[ApiPrices], Field(min_length=1)]


PricePlan = Annotated[OwnPlan | RentPlan | ApiPlan, Field(discriminator="kind")]


def check_periods(plan: OwnPlan | RentPlan | ApiPlan) -> None:
    """Periods follow each other without a gap or an overlap; ValueError otherwise."""
    ordered = sorted(plan.periods, key=lambda p: p.valid_from)
    for before, after in pairwise(ordered):
        if before.valid_to is None or before.valid_to >= after.valid_from:
            raise ValueError(
                f"periods overlap: the one from {before.valid_from} runs into the one from {after.valid_from}"
            )
        if before.valid_to + timedelta(days=1) != after.valid_from:
            raise ValueError(f"periods leave a gap: nothing between {before.valid_to} and {after.valid_from}")
