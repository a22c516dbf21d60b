"""Workloads that a file brings: recorded arrivals with their lengths, and data sets of prompts."""

import random
from functools import lru_cache

from loadgen.conversations import Conversation, Turn, key_of_level
from loadgen.datasets import Entry, Said, read_dataset
from loadgen.lengths import draw
from loadgen.spec import ShardSpec
from loadgen.tokens import Ruler
from schemas.errors import SpecError
from schemas.trace_file import BLOCK_TOKENS, read_trace

_CACHED_BLOCKS = 1024  # about 2 kB each


class Recording:
    """A trace's requests, one after another; the prompts of a Mooncake trace begin alike where they were recorded so."""

    mean_turns = 1.0

    def __init__(self, spec: ShardSpec, ruler: Ruler) -> None:
        self._trace = read_trace(spec.workload["trace"])
        self._ruler = ruler
        self.repeats_after: int | None = len(self._trace)
        # of the level: a second one must not find in a server's cache what the first has sent
        key = f"{key_of_level(spec)}/block"
        self._block = lru_cache(_CACHED_BLOCKS)(lambda block: ruler.text(BLOCK_TOKENS, f"{key}/{block}"))

    def conversation(self, number: int, key: str) -> Conversation:
        """See Source."""
        arrival = self._trace.arrivals[number % len(self._trace)]
        tokens = arrival.input_tokens - self._ruler.overhead
        # a block of the recorded prompt's end that is not full was never shared
        blocks = (arrival.block_ids or ())[: arrival.input_tokens // BLOCK_TOKENS]
        head = " ".join(map(self._block, blocks))
        if head and len(blocks) * BLOCK_TOKENS >= tokens:
            text = self._ruler.cut(head, tokens)
        else:
            text = self._ruler.text(tokens, key, head)
        turn = Turn(text, arrival.input_tokens, arrival.output_tokens)
        return Conversation((turn,), at_s=arrival.at_s)

    def probe(self, share: float, key: str) -> Turn:
        """See Source."""
        tokens = max(1, round(self._trace.mean_input_tokens * share))
        return Turn(self._ruler.text(tokens - self._ruler.overhead, key), tokens, 1)


class Collection:
    """A data set's prompts as they are, in an order that the seed gives, each once before any comes again."""

    def __init__(self, spec: ShardSpec, ruler: Ruler) -> None:
        config = spec.workload["dataset"]
        self._ruler = ruler
        self._output = spec.workload.get("output_tokens")
        self._whole = bool(config["multi_turn"])
        dataset = read_dataset(config)
        usable = dataset.playable(self._output is not None)
        if not usable:
            raise SpecError(
                f"{config['file']}:1: no entry says how long its answer is (output_tokens, or a recorded answer): "
                "give the workload output_tokens"
            )
        self.mean_turns = sum(len(self._said(e)) for e in usable) / len(usable)
        self._mean_chars = dataset.mean_chars
        self.repeats_after: int | None = len(usable)
        self._by_length = sorted(usable, key=lambda entry: len(entry.turns[0].text))
        self._entries = list(usable)
        random.Random(f"{spec.seed}/order").shuffle(self._entries)

    def conversation(self, number: int, key: str) -> Conversation:
        """See Source."""
        entry = self._entries[number % len(self._entries)]
        rng = random.Random(f"{key}/lengths")
        return Conversation(tuple(self._turn(entry, turn, rng) for turn in range(len(self._said(entry)))))

    def probe(self, share: float, key: str) -> Turn:
        """See Source: the entry that comes nearest."""
        wanted = self._mean_chars * share
        entry = min(self._by_length, key=lambda entry: abs(len(entry.turns[0].text) - wanted))
        return self._turn(entry, 0, random.Random(key))

    def _said(self, entry: Entry) -> tuple[Said, ...]:
        """The turns that are played: all that say how long their answer is, or the first."""
        if not self._whole:
            return entry.turns[:1]
        if self._output is not None or entry.output_tokens is not None:
            return entry.turns
        known = next((i for i, said in enumerate(entry.turns) if said.answer is None), len(entry.turns))
        return entry.turns[:known]

    def _turn(self, entry: Entry, turn: int, rng: random.Random) -> Turn:
        said = entry.turns[turn]
        overhead = self._ruler.overhead if turn == 0 else 0.0
        tokens = max(1, round(self._ruler.count(said.text) + overhead))
        if self._output is not None:
            output_tokens = draw(self._output, rng)
        elif entry.output_tokens is not None:
            output_tokens = entry.output_tokens
        else:
            output_tokens = max(1, round(self._ruler.count(said.answer or "")))
        return Turn(said.text, tokens, output_tokens)
