"""Which bytes leave when: every answer of the reference endpoint is a Script, errors and silence included."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from endpoints.reference import wire
from endpoints.reference.request import ApiError


@dataclass(frozen=True, slots=True)
class Timing:
    """Token k (from 0) is due `ttft_ns + k * itl_ns` after the request came; a chunk, with its first token."""

    ttft_ns: int
    itl_ns: int


@dataclass(frozen=True, slots=True)
class Script:
    """Part i leaves `offsets_ns[i]` after the request came; those in `tokens` carry tokens.

    A script without parts is silence: the request is never answered. `keep_alive` False closes after the last part.
    """

    parts: Sequence[bytes]
    offsets_ns: Sequence[int]
    tokens: range = range(0)
    keep_alive: bool = True


@dataclass(frozen=True, slots=True)
class Speech:
    """What an answer says: `tokens` times " tok", of which the first `reasoning` are thoughts."""

    model: str
    tokens: int
    reasoning: int = 0
    tokens_per_chunk: int = 1

    @property
    def finish_reason(self) -> str:
        """`length`, since we always go to the limit; an answer without tokens just stopped."""
        return "length" if self.tokens else "stop"

    def chunks(self) -> list[tuple[int, int]]:
        """Return (thoughts, spoken tokens) of each chunk."""
        starts = range(0, self.tokens, self.tokens_per_chunk)
        counts = [min(self.tokens_per_chunk, self.tokens - start) for start in starts]
        thoughts = [min(count, max(0, self.reasoning - start)) for start, count in zip(starts, counts, strict=True)]
        return [(thought, count - thought) for thought, count in zip(thoughts, counts, strict=True)]


@dataclass(frozen=True, slots=True)
class Usage:
    """The server's own count, in tokens: `cached` are of the prompt's, `reasoning` of the completion's."""

    prompt: int
    completion: int
    cached: int = 0
    reasoning: int = 0


class Dialect(Hashable, Protocol):
    """One API's way to say a Speech. Events are whole server-sent events; no usage where `usage` is null."""

    @property
    def opens_at_once(self) -> bool:
        """Whether headers and opening leave when the request begins, and not with the first token."""

    def opening(self, speech: Speech) -> list[bytes]:
        """Return the events before the first token."""

    def chunks(self, speech: Speech) -> list[bytes]:
        """Return the event or events of each chunk of tokens."""

    def closing(self, speech: Speech, usage: Usage | None) -> list[bytes]:
        """Return the events after the last token."""

    def whole(self, speech: Speech, usage: Usage | None) -> dict[str, Any]:
        """Return the body of an answer that is not streamed."""

    def failure(self, problem: ApiError) -> bytes:
        """Return the event that says, in the middle of a stream, that the server failed."""


SILENCE = Script((), ())


def stream(dialect: Dialect, speech: Speech, usage: Usage | None, timing: Timing) -> Script:
    """Answer with server-sent events; the end leaves right after the last token."""
    parts, offsets_ns, tokens, head = _token_parts(dialect, speech, timing)
    end = head + b"".join(map(wire.chunk, dialect.closing(speech, usage))) + wire.STREAM_END
    return Script([*parts, end], offsets_ns, tokens)


def whole(dialect: Dialect, speech: Speech, usage: Usage | None, timing: Timing) -> Script:
    """Answer in one piece of JSON, when the last token is due."""
    due_ns = timing.ttft_ns + max(0, speech.tokens - 1) * timing.itl_ns
    return Script([wire.json_answer(200, dialect.whole(speech, usage))], [due_ns], range(min(1, speech.tokens)))


def models(names: Sequence[str]) -> Script:
    """Answer /v1/models."""
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "ratecard"} for name in names]
    return Script([wire.json_answer(200, {"object": "list", "data": data})], [0])


def error(problem: ApiError, headers: dict[str, str] | None = None) -> Script:
    """Answer with an OpenAI-style error body, at once."""
    return Script([wire.json_answer(problem.status, wire.error_body(problem), headers)], [0])


# One client asks for the same thing over and over, and often a crowd of them at once: nothing is encoded twice.
@lru_cache(maxsize=64)
def _token_parts(dialect: Dialect, speech: Speech, timing: Timing) -> tuple[list[bytes], list[int], range, bytes]:
    """Return the parts before the end, the offsets of all parts, which of them carry tokens, and what the end begins with.

    That last one is the head of an answer without tokens, and else empty.
    """
    events = dialect.chunks(speech)
    chunked = {event: wire.chunk(event) for event in set(events)}  # a long answer of equal events is one object
    parts = [chunked[event] for event in events]
    gap_ns = timing.itl_ns * speech.tokens_per_chunk
    offsets_ns = [timing.ttft_ns + i * gap_ns for i in range(len(parts))]
    offsets_ns.append(offsets_ns[-1] if parts else timing.ttft_ns)
    head = wire.STREAM_HEAD + b"".join(map(wire.chunk, dialect.opening(speech)))
    if dialect.opens_at_once:
        return [head, *parts], [0, *offsets_ns], range(1, len(parts) + 1), b""
    if not parts:
        return parts, offsets_ns, range(0), head
    parts[0] = head + parts[0]
    return parts, offsets_ns, range(len(parts)), b""
