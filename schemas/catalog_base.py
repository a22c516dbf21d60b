"""What all models of the catalog stand on: names, numbers within bounds, strictness."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(gt=0, le=2**31 - 1)]
NonNegativeInt = Annotated[int, Field(ge=0, le=2**31 - 1)]
Rate = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
"""Requests a second."""
DemandRate = Annotated[float, Field(ge=1e-9, le=1e9, allow_inf_nan=False)]
"""Requests a second: one in thirty years at least, or its price would leave the range of numbers."""
Statistic = Literal["mean", "p50", "p75", "p90", "p95", "p99", "p99_9"]


class Model(BaseModel):
    """Base: unknown fields, wrong types and changes are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
