"""The chat and the completions API: chunks of `choices`, a finish reason, usage where asked for, and [DONE]."""

import time
from functools import lru_cache
from typing import Any

from endpoints.reference import wire
from endpoints.reference.request import ApiError
from endpoints.reference.script import Speech, Usage

CREATED = int(time.time())
_DONE = b"data: [DONE]\n\n"


class Completions:
    """/v1/completions; its text has no place for thoughts."""

    opens_at_once = False
    _object = _whole_object = "text_completion"

    def opening(self, speech: Speech) -> list[bytes]:  # noqa: ARG002
        """Return nothing: the first event has the first token."""
        return []

    def chunks(self, speech: Speech) -> list[bytes]:
        """Return one event a chunk."""
        counts = speech.chunks()
        events = {count: self.event(speech.model, self.piece(*count)) for count in set(counts)}
        return [events[count] for count in counts]

    def closing(self, speech: Speech, usage: Usage | None) -> list[bytes]:
        """Return the finish reason, the usage and [DONE]."""
        finish = _finish(self, speech.model, speech.finish_reason)
        if usage is None:
            return [finish, _DONE]
        return [finish, wire.event(self._base(speech.model) | {"choices": [], "usage": _counts(usage)}), _DONE]

    def whole(self, speech: Speech, usage: Usage | None) -> dict[str, Any]:
        """Return the answer as one object."""
        said = self._message(speech.reasoning, speech.tokens - speech.reasoning)
        choice = {"index": 0, **said, "finish_reason": speech.finish_reason}
        body = self._base(speech.model) | {"object": self._whole_object, "choices": [choice]}
        return body if usage is None else body | {"usage": _counts(usage)}

    def failure(self, problem: ApiError) -> bytes:
        """Return an `error` event with the error object."""
        return wire.event(wire.error_body(problem), "error")

    def piece(self, thoughts: int, spoken: int) -> dict[str, Any]:
        """Return what a choice says of so many tokens."""
        return {"text": " tok" * (thoughts + spoken)}

    def _message(self, thoughts: int, spoken: int) -> dict[str, Any]:
        return self.piece(thoughts, spoken)

    def _base(self, model: str) -> dict[str, Any]:
        return {"id": "reference", "object": self._object, "created": CREATED, "model": model}

    def event(self, model: str, piece: dict[str, Any], finish_reason: str | None = None) -> bytes:
        """Return the event with one choice."""
        choice = {"index": 0, **piece, "finish_reason": finish_reason}
        return wire.event(self._base(model) | {"choices": [choice]})


class Chat(Completions):
    """/v1/chat/completions; thoughts are `reasoning_content`."""

    _object, _whole_object = "chat.completion.chunk", "chat.completion"

    def opening(self, speech: Speech) -> list[bytes]:
        """Return the event that has only the role."""
        return [self.event(speech.model, {"delta": {"role": "assistant", "content": ""}})]

    def piece(self, thoughts: int, spoken: int) -> dict[str, Any]:
        """Return a delta."""
        delta = {"reasoning_content": " tok" * thoughts, "content": " tok" * spoken}
        return {"delta": {name: text for name, text in delta.items() if text}}

    def _message(self, thoughts: int, spoken: int) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": "", **self.piece(thoughts, spoken)["delta"]}}


@lru_cache(maxsize=64)
def _finish(dialect: Completions, model: str, finish_reason: str) -> bytes:
    return dialect.event(model, dialect.piece(0, 0), finish_reason)


def _counts(usage: Usage) -> dict[str, Any]:
    counts: dict[str, Any] = {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }
    if usage.reasoning:
        counts["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return counts
