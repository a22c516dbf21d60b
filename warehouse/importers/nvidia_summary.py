"""The summary JSON of AIPerf (`profile_export_aiperf.json`) and GenAI-Perf (`profile_export_genai_perf.json`).

Each metric is `{"unit": …, "avg": …, "p50": …, "max": …}`; what was asked for stands in `input_config`, whose shape changed
from version to version: it is looked for where any of them had it.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas.errors import ResultFileError
from warehouse.importers.files import read_documents
from warehouse.importers.levels import Level, Said, closed_or_open, number
from warehouse.importers.recognise import expect
from warehouse.importers.summary import check, latency
from warehouse.importers.units import COUNT, RATE, TIME_MS, scale

_LATENCIES = {
    "time_to_first_token": ("ttft",),
    "time_to_first_output_token": ("ttfa",),
    "inter_token_latency": ("tpot", "tpot_osl_minus_1"),
    "inter_chunk_latency": ("chunk_gap",),
    "request_latency": ("e2e",),
}
_STATISTICS = {"avg": "mean", "p50": "p50", "p75": "p75", "p90": "p90", "p95": "p95", "p99": "p99", "max": "max"}


def of_records(path: Path, tool: str, said: Said) -> Level:
    """The summary beside the records of a test. Raises ResultFileError: what to do for the records without it."""
    try:
        return level(path, tool, said)
    except ResultFileError as error:
        raise ResultFileError(f"{error}. Its records can be imported without it: move {path.name} away") from error


def level(path: Path, tool: str, said: Said) -> Level:
    """The only level of a summary.

    Raises:
        ResultFileError: it is none, or its figures contradict each other.

    """
    documents = read_documents(path)
    if len(documents) != 1:
        raise ResultFileError(f"{path}: found {len(documents)} documents, expected the one summary of {tool}")
    document = documents[0]
    # versions of AIPerf before 0.4 do not name themselves
    expect(path, document, tool, *(("genai-perf",) if tool == "aiperf" else ()))
    config = document.get("input_config") or {}
    shape = closed_or_open(path, said, *_load(config), where="input_config")
    asked_in, asked_out = _lengths(config)
    columns = _columns(path, document)
    found = Level(
        tool,
        path,
        **shape,
        tool_version=document.get("aiperf_version") or document.get("version"),
        model=_model(config),
        url=_url(config),
        api=_api(config),
        started_at=_instant(document.get("start_time")),
        test_id=str(document.get("benchmark_id") or ""),
        input_tokens=asked_in or columns.get("input_tokens_mean"),
        output_tokens=asked_out or columns.get("output_tokens_mean"),
        target_input_tokens=round(asked_in) if asked_in else None,
        target_output_tokens=round(asked_out) if asked_out else None,
        summary=columns | {"target_output_tokens": asked_out},
    )
    check(path, "summary", found, unit="as the file names its units")
    return found


def _columns(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, metrics in _LATENCIES.items():
        block = document.get(name)
        for theirs, ours in _STATISTICS.items() if isinstance(block, dict) else ():
            value = _figure(path, document, name, theirs, TIME_MS)
            latency(columns, metrics, ours, value)
    completed = _figure(path, document, "request_count", "avg", COUNT)
    if completed is None:  # GenAI-Perf counts the requests in the blocks of its later versions only
        completed = _counted(document)
    failed = _figure(path, document, "error_request_count", "avg", COUNT) or 0
    rate = _figure(path, document, "request_throughput", "avg", RATE)
    duration = _figure(path, document, "benchmark_duration", "avg", TIME_MS)
    columns |= {
        "duration_s": duration / 1000 if duration else completed / rate if completed and rate else None,
        "completed_requests": _whole(completed),
        "failed_requests": _whole(failed) or 0,
        "requests": None if completed is None else _whole(completed + failed),
        "token_gaps": _whole((document.get("inter_chunk_latency") or {}).get("count")),
        "request_rps": rate,
        "output_tps": _figure(path, document, "output_token_throughput", "avg", RATE),
        "input_tokens_mean": _figure(path, document, "input_sequence_length", "avg", COUNT),
        "output_tokens_mean": _figure(path, document, "output_sequence_length", "avg", COUNT),
        "interactivity_mean_tps": _figure(path, document, "output_token_throughput_per_user", "avg", RATE),
    }
    total_in = _figure(path, document, "total_isl", "avg", COUNT)
    if total_in is not None and columns["duration_s"]:
        columns["input_tps"] = total_in / columns["duration_s"]
    elif rate and columns["input_tokens_mean"]:
        columns["input_tps"] = rate * columns["input_tokens_mean"]
    return columns


def _figure(path: Path, document: dict[str, Any], name: str, statistic: str, known: dict[str, float]) -> float | None:
    block = document.get(name)
    if not isinstance(block, dict) or block.get(statistic) is None:
        return None
    value = number(path, name, statistic, block[statistic])
    try:
        return None if value is None else scale(value, str(block.get("unit") or "").strip(), known, name)
    except ResultFileError as error:
        raise ResultFileError(f"{path}: {error}") from None


def _counted(document: dict[str, Any]) -> float | None:
    for name in ("request_latency", "time_to_first_token", "output_sequence_length"):
        count = (document.get(name) or {}).get("count") if isinstance(document.get(name), dict) else None
        if count:
            return float(count)
    return None


def _whole(value: Any) -> int | None:
    return None if value is None else round(value)


def _at(config: dict[str, Any], *keys: str | int) -> Any:
    found: Any = config
    for key in keys:
        if isinstance(key, str) and isinstance(found, dict):
            found = found.get(key)
        elif isinstance(key, int) and isinstance(found, list) and len(found) > key:
            found = found[key]
        else:
            return None
    return found


def _first(config: dict[str, Any], *paths: tuple[str | int, ...]) -> Any:
    return next((found for path in paths if (found := _at(config, *path)) is not None), None)


def _load(config: dict[str, Any]) -> tuple[Any, Any]:
    profiling = [p for p in config.get("phases") or [] if isinstance(p, dict) and p.get("kind") != "warmup"]
    phase = profiling[-1] if profiling else {}
    places = (("loadgen",), ("perf_analyzer", "stimulus"), ("perf_analyzer",), ())
    concurrency = phase.get("concurrency") or _first(config, *((*place, "concurrency") for place in places))
    rate = (
        phase.get("rate")
        or phase.get("request_rate")
        or _first(config, *((*place, "request_rate") for place in places))
    )
    return concurrency, rate


def _lengths(config: dict[str, Any]) -> tuple[float | None, float | None]:
    asked = [
        _first(
            config,
            ("datasets", 0, "prompts", short, "mean"),
            ("input", "prompt", long, "mean"),
            ("input", flat),
            (flat,),
        )
        for short, long, flat in (
            ("isl", "input_tokens", "synthetic_input_tokens_mean"),
            ("osl", "output_tokens", "output_tokens_mean"),
        )
    ]
    found = [float(value) if isinstance(value, int | float) and value > 0 else None for value in asked]
    return found[0], found[1]


def _model(config: dict[str, Any]) -> str | None:
    found = _first(
        config, ("models", "items", 0, "name"), ("endpoint", "model_names", 0), ("model_names", 0), ("model", 0), ("model",),
        ("formatted_model_name",),
    )  # fmt: skip
    return str(found) if isinstance(found, str) else None


def _url(config: dict[str, Any]) -> str | None:
    found = _first(config, ("endpoint", "urls", 0), ("endpoint", "url"), ("u",), ("url",))
    return found if isinstance(found, str) else None


def _api(config: dict[str, Any]) -> str | None:
    found = _first(config, ("endpoint", "type"), ("endpoint_type",))
    return found if found in ("chat", "completions", "responses") else None


def _instant(value: Any) -> datetime | None:
    """ISO 8601; the tool writes its machine's clock without an offset: taken as UTC."""
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return (at.astimezone(UTC) if at.tzinfo else at).replace(tzinfo=None)
