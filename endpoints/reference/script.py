"""Which bytes leave when: every answer of the reference endpoint is a Script, errors and silence included.

A fault is a function from one Script to another: late offsets stall, missing parts cut, other bytes garble.
"""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from endpoints.reference.request import ApiError, Generation


@dataclass(frozen=True, slots=True)
class Timing:
    """Token k (from 0) is due `ttft_ns + k * itl_ns` after the request came; a chunk, with its first token."""

    ttft_ns: int
    itl_ns: int
    tokens_per_chunk: int = 1
    default_tokens: int = 64


@dataclass(frozen=True, slots=True)
class Script:
    """Part i leaves `offsets_ns[i]` after the request came; the first `token_parts` parts carry tokens.

    A script without parts is silence: the request is never answered. `keep_alive` False closes after the last part.
    """

    parts: Sequence[bytes]
    offsets_ns: Sequence[int]
    token_parts: int = 0
    keep_alive: bool = True


SILENCE = Script((), ())


def stream(generation: Generation, timing: Timing, usage: bool) -> Script:
    """Answer with server-sent events: the headers leave with the first token, the end right after the last."""
    tokens = generation.max_tokens or timing.default_tokens
    end = _chunk(_finish_event(generation.api, generation.model))
    if usage and generation.include_usage:
        end += _chunk(_event(generation.api, generation.model, [], usage=_usage(generation, tokens)))
    end += _END
    parts, offsets = _token_parts(generation.api, generation.model, tokens, timing)
    return Script([*parts, end], offsets, token_parts=len(parts))


def whole(generation: Generation, timing: Timing, usage: bool) -> Script:
    """Answer in one piece of JSON, when the last token is due."""
    tokens = generation.max_tokens or timing.default_tokens
    text = " tok" * tokens
    chat = generation.api == "chat"
    said = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    body: dict[str, Any] = {
        "id": "reference",
        "object": "chat.completion" if chat else "text_completion",
        "created": _CREATED,
        "model": generation.model,
        "choices": [{"index": 0, **said, "finish_reason": "length"}],
    }
    if usage:
        body["usage"] = _usage(generation, tokens)
    due_ns = timing.ttft_ns + (tokens - 1) * timing.itl_ns
    return Script([_json_answer(200, body)], [due_ns], token_parts=1)


def models(names: Sequence[str]) -> Script:
    """Answer /v1/models."""
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "ratecard"} for name in names]
    return Script([_json_answer(200, {"object": "list", "data": data})], [0])


def error(problem: ApiError) -> Script:
    """Answer with an OpenAI-style error body, at once."""
    body = {"error": {"message": problem.message, "type": problem.kind, "param": None, "code": problem.code}}
    return Script([_json_answer(problem.status, body)], [0])


# One client asks for the same thing over and over, and often a crowd of them at once: nothing is encoded twice.
@lru_cache(maxsize=64)
def _token_parts(api: str, model: str, tokens: int, timing: Timing) -> tuple[list[bytes], list[int]]:
    """Return the parts that carry tokens, and the offsets of all parts: the end leaves with the last token."""
    chunks = math.ceil(tokens / timing.tokens_per_chunk)
    last_tokens = tokens - (chunks - 1) * timing.tokens_per_chunk
    parts = [_chunk(_text_event(api, model, timing.tokens_per_chunk))] * (chunks - 1)
    parts.append(_chunk(_text_event(api, model, last_tokens)))
    parts[0] = _STREAM_HEAD + (_chunk(_role_event(api, model)) if api == "chat" else b"") + parts[0]
    gap_ns = timing.itl_ns * timing.tokens_per_chunk
    offsets = [timing.ttft_ns + i * gap_ns for i in range(chunks)]
    return parts, [*offsets, offsets[-1]]


def _role_event(api: str, model: str) -> bytes:
    delta = {"role": "assistant", "content": ""}
    return _event(api, model, [{"index": 0, "delta": delta, "finish_reason": None}])


def _text_event(api: str, model: str, tokens: int) -> bytes:
    text = " tok" * tokens
    said = {"delta": {"content": text}} if api == "chat" else {"text": text}
    return _event(api, model, [{"index": 0, **said, "finish_reason": None}])


@lru_cache(maxsize=64)
def _finish_event(api: str, model: str) -> bytes:
    said: dict[str, Any] = {"delta": {}} if api == "chat" else {"text": ""}
    return _event(api, model, [{"index": 0, **said, "finish_reason": "length"}])


def _event(api: str, model: str, choices: list[dict[str, Any]], **more: Any) -> bytes:
    kind = "chat.completion.chunk" if api == "chat" else "text_completion"
    base = {"id": "reference", "object": kind, "created": _CREATED, "model": model}
    return b"data: " + _compact({**base, "choices": choices, **more}) + b"\n\n"


_CREATED = int(time.time())
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_END = _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def _json_answer(status: int, body: dict[str, Any]) -> bytes:
    data = _compact(body)
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(data)}\r\n\r\n".encode() + data


def _usage(generation: Generation, tokens: int) -> dict[str, Any]:
    return {
        "prompt_tokens": generation.prompt_tokens,
        "completion_tokens": tokens,
        "total_tokens": generation.prompt_tokens + tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def _compact(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
