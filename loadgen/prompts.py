"""Prompts of a target length that no prefix cache can hit by accident, and the scale that turns tokens to characters.

    tokens = overhead_tokens + characters / chars_per_token

The scale comes from the server's own counts (`fit_prompt_scale` over the probe), so no tokenizer is needed.
"""

import hashlib
import random
from collections.abc import Iterable, Mapping
from typing import Any

from loadgen.spec import PromptScale, Target
from loadgen.words import WORDS

_TAG_DIGITS = 12
_LEAST_CHARS_PER_TOKEN, _MOST_CHARS_PER_TOKEN = 0.1, 100.0


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
    # words are 2 letters and a space at the least: always enough to cut from
    text = " ".join([tag, *rng.choices(WORDS, k=max(0, chars - _TAG_DIGITS) // 3 + 1)])[:chars]
    return text[:-1] + "s" if text.endswith(" ") else text


def request_body(target: Target, prompt: str, output_tokens: int) -> dict[str, Any]:
    """JSON body of a streaming request. `extra_body` overrides every field; a null in it takes the field away."""
    body: dict[str, Any] = {
        "model": target.model,
        "max_tokens": output_tokens,
        "temperature": 0,  # greedy: the same work every night
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if target.api == "chat":
        body["messages"] = [{"role": "user", "content": prompt}]
    else:
        body["prompt"] = prompt
    return {name: value for name, value in (body | target.extra_body).items() if value is not None}


def fit_prompt_scale(points: Iterable[Mapping[str, int | None]]) -> PromptScale | None:
    """Scale that fits probe points {"chars": .., "input_tokens": ..} best (least squares).

    With prompts of one length only, the overhead is taken as 0. Null where nothing can be learned: no counts, or
    counts that do not grow with the prompt.
    """
    known = [(c, t) for p in points if (c := p["chars"]) is not None and (t := p["input_tokens"]) is not None]
    if not known:
        return None
    mean_chars = sum(chars for chars, _ in known) / len(known)
    mean_tokens = sum(tokens for _, tokens in known) / len(known)
    spread = sum((chars - mean_chars) ** 2 for chars, _ in known)
    if spread == 0:
        return _scale(mean_tokens / mean_chars if mean_chars else 0.0, 0.0)
    slope = sum((chars - mean_chars) * (tokens - mean_tokens) for chars, tokens in known) / spread
    return _scale(slope, mean_tokens - slope * mean_chars)


def _scale(tokens_per_char: float, overhead_tokens: float) -> PromptScale | None:
    if not 1 / _MOST_CHARS_PER_TOKEN <= tokens_per_char <= 1 / _LEAST_CHARS_PER_TOKEN:
        return None
    return PromptScale(1 / tokens_per_char, overhead_tokens)
