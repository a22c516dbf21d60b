"""From what the wire did to one trace row, with exactly the columns of `schemas.columns.REQUEST_TRACES`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadgen.arrivals import Arrivals
from loadgen.body import body_of
from loadgen.chunks import Chunks, chunks_of
from loadgen.dialect import Usage
from loadgen.generation import Generation, body_text, read_generation
from loadgen.redact import Redactor

_TELLING = ("Retry-After", "Location")
"""Headers of a refusal that say what to do about it."""

_NO_USAGE = Usage(None, None, None, None)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the transport gave no complete response: the outcome it leads to, and what happened."""

    outcome: str  # connect_error | timeout | truncated | malformed | cancelled | interrupted
    message: str


@dataclass(slots=True)
class Exchange:
    """One request that was tried: what it asked for, what arrived, and how it failed if it did."""

    request_index: int
    phase: str
    target_input_tokens: int
    target_output_tokens: int
    prompt_sha256: str
    scheduled_ns: int  # monotonic, as all times here
    arrivals: Arrivals
    failure: Failure | None = None
    conversation_index: int | None = None
    turn_index: int | None = None
    prefix_group: int | None = None


class Interpreter:
    """Turns exchanges into rows. `constants` are the columns that all rows share, `epoch_ns` their monotonic zero."""

    def __init__(self, constants: Mapping[str, Any], epoch_ns: int, redactor: Redactor) -> None:
        self._constants = dict(constants)
        self._epoch_ns = epoch_ns
        self._redactor = redactor

    def row(self, exchange: Exchange) -> dict[str, Any]:
        """The trace row of an exchange."""
        return self.read(exchange)[0]

    def read(self, exchange: Exchange) -> tuple[dict[str, Any], str | None]:
        """The trace row of an exchange and the text of its answer, null where it has none."""
        arrivals = exchange.arrivals
        arrivals.settle()
        success = arrivals.status is not None and 200 <= arrivals.status < 300
        body = body_of(arrivals)
        generation = read_generation(arrivals, body) if success else Generation()
        chunks = chunks_of(arrivals, generation)
        outcome, error = _outcome(exchange, generation, chunks)
        row = {
            **self._constants,
            "request_index": exchange.request_index,
            "phase": exchange.phase,
            "transport": arrivals.transport,
            "conversation_index": exchange.conversation_index,
            "turn_index": exchange.turn_index,
            "prefix_group": exchange.prefix_group,
            "clock_source": arrivals.clock_source,
            "clock_suspect": arrivals.clock_suspect,
            "reads": len(arrivals.stamps),
            "merged_reads": chunks.merged_reads,
            "first_token_merged": chunks.first_merged,
            **self._times(exchange, generation, chunks),
            "outcome": outcome,
            "http_status": arrivals.status,
            "finish_reason": generation.finish_reason,
            "error": self._redactor.message(error) if error else None,
            **_token_counts(generation.usage or _NO_USAGE),
            "target_input_tokens": exchange.target_input_tokens,
            "target_output_tokens": exchange.target_output_tokens,
            **_chunk_columns(chunks, generation.usage or _NO_USAGE),
            "response_bytes": body.total_bytes(),
            "prompt_sha256": exchange.prompt_sha256,
            "text_sha256": generation.text_sha256,
        }
        return row, generation.text

    def _times(self, exchange: Exchange, generation: Generation, chunks: Chunks) -> dict[str, int | None]:
        arrivals = exchange.arrivals
        first_answer = generation.first_answer_read
        if first_answer is not None and arrivals.stamps[first_answer] > chunks.stamps[-1]:
            first_answer = None  # it came after a stall that ended the chunks
        return {
            "scheduled_ns": self._since_epoch(exchange.scheduled_ns),
            "sent_ns": self._since_epoch(arrivals.sent_ns),
            "headers_ns": self._since_epoch(arrivals.headers_ns),
            "first_chunk_ns": self._read_ns(arrivals, generation.first_event_read),
            "first_token_ns": self._since_epoch(chunks.stamps[0] if chunks.stamps else None),
            "first_answer_ns": self._read_ns(arrivals, first_answer),
            "last_token_ns": self._since_epoch(chunks.stamps[-1] if chunks.stamps else None),
            "closed_ns": self._since_epoch(arrivals.closed_ns),
            "connect_ns": arrivals.connect_ns,
        }

    def _read_ns(self, arrivals: Arrivals, read: int | None) -> int | None:
        return None if read is None else self._since_epoch(arrivals.stamps[read])

    def since_epoch(self, monotonic_ns: int) -> int:
        """A monotonic time as the rows have it."""
        return monotonic_ns - self._epoch_ns

    def _since_epoch(self, monotonic_ns: int | None) -> int | None:
        return None if monotonic_ns is None else self.since_epoch(monotonic_ns)


def _outcome(exchange: Exchange, generation: Generation, chunks: Chunks) -> tuple[str, str | None]:
    """The outcome and, unless it is ok, why.

    An error object inside a 200 stream is `malformed` whatever code it carries: `http_error` is kept for the status
    line. A stream cut after its finish reason is ok (docs/metrics.md: a finish reason and at least one token), so a missing
    [DONE] or last chunk does no harm.
    """
    failure, status = exchange.failure, exchange.arrivals.status
    if failure and failure.outcome != "truncated":
        return failure.outcome, failure.message
    if status is not None and not 200 <= status < 300:
        told = [f"{name}: {value}" for name in _TELLING if (value := exchange.arrivals.header(name.lower().encode()))]
        asked = f" ({', '.join(told)})" if told else ""
        return "http_error", _with_body(f"HTTP {status}{asked}", exchange.arrivals)
    if generation.problem and not (failure and generation.first_event_read is None):
        return "malformed", generation.problem
    if chunks.stalled_s is not None:
        return "timeout", f"no token for {chunks.stalled_s:.0f} s, more than a trace can hold (2,147 s)"
    if generation.token_reads and generation.finish_reason:
        return "ok", None
    if failure:
        return failure.outcome, failure.message
    if not generation.token_reads:
        return "empty", _with_body("the answer holds no generated text", exchange.arrivals)
    return "truncated", "the stream ended without a finish reason"


def _with_body(what: str, arrivals: Arrivals) -> str:
    text = body_text(arrivals)
    return f"{what}: {text}" if text else what


def _token_counts(usage: Usage) -> dict[str, int | str | None]:
    return {
        "input_tokens": usage.input_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "input_token_source": None if usage.input_tokens is None else "usage",
        "output_token_source": None if usage.output_tokens is None else "usage",
    }


def _chunk_columns(chunks: Chunks, usage: Usage) -> dict[str, Any]:
    tokens, source = chunks.tokens(usage.output_tokens)
    return {
        "token_chunks": len(chunks.stamps),
        "gaps_us": chunks.gaps_us(),
        "chunk_tokens": tokens,
        "chunk_token_source": source,
    }
