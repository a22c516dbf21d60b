"""Lengths of prompts and outputs: a number of tokens, or how they are distributed."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from schemas.catalog_base import Model, NonNegative, Positive, PositiveInt


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
