"""Misbehaviour on request: each fault spoils the Script of an answer, or stands in its place.

stall:tokens=3,seconds=2        after 3 tokens nothing for 2 seconds, then it goes on
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from endpoints.reference import wire
from endpoints.reference.request import ApiError
from endpoints.reference.script import SILENCE, Script, error

HEADER = "x-reference-fault"
FAILURE = ApiError(500, "server_error", "The reference endpoint fails on request.", "server_error")
BUSY = ApiError(429, "rate_limit_error", "The reference endpoint is busy on request.", "rate_limit_exceeded")
_GARBAGE = b"\x00\xff\xfe this is no HTTP \xff\r\n\r\n"
_BROKEN_EVENT = wire.chunk(b'data: {"choices": [this is no JSON\n\n')
_TAIL_BYTES = 20  # of any part: less than its last chunk or body holds


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, after how many tokens, for how long; a kind takes only what `KINDS` lists for it."""

    kind: str
    tokens: int = 1
    seconds: float = 1.0


KINDS: Mapping[str, tuple[str, ...]] = {
    "429": (),  # with Retry-After: 1
    "500": (),
    "slow_headers": ("seconds",),  # the whole answer comes so much later
    "stall": ("tokens", "seconds"),  # a pause in the middle
    "cut": ("tokens",),  # the connection is closed in the middle of a chunk
    "malformed": ("tokens",),  # one event that is no JSON
    "error_event": ("tokens",),  # the stream ends with an error
    "wrong_usage": (),  # completion tokens are counted twice
    "empty": (),  # a finish reason and no tokens
    "hang": (),  # never an answer
    "garbage": (),  # no HTTP
}


def parse_fault(text: str) -> Fault:
    """Read `KIND[:key=value[,key=value]]`. Raises ValueError, which says what there is."""
    kind, _, rest = text.partition(":")
    if kind not in KINDS:
        raise ValueError(f"unknown fault {kind!r}; have {', '.join(KINDS)}")
    fault = Fault(kind)
    for argument in rest.split(",") if rest else ():
        key, _, value = argument.partition("=")
        if key not in KINDS[kind]:
            raise ValueError(f"fault {kind!r} takes {' and '.join(KINDS[kind]) or 'no arguments'}, not {argument!r}")
        try:
            fault = (
                replace(fault, tokens=_tokens(value)) if key == "tokens" else replace(fault, seconds=_seconds(value))
            )
        except ValueError as problem:
            raise ValueError(f"fault {kind!r}: {problem}") from None
    return fault


def refusal(fault: Fault) -> Script | None:
    """Return what is said instead of any answer, if that is the fault."""
    scripts: dict[str, Callable[[], Script]] = {
        "429": lambda: error(BUSY, {"retry-after": "1"}),
        "500": lambda: error(FAILURE),
        "hang": lambda: SILENCE,
        "garbage": lambda: Script([_GARBAGE], [0], keep_alive=False),
    }
    return scripts[fault.kind]() if fault.kind in scripts else None


def spoil(script: Script, fault: Fault, tokens_per_chunk: int, failure: bytes | None) -> Script:
    """Return the script with its fault; `failure` is the stream's error event, null for an answer in one piece."""
    # the first part after so many tokens: perhaps the end
    at = min(script.tokens.start + -(-fault.tokens // tokens_per_chunk), len(script.parts) - 1)
    if fault.kind == "slow_headers":
        return _delay(script, 0, fault.seconds)
    if fault.kind == "stall":
        return _delay(script, at, fault.seconds)
    if fault.kind == "cut":
        return _end_with(script, at, script.parts[at][:-_TAIL_BYTES], keep_alive=False)
    if fault.kind == "malformed":
        return _garble(script, at, streamed=failure is not None)
    if fault.kind == "error_event":
        return _fail(script, at, failure)
    return script


def _delay(script: Script, at: int, seconds: float) -> Script:
    delay_ns = round(seconds * 1e9)
    return replace(
        script, offsets_ns=[*script.offsets_ns[:at], *(offset + delay_ns for offset in script.offsets_ns[at:])]
    )


def _end_with(script: Script, at: int, part: bytes, keep_alive: bool) -> Script:
    """Return the script with `part`, which carries no token, in the place of part `at` and all that follow."""
    tokens = range(script.tokens.start, min(at, script.tokens.stop))
    return Script([*script.parts[:at], part], script.offsets_ns[: at + 1], tokens, keep_alive)


def _garble(script: Script, at: int, streamed: bool) -> Script:
    parts = list(script.parts)
    if not streamed:
        parts[at] = parts[at][:-_TAIL_BYTES] + b"?" * _TAIL_BYTES
    elif at == 0:  # the headers go first
        parts[at] = parts[at].replace(wire.STREAM_HEAD, wire.STREAM_HEAD + _BROKEN_EVENT)
    else:
        parts[at] = _BROKEN_EVENT + parts[at]
    return replace(script, parts=parts)


def _fail(script: Script, at: int, failure: bytes | None) -> Script:
    if failure is None:
        return _end_with(script, at, wire.json_answer(200, wire.error_body(FAILURE)), keep_alive=True)
    head = wire.STREAM_HEAD if at == 0 else b""
    return _end_with(script, at, head + wire.chunk(failure) + wire.STREAM_END, keep_alive=True)


def _tokens(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"tokens must be a whole number of at least 0, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 86_400:
        raise ValueError(f"seconds must be a number from 0 to 86400, not {text!r}")
    return seconds
