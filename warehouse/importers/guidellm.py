"""GuideLLM: one JSON report with a benchmark for each load, by versions 0.2 to 0.8 and report version 2.

A benchmark has statistics of all its requests, and the requests themselves, or a sample of them. All of them become
traces; of a sample, or none, the statistics count, held against what of the sample can be compared.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas.errors import ResultFileError
from warehouse.importers import guidellm_requests
from warehouse.importers.files import as_written_by, read_documents
from warehouse.importers.levels import Level, Rejected, Said, closed_or_open, number
from warehouse.importers.recognise import expect
from warehouse.importers.summary import check, latency

TOOL = "guidellm"
SUFFIXES = (".json",)
_STATISTICS = {"mean": "mean", "max": "max"} | {f"p{p}": f"p{p}" for p in (50, 75, 90, 95, 99)} | {"p999": "p99_9"}
_LATENCIES = {
    "time_to_first_token_ms": (("ttft",), 1.0),
    "time_to_first_output_token_ms": (("ttfa",), 1.0),
    "inter_token_latency_ms": (("tpot", "tpot_osl_minus_1"), 1.0),
    "time_per_output_token_ms": (("tpot_including_ttft", "ntpot"), 1.0),
    "request_latency": (("e2e_to_close",), 1000.0),
}
"""Ours for each of theirs, and milliseconds of one of theirs: a name without _ms is in seconds."""


def read(paths: list[Path], said: Said) -> Iterator[Level | ResultFileError]:
    """Every benchmark of `paths`."""
    for path in paths:
        try:
            for document in read_documents(path):
                expect(path, document, TOOL)
                yield from _levels(path, document, said)
        except ResultFileError as error:
            yield error


def _levels(path: Path, document: dict[str, Any], said: Said) -> Iterator[Level | ResultFileError]:
    benchmarks = document["benchmarks"]
    if not isinstance(benchmarks, list) or not benchmarks:
        yield ResultFileError(f"{path}: benchmarks: found none: was the run interrupted?")
        return
    for position, benchmark in enumerate(benchmarks):
        where = f"benchmarks[{position}]"
        try:
            with as_written_by("GuideLLM 0.2 to 0.8", path, where):
                found = _level(path, document, benchmark, said, where)
            yield found
        except ResultFileError as error:
            yield error


def _level(path: Path, document: dict[str, Any], benchmark: dict[str, Any], said: Said, where: str) -> Level:
    config = benchmark.get("config") or benchmark.get("args") or {}
    columns = _columns(path, where, benchmark)
    named, worker = config.get("backend"), benchmark.get("worker") or {}
    backend: dict[str, Any] = named if isinstance(named, dict) else _spec(document).get("backend") or {}
    asked = next(iter(d for d in _spec(document).get("data") or [] if isinstance(d, dict)), {})
    began = number(
        path, where, "start_time", benchmark.get("start_time") or benchmark.get("run_stats", {}).get("start_time")
    )
    level = Level(
        TOOL,
        path,
        **_shape(path, config, said, where),
        tool_version=(document.get("metadata") or {}).get("guidellm_version"),
        model=backend.get("model")
        or worker.get("backend_model")
        or (benchmark.get("benchmarker") or {}).get("backend", {}).get("model"),
        url=backend.get("target") or worker.get("backend_target"),
        api="chat" if "chat" in str(backend.get("request_format") or "") else None,
        started_at=datetime.fromtimestamp(began, UTC).replace(tzinfo=None) if began else None,
        test_id=str(config.get("id_") or benchmark.get("id_") or ""),
        input_tokens=asked.get("prompt_tokens") or columns["input_tokens_mean"],
        output_tokens=asked.get("output_tokens") or columns["output_tokens_mean"],
        target_input_tokens=asked.get("prompt_tokens"),
        target_output_tokens=asked.get("output_tokens"),
        summary=columns | {"target_output_tokens": asked.get("output_tokens")},
    )
    check(path, where, level, unit="ms where a name ends in _ms, else s")
    _requests(path, where, benchmark, level)
    return level


def _spec(document: dict[str, Any]) -> dict[str, Any]:
    config = document.get("config") or document.get("args") or {}
    spec = config.get("spec") if isinstance(config, dict) else None
    found = spec or config
    return found if isinstance(found, dict) else {}


def _shape(path: Path, config: dict[str, Any], said: Said, where: str) -> dict[str, Any]:
    strategy = config.get("strategy") or (config.get("args") or {}).get("strategy") or {}
    kind = strategy.get("type_") or strategy.get("kind") or config.get("type_")
    if kind == "synchronous":
        return closed_or_open(path, said, 1, None, where=where)
    if kind in ("concurrent", "throughput"):
        return closed_or_open(path, said, strategy.get("streams") or strategy.get("max_concurrency"), None, where=where)
    return closed_or_open(path, said, None, strategy.get("rate"), where=where)


def _columns(path: Path, where: str, benchmark: dict[str, Any]) -> dict[str, Any]:
    metrics = benchmark["metrics"]
    columns: dict[str, Any] = {}

    def figure(name: str, statistic: str = "mean") -> float | None:
        block = (metrics.get(name) or {}).get("successful") or {}
        value = block.get(statistic, (block.get("percentiles") or {}).get(statistic))
        return number(path, where, f"metrics.{name}.successful.{statistic}", value)

    for name, (ours, factor) in _LATENCIES.items():
        if name == "time_per_output_token_ms" and "run_stats" in benchmark:
            continue  # until 0.3 it left the first token's time out, whatever its description said
        if not ((metrics.get(name) or {}).get("successful") or {}).get("count"):
            continue
        for theirs, statistic in _STATISTICS.items():
            value = figure(name, theirs)
            latency(columns, ours, statistic, None if value is None else value * factor)
    totals = metrics.get("request_totals") or benchmark.get("request_totals") or {}
    completed = number(path, where, "request_totals.successful", totals["successful"])
    failed = number(path, where, "request_totals.errored", totals.get("errored")) or 0
    return columns | {
        "duration_s": number(path, where, "duration", benchmark.get("duration")),
        "completed_requests": round(completed or 0),
        "failed_requests": round(failed),
        "requests": round((completed or 0) + failed),
        "request_rps": figure("requests_per_second"),
        "output_tps": figure("output_tokens_per_second"),
        "input_tps": figure("prompt_tokens_per_second"),
        "mean_in_flight": figure("request_concurrency"),
        "input_tokens_mean": figure("prompt_token_count"),
        "output_tokens_mean": figure("output_token_count"),
    }


def _requests(path: Path, where: str, benchmark: dict[str, Any], level: Level) -> None:
    """Take the requests where they are all there; a sample must at least lie within what the statistics say."""
    found, columns = guidellm_requests.Requests(path, where, benchmark), level.summary or {}
    if not found.count:
        return
    problems = found.contradictions(columns)
    is_whole = found.count == columns["requests"] + found.incomplete
    if is_whole and found.has_times:
        level.records, level.summary = (lambda: found.records(level)), None
        if problems:
            level.rejected.append(
                Rejected(str(path), f"{where}.metrics", f"contradicts its requests: {'; '.join(problems)}", columns)
            )
            level.notes.append(
                f"the statistics are in quarantine: they contradict their requests ({'; '.join(problems)}); the requests count"
            )
        return
    if problems:
        raise ResultFileError(f"{path}: {where}: the statistics contradict their own requests: {'; '.join(problems)}")
    level.notes.append(
        "not every answered request has its times (start, first token), so none has a place in a window: the statistics count"
        if is_whole
        else f"{found.count} of {columns['requests']} requests are in the file, a sample: the statistics of all of them count"
    )
