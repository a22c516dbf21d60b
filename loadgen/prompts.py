"""Prompts of a target length that no prefix cache can hit by accident, and the scale that turns tokens to characters.

    tokens = overhead_tokens + characters / chars_per_token

The scale comes from the server's own counts (`fit_prompt_scale` over the probe), so no tokenizer is needed; with a
tokenizer file (`loadgen.tokens`) the probe tells only the overhead.
"""

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from loadgen.spec import PromptScale, Target
from loadgen.words import WORDS

Message = dict[str, str]
"""One message of a conversation: `role` (user | assistant) and `content`."""

_TAG_DIGITS = 12
_LEAST_CHARS_PER_TOKEN, _MOST_CHARS_PER_TOKEN = 0.1, 100.0
_MOST_TOKENIZER_RATIO = 1.2


def prompt_chars(tokens: float, scale: PromptScale) -> int:
    """Characters of a prompt that the server counts as `tokens`; at least 1."""
    return max(1, round((tokens - scale.overhead_tokens) * scale.chars_per_token))


def make_prompt(chars: int, key: str) -> str:
    """A prompt of exactly `chars` ASCII characters: a tag that is the key's own, then common words in random order.

    The same key gives the same bytes; two keys differ from the first word on, so no two prompts share a prefix that
    a cache could keep (48 random bits: under one clash in 50,000 among 100,000 prompts).
    """
    rng = random.Random(key)
    tag = hashlib.sha256(key.encode()).hexdigest()[:_TAG_DIGITS]
    text = tag
    while len(text) < chars:  # a word and its space are 6 characters in the mean: once is nearly always enough
        text = " ".join([text, *rng.choices(WORDS, k=(chars - len(text)) // 5 + 1)])
    text = text[:chars]
    return text[:-1] + "s" if text.endswith(" ") else text


def request_body(target: Target, messages: Sequence[Message], output_tokens: int) -> dict[str, Any]:
    """JSON body of a streaming request. `extra_body` overrides every field; a null in it takes the field away.

    `messages` is the conversation so far, the newest of the user's last; completions gets it as one text
    (`completions_prompt`).
    """
    body: dict[str, Any] = {
        "model": target.model,
        "temperature": 0,  # greedy: the same work every night
        "stream": True,
    }
    if target.api == "responses":
        body |= {"input": list(messages), "max_output_tokens": output_tokens, "store": False}
    else:
        body |= {"max_tokens": output_tokens, "stream_options": {"include_usage": True}}
        body |= {"messages": list(messages)} if target.api == "chat" else {"prompt": completions_prompt(messages)}
    return {name: value for name, value in (body | target.extra_body).items() if value is not None}


def completions_prompt(messages: Sequence[Message]) -> str:
    """A conversation as one text, for an API that knows no messages."""
    return "\n".join(message["content"] for message in messages)


def fit_prompt_scale(points: Iterable[Mapping[str, int | None]]) -> PromptScale | None:
    """Scale that fits probe points {"chars", "input_tokens", and with a tokenizer "local_tokens"} best (least squares).

    With a tokenizer whose counts grow as the server's do (within 20 %) it is `chars_per_token` 0 and the mean of what
    the server counts beyond them; with one that counts otherwise, as without one, it goes by characters. With prompts
    of one length only, the overhead is taken as 0. Null where nothing can be learned: no counts, or counts that do
    not grow with the prompt.
    """
    known = [point for point in points if point["input_tokens"] is not None]
    return _by_tokenizer(_pairs(known, "local_tokens")) or _by_chars(_pairs(known, "chars"))


def _pairs(points: Iterable[Mapping[str, int | None]], measure: str) -> list[tuple[int, int]]:
    return [(m, t) for p in points if (m := p.get(measure)) is not None and (t := p["input_tokens"]) is not None]


def _by_tokenizer(pairs: list[tuple[int, int]]) -> PromptScale | None:
    """The overhead beyond a tokenizer's counts; null where these are not the server's."""
    line = _line(pairs)
    if line is None or not 1 / _MOST_TOKENIZER_RATIO <= line[0] <= _MOST_TOKENIZER_RATIO:
        return None
    return PromptScale(0.0, fmean(tokens - local for local, tokens in pairs))


def _by_chars(pairs: list[tuple[int, int]]) -> PromptScale | None:
    line = _line(pairs)
    if line is None or not 1 / _MOST_CHARS_PER_TOKEN <= line[0] <= 1 / _LEAST_CHARS_PER_TOKEN:
        return None
    return PromptScale(1 / line[0], line[1])


def _line(pairs: list[tuple[int, int]]) -> tuple[float, float] | None:
    """Slope and intercept through (x, y) points; through the origin where all x are alike."""
    if not pairs:
        return None
    mean_x, mean_y = fmean(x for x, _ in pairs), fmean(y for _, y in pairs)
    spread = sum((x - mean_x) ** 2 for x, _ in pairs)
    if spread == 0:
        return (mean_y / mean_x, 0.0) if mean_x else None
    slope = sum((x - mean_x) * (y - mean_y) for x, y in pairs) / spread
    return slope, mean_y - slope * mean_x
