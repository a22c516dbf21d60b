"""What a client asks for: the path, the key and the fields of the OpenAI body that matter here."""

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

APIS = {"/v1/chat/completions": "chat", "/v1/completions": "completions"}


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

    api: str  # chat | completions
    model: str
    prompt: str
    stream: bool
    include_usage: bool
    max_tokens: int | None

    @property
    def prompt_tokens(self) -> int:
        """ceil(characters / 4), at least 1."""
        return max(1, math.ceil(len(self.prompt) / 4))

    @property
    def prompt_sha256(self) -> str:
        """Hash of the prompt text (UTF-8), by which a client's trace finds its truth."""
        return hashlib.sha256(self.prompt.encode()).hexdigest()


def check_key(request: HttpRequest, api_key: str | None) -> None:
    """Raise ApiError 401 unless the request has the bearer token `api_key`."""
    if api_key is not None and request.headers.get("authorization") != f"Bearer {api_key}":
        raise ApiError(401, "invalid_request_error", "Incorrect API key provided.", "invalid_api_key")


def read_generation(request: HttpRequest, model: str | None) -> Generation:
    """Read a POST to the chat or completions API; any model is served where `model` is None.

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
    max_tokens = body.get("max_completion_tokens", body.get("max_tokens"))
    if max_tokens is not None and (not isinstance(max_tokens, int) or max_tokens < 1):
        raise ValueError(f"max_tokens must be a whole number of at least 1, not {max_tokens!r}")
    prompt = body["prompt"] if api == "completions" else "".join(_texts(body["messages"]))
    if not isinstance(prompt, str):
        raise TypeError("the prompt must be one string")
    return Generation(
        api=api,
        model=str(body["model"]),
        prompt=prompt,
        stream=bool(body.get("stream", False)),
        include_usage=bool((body.get("stream_options") or {}).get("include_usage", False)),
        max_tokens=max_tokens,
    )


def _texts(messages: list[dict[str, Any]]) -> list[str]:
    """Return the texts of the user's messages: what a prompt hash is taken over."""
    return [message["content"] for message in messages if message["role"] == "user"]
