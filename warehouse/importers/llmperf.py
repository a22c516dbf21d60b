"""LLMPerf: `…_individual_responses.json`, a record a request without any time of day, and `…_summary.json` beside it.

Without timestamps there is no steady-state window: the records are summed up here, failed ones left out of latencies. A
rate needs the length of the test: the summary has it, or the user says it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas.errors import ResultFileError
from warehouse.importers.agreement import contradictions
from warehouse.importers.files import as_written_by, beside, parse, read_text, unpacked_name
from warehouse.importers.levels import Level, Rejected, Said, closed_or_open, number
from warehouse.importers.recognise import expect
from warehouse.importers.samples import mean, statistics_of
from warehouse.importers.summary import check, latency

TOOL = "llmperf"
SUFFIXES = (".json",)
_RECORDS, _SUMMARY = "_individual_responses.json", "_summary.json"


def read(paths: list[Path], said: Said) -> Iterator[Level | ResultFileError]:
    """Records, each with the summary beside it; a summary alone has nothing that its records have not."""
    for path in paths:
        if unpacked_name(path).endswith(_SUMMARY) and beside(path, _SUMMARY, _RECORDS) in paths:
            continue
        try:
            with as_written_by(TOOL, path):
                found = _level(path, said)
            yield found
        except ResultFileError as error:
            yield error


def _level(path: Path, said: Said) -> Level:
    try:
        documents = parse(read_text(path))
    except ValueError as error:
        raise ResultFileError(f"{path}: is not JSON, or cut short ({error})") from None
    if isinstance(documents, dict) and any(key.startswith("results_") for key in documents):
        raise ResultFileError(
            f"{path}: a summary of LLMPerf: give its {_RECORDS.removeprefix('_')}, which has the requests"
        )
    if not isinstance(documents, list) or not documents:
        expect(path, documents, TOOL)
        raise ResultFileError(f"{path}: found no records, expected a list of them: the individual responses of LLMPerf")
    rejected: list[Rejected] = []
    ok, failed = _sorted(path, documents, rejected)
    summary = _summary(path)
    shape = closed_or_open(path, said, summary.get("num_concurrent_requests"), None, where="records")
    minute = summary.get("results_num_completed_requests_per_min")
    duration = said.duration_s or (len(ok) * 60 / minute if minute else None)
    columns = _columns(ok, len(failed), duration)
    timestamp = summary.get("timestamp")
    level = Level(
        TOOL,
        path,
        **shape,
        model=summary.get("model"),
        started_at=datetime.fromtimestamp(timestamp - (duration or 0), UTC).replace(tzinfo=None) if timestamp else None,
        test_id=str(timestamp or ""),
        input_tokens=summary.get("mean_input_tokens") or columns["input_tokens_mean"],
        output_tokens=summary.get("mean_output_tokens") or columns["output_tokens_mean"],
        summary=columns,
        rejected=rejected,
    )
    if duration is None:
        level.notes.append(
            "the records do not say how long the test took: no rates and no costs without --duration S, or its _summary.json"
        )
    check(path, "records", level, unit="its names end in _s: read as s")
    _hold_against(path, level, summary)
    _note_throughput(level, ok)
    _check_gaps(path, ok)
    return level


def _sorted(path: Path, documents: list[Any], rejected: list[Rejected]) -> tuple[list[dict[str, Any]], list[Any]]:
    """Completed and failed records; what is no record is rejected."""
    ok, failed = [], []
    for position, record in enumerate(documents):
        try:
            expect(path, record, TOOL, where=f"record {position}")
            if record.get("error_code") is not None:
                failed.append(record)
                continue
            figures = {name: number(path, f"record {position}", name, record.get(name)) for name in (*_NEEDED, *_ALSO)}
            missing = [name for name in _NEEDED if figures[name] is None]
            if missing:
                raise ResultFileError(f"{path}: record {position}: {missing[0]}: missing")
            if not 0 < figures["ttft_s"] <= figures["end_to_end_latency_s"]:  # type: ignore[operator]
                raise ResultFileError(
                    f"{path}: record {position}: ttft_s: found {figures['ttft_s']:g}, expected more than 0 and at most "
                    f"end_to_end_latency_s, {figures['end_to_end_latency_s']:g}"
                )
            ok.append(record | figures)
        except ResultFileError as error:
            rejected.append(Rejected(str(path), f"record {position}", str(error), record))
    if not ok and not failed:
        raise ResultFileError(rejected[0].reason)
    if len(rejected) > len(documents) / 2:
        raise ResultFileError(
            f"{len(rejected)} of {len(documents)} records cannot be true; the first: {rejected[0].reason}"
        )
    return ok, failed


_NEEDED = ("ttft_s", "end_to_end_latency_s", "number_output_tokens", "number_input_tokens")
_ALSO = ("request_output_throughput_token_per_s", "inter_token_latency_s")


def _columns(ok: list[dict[str, Any]], failed: int, duration: float | None) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    samples: dict[tuple[str, ...], list[float]] = {
        ("ttft",): [1000 * r["ttft_s"] for r in ok],
        ("e2e_to_close",): [1000 * r["end_to_end_latency_s"] for r in ok],
        ("tpot", "tpot_osl_minus_1"): [
            1000 * (r["end_to_end_latency_s"] - r["ttft_s"]) / (r["number_output_tokens"] - 1)
            for r in ok
            if r["number_output_tokens"] > 1
        ],
    }
    for metrics, values in samples.items():
        for statistic, value in statistics_of(values).items() if values else ():
            latency(columns, metrics, statistic, value)
    tokens_in, tokens_out = (sum(r[f"number_{way}_tokens"] for r in ok) for way in ("input", "output"))
    return columns | {
        "duration_s": duration,
        "completed_requests": len(ok),
        "failed_requests": failed,
        "requests": len(ok) + failed,
        "request_rps": len(ok) / duration if duration else None,
        "output_tps": tokens_out / duration if duration else None,
        "input_tps": tokens_in / duration if duration else None,
        "input_tokens_mean": tokens_in / len(ok) if ok else None,
        "output_tokens_mean": tokens_out / len(ok) if ok else None,
    }


def _summary(path: Path) -> dict[str, Any]:
    """The summary beside the records; empty where there is none."""
    file = beside(path, _RECORDS, _SUMMARY) if unpacked_name(path).endswith(_RECORDS) else None
    if file is None:
        return {}
    try:
        found = parse(read_text(file))
    except ValueError as error:
        raise ResultFileError(
            f"{file}: is not JSON, or cut short ({error}). Its records can be imported without it: move {file.name} away"
        ) from None
    return found if isinstance(found, dict) else {}


def _hold_against(path: Path, level: Level, summary: dict[str, Any]) -> None:
    columns = level.summary or {}
    ms = {name: summary.get(f"results_{name}_s_mean") for name in ("ttft", "end_to_end_latency")}
    found = contradictions(
        {
            "completed count": (summary.get("results_num_completed_requests"), columns["completed_requests"]),
            "mean ttft ms": (None if ms["ttft"] is None else 1000 * ms["ttft"], columns.get("ttft_mean_ms")),
            "mean latency ms": (
                None if ms["end_to_end_latency"] is None else 1000 * ms["end_to_end_latency"], columns.get("e2e_to_close_mean_ms"),
            ),
        }
    )  # fmt: skip
    if found:
        level.rejected.append(
            Rejected(str(path), "summary", f"the summary contradicts the records: {'; '.join(found)}", summary)
        )
        level.notes.append(
            f"the summary beside it is in quarantine: it contradicts its records ({'; '.join(found)}); the records count"
        )


def _check_gaps(path: Path, ok: list[dict[str, Any]]) -> None:
    """Its time between tokens is of the whole latency: another factor is another unit. Raises ResultFileError."""
    ratios = [
        r["inter_token_latency_s"] * r["number_output_tokens"] / r["end_to_end_latency_s"]
        for r in ok
        if r["inter_token_latency_s"] and r["number_output_tokens"]
    ]
    if ratios and not 0.1 <= mean(ratios) <= 10:
        raise ResultFileError(
            f"{path}: records: inter_token_latency_s x number_output_tokens is {mean(ratios):.4g} times end_to_end_latency_s: one of them is "
            "in another unit than its name says"
        )


def _note_throughput(level: Level, ok: list[dict[str, Any]]) -> None:
    """Its own throughput of a request is of another token count: told, and not used; another factor is another unit."""
    ratios = [
        r["request_output_throughput_token_per_s"] * r["end_to_end_latency_s"] / r["number_output_tokens"]
        for r in ok
        if r.get("request_output_throughput_token_per_s") and r["number_output_tokens"]
    ]
    if not ratios:
        return
    if not 0.25 <= mean(ratios) <= 4:
        raise ResultFileError(
            f"{level.source}: records: request_output_throughput_token_per_s x end_to_end_latency_s is {mean(ratios):.4g} times "
            "number_output_tokens: latency or throughput is in another unit than its name says"
        )
    worst = max(ratios, key=lambda ratio: abs(ratio - 1))
    if abs(worst - 1) > 0.02:
        level.notes.append(
            f"its request_output_throughput_token_per_s differs from tokens / latency by up to {abs(worst - 1):.0%}, and is not used"
        )
