"""What a workload says: conversations of one or more turns, each known by its number in the level's sequence.

A conversation depends on the seed, the workload, the level, the phase and its number, never on the shard that sends it.
"""

import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from loadgen.lengths import draw, mean
from loadgen.spec import ShardSpec
from loadgen.tokens import Ruler

_CACHED_PREFIXES = 256


@dataclass(frozen=True, slots=True)
class Turn:
    """What a user says: `input_tokens` is what it adds, `think_s` the pause before it."""

    text: str
    input_tokens: int
    output_tokens: int
    think_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Conversation:
    """One turn or several. `at_s`: when a trace recorded it, seconds after the trace's first arrival."""

    turns: tuple[Turn, ...]
    prefix_group: int | None = None
    at_s: float | None = None


def key_of_workload(spec: ShardSpec) -> str:
    """What the random texts of a workload follow from: another one of the same seed must not begin alike by accident."""
    return f"{spec.seed}/{spec.identity.get('workload')}"


def key_of_level(spec: ShardSpec) -> str:
    """The same of a level: prompts of its own."""
    return f"{key_of_workload(spec)}/{spec.identity.get('level_index')}"


class Source(Protocol):
    """Conversations of a workload, by `number` in the level (the warm-up's first); `key` is the conversation's own."""

    @property
    def mean_turns(self) -> float:
        """Mean number of turns of a conversation."""
        ...

    @property
    def repeats_after(self) -> int | None:
        """Number of conversations after which the same ones come again; null: never."""
        ...

    def conversation(self, number: int, key: str) -> Conversation:
        """Conversation `number`."""
        ...

    def probe(self, share: float, key: str) -> Turn:
        """A first prompt of `share` times the workload's mean length."""
        ...


class Synthetic:
    """Prompts of drawn lengths, made of random words; a shared prefix and further turns where the workload has them."""

    repeats_after: int | None = None

    def __init__(self, spec: ShardSpec, ruler: Ruler) -> None:
        workload = spec.workload
        self._ruler = ruler
        self._input, self._output = workload["input_tokens"], workload["output_tokens"]
        self._turns: dict[str, Any] | None = workload.get("turns")
        shared: dict[str, Any] | None = workload.get("shared_prefix")
        self._prefix_tokens: int = shared["tokens"] if shared else 0
        self._prefixes: int = shared["prefixes"] if shared else 0
        # the same in all levels of the workload and in the warm-up, so that it is hit on purpose
        key = f"{key_of_workload(spec)}/prefix"
        self._prefix = lru_cache(_CACHED_PREFIXES)(lambda group: ruler.text(self._prefix_tokens, f"{key}/{group}"))
        self.mean_turns = mean(self._turns["count"]) if self._turns else 1.0
        self._mean_input = max(mean(self._input), self._prefix_tokens + 1)

    def conversation(self, number: int, key: str) -> Conversation:
        """See Source."""
        rng = random.Random(f"{key}/lengths")
        group = number % self._prefixes if self._prefixes else None
        first = max(draw(self._input, rng), self._prefix_tokens + 1)
        head = "" if group is None else self._prefix(group)
        turns = [self._first(first, draw(self._output, rng), key, head)]
        if self._turns:
            turns += [self._further(rng, f"{key}/{turn}") for turn in range(1, draw(self._turns["count"], rng))]
        return Conversation(tuple(turns), group)

    def probe(self, share: float, key: str) -> Turn:
        """See Source."""
        return self._first(max(1, round(self._mean_input * share)), 1, key, "")

    def _first(self, input_tokens: int, output_tokens: int, key: str, head: str) -> Turn:
        text = self._ruler.text(input_tokens - self._ruler.overhead, key, head)
        return Turn(text, input_tokens, output_tokens)

    def _further(self, rng: random.Random, key: str) -> Turn:
        assert self._turns
        input_tokens, output_tokens = draw(self._input, rng), draw(self._output, rng)
        think_s = float(self._turns["think_time_s"])
        if think_s and self._turns["think_time"] == "exponential":
            think_s = rng.expovariate(1 / think_s)
        return Turn(self._ruler.text(input_tokens, key), input_tokens, output_tokens, think_s)
