"""What a client asks for: the path, the key and the fields of the OpenAI body that matter here."""

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

APIS = {"/v1/chat/completions": "chat", "/v1/completions": "completions", "/v1/responses": "responses"}


class ApiError(Exception):
    """An answer other than 200, in OpenAI's form: `status`, `kind` (error.type) and `code`."""

    def __init__(self, status: int, kind: str, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.message, self.code = status, kind, message, code


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One HTTP request as it came; header names are lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Generation:
    """A request to generate text. `max_tokens` is null where the client leaves the length to the server."""

    api: str  # chat | completions | responses
    model: str
    messages: tuple[tuple[str, str], ...]  # (role, text), in order; a bare prompt is a user's
    stream: bool
    include_usage: bool
    max_tokens: int | None

    @property
    def prompt(self) -> str:
        """The users' texts, joined: what the hash is taken over."""
        return "".join(text for role, text in self.messages if role == "user")

    @property
    def conversation(self) -> str:
        """All messages with their roles, joined: what a prefix cache sees."""
        return "".join(role + text for role, text in self.messages)

    @property
    def prompt_tokens(self) -> int:
        """ceil(characters of all messages / 4), at least 1."""
        return max(1, math.ceil(sum(len(text) for _, text in self.messages) / 4))

    @property
    def prompt_sha256(self) -> str:
        """Hash of the prompt text (UTF-8), by which a client's trace finds its truth."""
        return hashlib.sha256(self.prompt.encode()).hexdigest()


def check_key(request: HttpRequest, api_key: str | None) -> None:
    """Raise ApiError 401 unless the request has the bearer token `api_key`."""
    if api_key is not None and request.headers.get("authorization") != f"Bearer {api_key}":
        raise ApiError(401, "invalid_request_error", "Incorrect API key provided.", "invalid_api_key")


def read_generation(request: HttpRequest, model: str | None) -> Generation:
    """Read a POST to the chat, completions or Responses API; any model is served where `model` is None.

    Raises ApiError: 404 for another path or model, 405 for another method, 400 for a body that cannot be read.
    """
    api = APIS.get(request.path)
    if api is None:
        raise ApiError(404, "invalid_request_error", f"Unknown path {request.path}; have {', '.join(APIS)}.")
    if request.method != "POST":
        raise ApiError(405, "invalid_request_error", f"{request.path} takes POST, not {request.method}.")
    try:
        body = json.loads(request.body)
        generation = _generation(api, body)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ApiError(400, "invalid_request_error", f"Unreadable request body: {error!r}.") from None
    if model is not None and generation.model != model:
        raise ApiError(
            404, "invalid_request_error", f"The model `{generation.model}` does not exist.", "model_not_found"
        )
    return generation


def _generation(api: str, body: dict[str, Any]) -> Generation:
    return Generation(
        api=api,
        model=str(body["model"]),
        messages=_messages(api, body),
        stream=bool(body.get("stream", False)),
        # the Responses API sends usage without being asked
        include_usage=api == "responses" or bool((body.get("stream_options") or {}).get("include_usage", False)),
        max_tokens=_max_tokens(api, body),
    )


def _max_tokens(api: str, body: dict[str, Any]) -> int | None:
    names = ("max_output_tokens",) if api == "responses" else ("max_completion_tokens", "max_tokens")
    for name in names:
        if name in body:
            count: object = body[name]
            if count is not None and (not isinstance(count, int) or count < 1):
                raise ValueError(f"{name} must be a whole number of at least 1, not {count!r}")
            return count
    return None


def _messages(api: str, body: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    said = body[{"chat": "messages", "completions": "prompt", "responses": "input"}[api]]
    if api != "chat" and isinstance(said, str):
        return (("user", said),)
    if api == "completions":
        raise TypeError("the prompt must be one string")
    return tuple((str(message["role"]), _text(message["content"])) for message in said)


def _text(content: str | list[dict[str, Any]] | None) -> str:
    """Return the text of a message: a string, a list of parts with `text`, or null where there was only a tool call."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content)
    if not isinstance(content, str | None):
        raise TypeError(f"the content of a message must be a string or a list of parts, not {type(content).__name__}")
    return content or ""
