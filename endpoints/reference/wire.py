"""HTTP/1.1 and server-sent events as bytes."""

import json
from http import HTTPStatus
from typing import Any

from endpoints.reference.request import ApiError

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
STREAM_END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """Wrap `data` as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(data: dict[str, Any], kind: str | None = None) -> bytes:
    """Make one server-sent event, with an `event:` line where it has a `kind`."""
    return (b"" if kind is None else f"event: {kind}\n".encode()) + b"data: " + _compact(data) + b"\n\n"


def json_answer(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> bytes:
    """Make a whole answer with a JSON body."""
    return answer(status, "application/json", _compact(body), headers)


def answer(status: int, content_type: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """Make a whole answer; `headers` are further ones."""
    fields = {"content-type": content_type, "content-length": str(len(body)), **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}\r\n".encode() + body


def error_body(problem: ApiError) -> dict[str, Any]:
    """Return the body of an OpenAI-style error."""
    return {"error": {"message": problem.message, "type": problem.kind, "param": None, "code": problem.code}}


def _compact(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
