"""The Responses API: typed events, each with a name and a number, around a reasoning item and a message."""

import time
from functools import lru_cache
from itertools import count
from typing import Any

from endpoints.reference import wire
from endpoints.reference.request import ApiError
from endpoints.reference.script import Speech, Usage

CREATED = int(time.time())


class Responses:
    """/v1/responses. There is no [DONE]: `response.incomplete` (or `.completed`) is the last event."""

    opens_at_once = True

    def opening(self, speech: Speech) -> list[bytes]:
        """Return the two events that say that the request is being worked on."""
        response = _response(speech, "in_progress", [])
        kinds = ("response.created", "response.in_progress")
        return [_event(kind, number, response=response) for number, kind in enumerate(kinds)]

    def chunks(self, speech: Speech) -> list[bytes]:
        """Return one delta a chunk; the first of an item comes with the events that open it."""
        return _body_events(speech)[0]

    def closing(self, speech: Speech, usage: Usage | None) -> list[bytes]:
        """Return the events that close the last item, and the whole response with its usage."""
        _, closing, number = _body_events(speech)
        response = self.whole(speech, usage)
        return [*closing, _event(f"response.{response['status']}", number, response=response)]

    def whole(self, speech: Speech, usage: Usage | None) -> dict[str, Any]:
        """Return the response object: `incomplete` where the limit of tokens ended it."""
        status = "incomplete" if speech.finish_reason == "length" else "completed"
        thoughts, spoken = speech.reasoning, speech.tokens - speech.reasoning
        items = [(item, tokens) for item, tokens in ((_THOUGHTS, thoughts), (_MESSAGE, spoken)) if tokens]
        response = _response(speech, status, [item.whole(" tok" * tokens, status) for item, tokens in items])
        if status == "incomplete":
            response["incomplete_details"] = {"reason": "max_output_tokens"}
        return response if usage is None else response | {"usage": _counts(usage)}

    def failure(self, problem: ApiError) -> bytes:
        """Return an `error` event, which is flat in this API."""
        said = {"type": "error", "code": problem.code, "message": problem.message, "param": None}
        return wire.event(said, "error")


class _Item:
    """One kind of output item, and the events of its only part."""

    def __init__(self, kind: str, part_kind: str, more: dict[str, Any], part_more: dict[str, Any]) -> None:
        self._kind, self._part_kind, self._more, self._part_more = kind, part_kind, more, part_more

    def whole(self, text: str | None, status: str) -> dict[str, Any]:
        """Return the item; it has no content yet where `text` is null."""
        content = [] if text is None else [self._part(text)]
        return {"id": f"reference-{self._kind}", "type": self._kind, "status": status, **self._more, "content": content}

    def opening(self, numbers: "count[int]", index: int) -> bytes:
        """Return the events before the item's first token; each takes the next of `numbers`."""
        added = {"output_index": index, "item": self.whole(None, "in_progress")}
        return _event("response.output_item.added", next(numbers), **added) + _event(
            "response.content_part.added", next(numbers), **self._place(index), part=self._part("")
        )

    def delta(self, numbers: "count[int]", index: int, tokens: int) -> bytes:
        """Return the event of one chunk."""
        return _event(f"response.{self._part_kind}.delta", next(numbers), **self._place(index), delta=" tok" * tokens)

    def closing(self, numbers: "count[int]", index: int, tokens: int, status: str) -> list[bytes]:
        """Return the events after the item's last token, `tokens` in all."""
        text = " tok" * tokens
        item = {"output_index": index, "item": self.whole(text, status)}
        return [
            _event(f"response.{self._part_kind}.done", next(numbers), **self._place(index), text=text),
            _event("response.content_part.done", next(numbers), **self._place(index), part=self._part(text)),
            _event("response.output_item.done", next(numbers), **item),
        ]

    def _part(self, text: str) -> dict[str, Any]:
        return {"type": self._part_kind, "text": text, **self._part_more}

    def _place(self, index: int) -> dict[str, Any]:
        return {"item_id": f"reference-{self._kind}", "output_index": index, "content_index": 0}


_THOUGHTS = _Item("reasoning", "reasoning_text", {"summary": []}, {})
_MESSAGE = _Item("message", "output_text", {"role": "assistant"}, {"annotations": []})


@lru_cache(maxsize=64)
def _body_events(speech: Speech) -> tuple[list[bytes], list[bytes], int]:
    """Return the events of each chunk of tokens, those that close the last item, and the next event's number."""
    totals = {_THOUGHTS: speech.reasoning, _MESSAGE: speech.tokens - speech.reasoning}
    numbers, index = count(2), 0
    chunks: list[bytes] = []
    current: _Item | None = None
    for counts in speech.chunks():
        event = b""
        for item, tokens in zip(totals, counts, strict=True):
            if not tokens:
                continue
            if item is not current:
                if current is not None:
                    event += b"".join(current.closing(numbers, index, totals[current], "completed"))
                    index += 1
                event += item.opening(numbers, index)
                current = item
            event += item.delta(numbers, index, tokens)
        chunks.append(event)
    closing = [] if current is None else current.closing(numbers, index, totals[current], "incomplete")
    return chunks, closing, next(numbers)


def _event(kind: str, number: int, **fields: Any) -> bytes:
    return wire.event({"type": kind, "sequence_number": number, **fields}, kind)


def _response(speech: Speech, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    base = {"id": "reference", "object": "response", "created_at": CREATED, "status": status, "model": speech.model}
    return {**base, "output": output, "error": None, "incomplete_details": None, "usage": None}


def _counts(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt,
        "output_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
