"""Workloads of the catalog (workloads.yaml): what the requests look like."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.catalog.lengths import Length, longest_of
from schemas.catalog_base import Model, NonNegative, PositiveInt


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
