"""What a streamed body says: its token events with the reads that brought them, usage, finish reason, trouble."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from loadgen.arrivals import Arrivals
from loadgen.body import Body, body_of
from loadgen.content import ContentError, Piece, decode_pieces, is_coded
from loadgen.dialect import Usage, error_text, read_delta
from loadgen.sse import Event, SSEReader
from loadgen.template import Template, parsed

_LEARN_EVERY = 16
"""Tokens for each template that is learnt beyond the first few: where every event differs, learning costs little."""
_LEARN_FREELY = 4
_SHOWN_BYTES = 4096
"""Of a body or an event, for messages: more than a message keeps, or a secret that is cut in two would not be masked."""


@dataclass(slots=True)
class Generation:
    """The stream of one response; reads are indices into its Arrivals.

    `token_reads` and `token_counts` have an item for each event with generated text: the read that brought it, and the
    server's count of output tokens so far where it came with it.
    """

    token_reads: list[int] = field(default_factory=list)
    token_counts: list[int | None] = field(default_factory=list)
    first_event_read: int | None = None
    first_answer_read: int | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    text: str | None = None  # of the answer, without the reasoning before it
    text_sha256: str | None = None  # of all that was generated
    problem: str | None = None  # the body is not what a streaming server sends


def read_generation(arrivals: Arrivals, body: Body) -> Generation:
    """Read the body of a response with status 200; whatever is wrong with it ends in `problem`, never in an error."""
    generation = Generation()
    if "json" in arrivals.header(b"content-type").lower():
        generation.problem = _not_streamed(arrivals)
        if generation.problem:
            return generation
    stream = _Stream(generation)
    events = SSEReader()
    last_read = 0
    coding = arrivals.header(b"content-encoding")
    try:
        pieces = decode_pieces(body, coding) if is_coded(coding) else stream.without_runs(body, events)
        for last_read, piece in pieces:
            for event in events.feed(piece):
                stream.take(event, last_read)
        trailing = events.close()
        # half an event at the end is a cut stream, not a malformed one
        if trailing and (trailing.data.strip() == b"[DONE]" or parsed(trailing.data) is not None):
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
        self._text: list[bytes] = []
        self._answer: list[bytes] = []
        self._template: Template | None = None
        self._template_answers = False  # or reasons
        self._learnt = 0

    def without_runs(self, body: Body, events: SSEReader) -> Iterator[Piece]:
        """The pieces of `body` for `events`, less the runs of chunks that are one event each like the last."""
        reads = self._generation.token_reads
        for piece in body:
            known = len(reads)
            yield piece
            if len(reads) > known and self._template and events.between_events:
                self._take_texts(*body.run(b"data: " + self._template.before, self._template.after + b"\n\n"))

    def take(self, event: Event, read: int) -> None:
        """Take the next event."""
        generation, data = self._generation, event.data
        if event.type != "error" and self._template and (text := self._template.text_of(data)):
            self._take_texts([text], [read])
            return
        said = data.strip()
        if not said:
            return  # some gateways keep a stream alive with empty events
        if generation.first_event_read is None:
            generation.first_event_read = read
        if said == b"[DONE]":
            return
        payload = parsed(data)
        if event.type == "error":
            self._note(f"the stream carried an error: {_event_error(payload, data)}")
        elif payload is None and said != b"null":
            self._note(f"an event is not JSON: {data[:_SHOWN_BYTES].decode('utf-8', 'replace')}")
        else:
            self._take_payload(payload, data, read)

    def _take_texts(self, texts: list[bytes], reads: list[int]) -> None:
        # no look-out for the first answer: the event that was learnt from was it, or came after it
        self._text += texts
        if self._template_answers:
            self._answer += texts
        self._generation.token_reads += reads
        self._generation.token_counts += [None] * len(reads)

    def _take_payload(self, payload: Any, data: bytes, read: int) -> None:
        generation = self._generation
        delta = read_delta(payload)
        if delta.error:
            self._note(f"the stream carried an error: {delta.error}")
        generation.usage = delta.usage or generation.usage
        generation.finish_reason = delta.finish_reason or generation.finish_reason
        text = delta.reasoning + delta.answer
        if not text:
            return
        self._text.append(text.encode("utf-8", "surrogatepass"))
        generation.token_reads.append(read)
        generation.token_counts.append(delta.usage.output_tokens if delta.usage else None)
        if delta.answer:
            self._answer.append(delta.answer.encode("utf-8", "surrogatepass"))
            if generation.first_answer_read is None:
                generation.first_answer_read = read
        if self._learnt < _LEARN_FREELY + len(generation.token_reads) // _LEARN_EVERY:
            self._learnt += 1
            self._template = Template.of(data, text)
            self._template_answers = bool(delta.answer)

    def finish(self) -> None:
        """Put the text together."""
        if self._text:
            self._generation.text_sha256 = hashlib.sha256(b"".join(self._text)).hexdigest()
        if self._answer:
            self._generation.text = b"".join(self._answer).decode("utf-8", "replace")

    def _note(self, problem: str) -> None:
        self._generation.problem = self._generation.problem or problem  # the first trouble explains the rest


def body_text(arrivals: Arrivals) -> str:
    """The first 4,096 bytes of the body as text, for messages."""
    content = b""
    try:
        for _, piece in decode_pieces(body_of(arrivals), arrivals.header(b"content-encoding")):
            content += piece
            if len(content) >= _SHOWN_BYTES:
                break
    except ContentError as error:
        return str(error)
    return content[:_SHOWN_BYTES].decode("utf-8", "replace").strip()


def _event_error(payload: Any, data: bytes) -> str:
    if isinstance(payload, dict):
        return error_text(payload.get("error") or payload)
    return data[:_SHOWN_BYTES].decode("utf-8", "replace")


def _not_streamed(arrivals: Arrivals) -> str | None:
    text = body_text(arrivals)
    if not text.startswith(("{", "[")):
        return None  # some servers label a stream as JSON
    return f"the server does not stream: it answered {arrivals.header(b'content-type')} instead of events: {text}"


def _no_events(arrivals: Arrivals) -> str | None:
    text = body_text(arrivals)
    # comments alone (keep-alives) are a stream in which nothing happened
    if not text or all(line.startswith(":") or not line for line in text.splitlines()):
        return None
    if text.startswith(("data:", "event:")):
        return None  # cut in the middle of its first event
    kind = arrivals.header(b"content-type") or "no content type"
    return f"the server does not stream: no event in its answer ({kind}): {text}"
