"""What a streamed body says: its token events with the reads that brought them, usage, finish reason, trouble."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import orjson

from loadgen.arrivals import Arrivals
from loadgen.content import ContentError, decode_pieces
from loadgen.dialect import Usage, error_text, read_delta
from loadgen.sse import Event, SSEReader


@dataclass(slots=True)
class TokenEvent:
    """An event with generated text. `reported` is the server's count of output tokens so far, if it came with it."""

    read: int
    reported: int | None


@dataclass(slots=True)
class Generation:
    """The stream of one response; reads are indices into its Arrivals."""

    tokens: list[TokenEvent] = field(default_factory=list)
    first_event_read: int | None = None
    first_answer_read: int | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    text_sha256: str | None = None
    problem: str | None = None  # the body is not what a streaming server sends


def read_generation(arrivals: Arrivals) -> Generation:
    """Read the body of a response with status 200; whatever is wrong with it ends in `problem`, never in an error."""
    generation = Generation()
    if "json" in arrivals.header(b"content-type").lower():
        generation.problem = _not_streamed(arrivals)
        if generation.problem:
            return generation
    stream = _Stream(generation)
    events = SSEReader()
    last_read = 0
    try:
        for last_read, piece in decode_pieces(arrivals.body, arrivals.header(b"content-encoding")):
            for event in events.feed(piece):
                stream.take(event, last_read)
        trailing = events.close()
        # half an event at the end is a cut stream, not a malformed one
        if trailing and (trailing.data.strip() == b"[DONE]" or _parsed(trailing.data) is not None):
            stream.take(trailing, last_read)
    except ContentError as error:
        generation.problem = str(error)
    stream.finish()
    if generation.first_event_read is None and generation.problem is None:
        generation.problem = _no_events(arrivals)
    return generation


class _Stream:
    """Takes the events of one stream into a Generation."""

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._text = hashlib.sha256()

    def take(self, event: Event, read: int) -> None:
        generation = self._generation
        if generation.first_event_read is None:
            generation.first_event_read = read
        if event.data.strip() == b"[DONE]":
            return
        payload = _parsed(event.data)
        if event.type == "error":
            self._note(f"the stream carried an error: {_event_error(payload, event.data)}")
        elif payload is None:
            self._note(f"an event is not JSON: {event.data[:200].decode('utf-8', 'replace')}")
        else:
            self._take_payload(payload, read)

    def _take_payload(self, payload: Any, read: int) -> None:
        generation = self._generation
        delta = read_delta(payload)
        if delta.error:
            self._note(f"the stream carried an error: {delta.error}")
        generation.usage = delta.usage or generation.usage
        generation.finish_reason = delta.finish_reason or generation.finish_reason
        text = delta.reasoning + delta.answer
        if not text:
            return
        self._text.update(text.encode("utf-8", "surrogatepass"))
        generation.tokens.append(TokenEvent(read, delta.usage.output_tokens if delta.usage else None))
        if delta.answer and generation.first_answer_read is None:
            generation.first_answer_read = read

    def finish(self) -> None:
        if self._generation.tokens:
            self._generation.text_sha256 = self._text.hexdigest()

    def _note(self, problem: str) -> None:
        self._generation.problem = self._generation.problem or problem  # the first trouble explains the rest


def body_text(arrivals: Arrivals, limit: int = 4096) -> str:
    """The first `limit` bytes of the body as text, for messages."""
    content = b""
    try:
        for _, piece in decode_pieces(arrivals.body, arrivals.header(b"content-encoding")):
            content += piece
            if len(content) >= limit:
                break
    except ContentError as error:
        return str(error)
    return content[:limit].decode("utf-8", "replace").strip()


def _parsed(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def _event_error(payload: Any, data: bytes) -> str:
    if isinstance(payload, dict):
        return error_text(payload.get("error") or payload)
    return data[:300].decode("utf-8", "replace")


def _not_streamed(arrivals: Arrivals) -> str | None:
    text = body_text(arrivals)
    if not text.startswith(("{", "[")):
        return None  # some servers label a stream as JSON
    return f"the server does not stream: it answered {arrivals.header(b'content-type')} instead of events: {text[:300]}"


def _no_events(arrivals: Arrivals) -> str | None:
    text = body_text(arrivals)
    # comments alone (keep-alives) are a stream in which nothing happened
    if not text or all(line.startswith(":") or not line for line in text.splitlines()):
        return None
    if text.startswith(("data:", "event:")):
        return None  # cut in the middle of its first event
    kind = arrivals.header(b"content-type") or "no content type"
    return f"the server does not stream: no event in its answer ({kind}): {text[:300]}"
