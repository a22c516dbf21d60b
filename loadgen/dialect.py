"""What one streamed JSON object of an OpenAI-compatible server says, in the dialects of the servers in use."""

from typing import Any, NamedTuple

_PLAIN_FIELDS = frozenset(("role", "content", "reasoning", "reasoning_content"))

# Responses API: what its events add. All others (item and part added, and the "done" ones that repeat the text) do not
_ANSWER_EVENTS = frozenset(
    f"response.{part}.delta"
    for part in (
        "output_text",
        "refusal",
        "function_call_arguments",
        "custom_tool_call_input",
        "mcp_call_arguments",
        "code_interpreter_call_code",
    )
)
_REASONING_EVENTS = frozenset(("response.reasoning_text.delta", "response.reasoning_summary_text.delta"))
_LAST_EVENTS = frozenset(("response.completed", "response.incomplete", "response.failed"))
_ERROR_EVENTS = frozenset(("error", "response.error"))


class Usage(NamedTuple):
    """Token counts as the server reports them; null where it does not."""

    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    reasoning_tokens: int | None


class Delta(NamedTuple):
    """One streamed object. `answer` includes the text of tool calls, `reasoning` is the thinking before it."""

    answer: str = ""
    reasoning: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None
    error: str | None = None


def read_delta(payload: Any) -> Delta:
    """Read the JSON object of one event: chat, completions or Responses. What does not fit is taken as absent."""
    if not isinstance(payload, dict):
        return Delta()
    if payload.get("object") == "error":  # older vLLM and SGLang: the error is the event itself
        return Delta(error=error_text(payload))
    if "choices" not in payload and isinstance(kind := payload.get("type"), str):
        return _read_response_event(kind, payload)
    answer, reasoning, finish_reason = "", "", None
    for choice in _dicts(payload.get("choices")):
        if isinstance(delta := choice.get("delta"), dict):
            content = delta.get("content")
            if isinstance(content, list):
                said, thought = _read_parts(content)
                answer, reasoning = answer + said, reasoning + thought
            answer += _text(content)
            reasoning += _text(delta.get("reasoning_content")) or _text(delta.get("reasoning"))
            if not _PLAIN_FIELDS.issuperset(delta):
                answer += _text(delta.get("refusal")) + _tool_text(delta)
        answer += _text(choice.get("text"))
        finish_reason = _text(choice.get("finish_reason")) or finish_reason
    error = payload.get("error")
    return Delta(answer, reasoning, finish_reason, _usage(payload.get("usage")), error_text(error) if error else None)


def _read_response_event(kind: str, event: dict[str, Any]) -> Delta:
    if kind in _ANSWER_EVENTS:
        return Delta(answer=_text(event.get("delta")))
    if kind in _REASONING_EVENTS:
        return Delta(reasoning=_text(event.get("delta")))
    if kind in _LAST_EVENTS:
        return _read_last_event(kind, _dict(event.get("response")))
    error = event.get("error")
    if kind in _ERROR_EVENTS:
        return Delta(error=error_text(error or event))
    return Delta(error=error_text(error) if error else None)


def _read_last_event(kind: str, response: dict[str, Any]) -> Delta:
    """The end of a response. A failed one has no finish reason; one cut at its length says so in chat's word."""
    usage = _usage(response.get("usage"))
    if kind == "response.failed":
        return Delta(usage=usage, error=error_text(response.get("error") or "the server says that the response failed"))
    if kind == "response.completed":
        return Delta(finish_reason="stop", usage=usage)
    reason = _text(_dict(response.get("incomplete_details")).get("reason")) or "incomplete"
    return Delta(finish_reason="length" if reason == "max_output_tokens" else reason, usage=usage)


def error_text(error: Any) -> str:
    """A server's error object in one line: its code or type and its message."""
    if not isinstance(error, dict):
        return str(error)
    label = error.get("code") or error.get("type")
    message = str(error.get("message") or error)
    return f"{label}: {message}" if label else message


def _read_parts(content: list[Any]) -> tuple[str, str]:
    """Answer and reasoning of a content in parts, as Mistral (`thinking`) and Databricks (`summary`) stream reasoning."""
    answer, reasoning = "", ""
    for part in _dicts(content):
        answer += _text(part.get("text"))
        for thought in (part.get("thinking"), part.get("summary")):
            reasoning += _text(thought) + "".join(_text(piece.get("text")) for piece in _dicts(thought))
    return answer, reasoning


def _tool_text(delta: dict[str, Any]) -> str:
    calls = [_dict(call.get(kind)) for call in _dicts(delta.get("tool_calls")) for kind in ("function", "custom")]
    calls.append(_dict(delta.get("function_call")))
    return "".join(_text(call.get(part)) for call in calls for part in ("name", "arguments", "input"))


def _usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    read, wrote = ("input", "output") if "input_tokens" in usage else ("prompt", "completion")
    counts = Usage(
        _count(usage.get(f"{read}_tokens")),
        _count(usage.get(f"{wrote}_tokens")),
        _count(_dict(usage.get(f"{read}_tokens_details")).get("cached_tokens")),
        _count(_dict(usage.get(f"{wrote}_tokens_details")).get("reasoning_tokens")),
    )
    # one that counts nothing must not take the place of one that did
    return counts if any(count is not None for count in counts) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # some gateways write all numbers with a point
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62 else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
