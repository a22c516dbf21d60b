"""A line of AIPerf's `profile_export.jsonl`, decoded to what of it is used and no more: that is what makes it fast."""

from array import array
from typing import Any

import msgspec

from warehouse.importers.files import parse
from warehouse.importers.traces import Row
from warehouse.importers.units import TIME_MS, scale


class Value(msgspec.Struct):
    """A number with its unit."""

    value: float | None
    unit: str


class Values(msgspec.Struct):
    """Numbers with their unit."""

    value: list[float] | None
    unit: str


class Metrics(msgspec.Struct):
    """What AIPerf works out for each request; which of them are there depends on version and options."""

    time_to_first_token: Value | None = None
    time_to_first_output_token: Value | None = None
    request_latency: Value | None = None
    inter_chunk_latency: Values | None = None
    usage_prompt_tokens: Value | None = None
    usage_completion_tokens: Value | None = None
    usage_prompt_cache_read_tokens: Value | None = None
    usage_reasoning_tokens: Value | None = None
    input_sequence_length: Value | None = None
    output_sequence_length: Value | None = None
    reasoning_token_count: Value | None = None
    error_isl: Value | None = None
    http_req_data_received: Value | None = None


class Metadata(msgspec.Struct):
    """Whose the record is, and when, in nanoseconds of the wall clock."""

    request_start_ns: int
    request_end_ns: int
    credit_issued_ns: int | None = None
    request_ack_ns: int | None = None
    x_request_id: str | None = None
    benchmark_phase: str | None = None
    was_cancelled: bool | None = None


class Line(msgspec.Struct):
    """One request."""

    metadata: Metadata
    metrics: Metrics | None = None
    error: Any = None


_NO_METRICS = Metrics()
_ROUNDING_NS = 1_000_000
_DECODE = msgspec.json.Decoder(Line).decode


def decode(line: bytes) -> Line:
    """Read a line; NaN and Infinity in it are null.

    Raises:
        ValueError: no JSON, or no record of AIPerf: the message says which field, expected and found.

    """
    try:
        return _DECODE(line)
    except msgspec.DecodeError as error:
        if isinstance(error, msgspec.ValidationError):
            raise ValueError(str(error)) from None
    try:
        return msgspec.convert(parse(line), Line)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def row(index: int, line: Line) -> Row:
    """The fields of a `Record`, as a plain tuple: there are millions."""
    metadata, metrics = line.metadata, line.metrics or _NO_METRICS
    sent, ended, credit = metadata.request_start_ns, metadata.request_end_ns, metadata.credit_issued_ns
    phase = "warmup" if metadata.benchmark_phase == "warmup" else "measure"
    scheduled = credit if credit is not None and credit <= sent else None
    if line.error is not None or metadata.was_cancelled:
        outcome, status, why = failure(line.error, bool(metadata.was_cancelled))
        tokens = count(metrics.error_isl)
        return (
            index, scheduled, sent, None, None, None, None, max(ended, sent), phase, outcome, status, why, tokens, None,
            None, None, "tool" if tokens is not None else None, None, None, None, None,
        )  # fmt: skip
    ttft, latency = (
        ms(metrics.time_to_first_token, "time_to_first_token"),
        ms(metrics.request_latency, "request_latency"),
    )
    first = last = answer = None
    if ttft is not None:
        first, last = sent + round(ttft * 1e6), sent + round((ttft if latency is None else latency) * 1e6)
        answered = ms(metrics.time_to_first_output_token, "time_to_first_output_token")
        answer = None if answered is None else sent + round(answered * 1e6)
    tokens_in, in_source = count(metrics.usage_prompt_tokens), "usage"
    if tokens_in is None:
        tokens_in, in_source = count(metrics.input_sequence_length), "tool"
    tokens_out, out_source = count(metrics.usage_completion_tokens), "usage"
    if tokens_out is None:
        tokens_out, out_source = count(metrics.output_sequence_length), "tool"
    reasoning = count(metrics.usage_reasoning_tokens)
    ack, gaps, received = metadata.request_ack_ns, metrics.inter_chunk_latency, metrics.http_req_data_received
    return (
        index,
        scheduled,
        sent,
        ack if ack is not None and first is not None and sent <= ack <= first else None,
        first,
        answer,
        last,
        # the last token is an end too, to the rounding of its milliseconds; later than that, the contract has its say
        last if last is not None and ended < last < ended + _ROUNDING_NS else ended,
        phase,
        "ok",
        None,
        None,
        tokens_in,
        count(metrics.usage_prompt_cache_read_tokens),
        tokens_out,
        count(metrics.reasoning_token_count) if reasoning is None else reasoning,
        None if tokens_in is None else in_source,
        None if tokens_out is None else out_source,
        _gaps(gaps),
        round(received.value * 1024)
        if received is not None and received.value is not None and received.unit == "KB"
        else None,
        None,
    )


def ms(found: Value | None, name: str) -> float | None:
    """Milliseconds. Raises ResultFileError for a unit that no time has."""
    if found is None or found.value is None:
        return None
    return found.value if found.unit == "ms" else scale(found.value, found.unit, TIME_MS, name)


def count(found: Value | None) -> int | None:
    """A whole number."""
    return None if found is None or found.value is None else int(found.value)


def _gaps(found: Values | None) -> "array[float] | None":
    if found is None or found.value is None:
        return None
    factor = 1.0 if found.unit == "ms" else scale(1.0, found.unit, TIME_MS, "inter_chunk_latency")
    return array("d", found.value if factor == 1.0 else [value * factor for value in found.value])


def failure(error: Any, was_cancelled: bool) -> tuple[str, int | None, str]:
    """Outcome, HTTP status and message of a failed request."""
    error = error if isinstance(error, dict) else {"message": error}
    code, kind, message = error.get("code"), str(error.get("type") or ""), str(error.get("message") or "")
    why = f"{kind}: {message}"[:500]
    if was_cancelled or "Cancel" in kind:
        return "cancelled", None, why
    if "Timeout" in kind:
        return "timeout", None, why
    if isinstance(code, int) and 400 <= code <= 599:
        return "http_error", code, why
    if any(word in kind for word in ("Connect", "Socket", "OSError", "Disconnected")):
        return "connect_error", None, why
    if any(word in kind for word in ("NoContent", "Empty", "InvalidInferenceResult")):
        return "empty", None, why
    return "malformed", None, why
