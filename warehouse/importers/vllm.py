"""vLLM `bench serve --save-result`: one JSON a level; appended results are one a line. InferenceX's flavour has seconds."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.errors import ResultFileError
from warehouse.importers import serving_bench
from warehouse.importers.levels import Level, Rejected, Said, closed_or_open
from warehouse.importers.recognise import expect
from warehouse.importers.summary import check

TOOL = "vllm"
SUFFIXES = (".json", ".jsonl")
_METRICS = {
    "ttft": ("ttft",),
    "tpot": ("tpot", "tpot_osl_minus_1"),
    "itl": ("chunk_gap",),
    "e2el": ("e2e",),
}


def read(paths: list[Path], said: Said) -> Iterator[Level | ResultFileError]:
    """Every result of `paths`."""
    yield from serving_bench.each(
        TOOL,
        paths,
        lambda path, document, where: _level(path, document, said, where),
        lambda position, of: f"result {position}" if of > 1 else "result",
    )


def _level(path: Path, document: dict[str, Any], said: Said, where: str) -> Level:
    expect(path, document, TOOL, where=where)
    columns, unit = serving_bench.columns_of(path, document, _METRICS)
    if (ramp := document.get("ramp_up_strategy")) and not (said.request_rate or said.concurrency):
        raise ResultFileError(
            f"{path}: {where}: ramp_up_strategy: found {ramp!r}: a ramp from {document.get('ramp_up_start_rps')} to "
            f"{document.get('ramp_up_end_rps')} requests/s is no load level; give --request-rate R if it shall count as one"
        )
    prompts = document.get("num_prompts") or document.get("completed")
    shape = closed_or_open(
        path, said, document.get("max_concurrency"), document.get("request_rate"), where=where,
        burst=prompts if document.get("request_rate") == "inf" else None,
    )  # fmt: skip
    ended_at = _ended(path, document.get("date"), said)
    began_at = ended_at - timedelta(seconds=columns["duration_s"] or 0) if ended_at else None
    level = Level(
        TOOL,
        path,
        **shape,
        tool_version=document.get("vllm_version"),
        model=document.get("model_id"),
        api="chat" if "chat" in str(document.get("backend") or document.get("endpoint_type") or "") else None,
        started_at=began_at,
        test_id=str(document.get("date") or ""),
        input_tokens=columns["input_tokens_mean"],
        output_tokens=columns["output_tokens_mean"],
        summary=columns,
    )
    check(path, where, level, unit=unit)
    disagreement = serving_bench.lists_disagree(document, columns)
    if serving_bench.has_starts(document) and began_at is not None:
        began: datetime = began_at
        level.records = lambda: serving_bench.records_of(document, began, level)
        level.summary = None
        if disagreement:
            level.rejected.append(
                Rejected(str(path), where, f"contradicts its own lists: {'; '.join(disagreement)}", columns)
            )
            level.notes.append(
                f"the summary is in quarantine: it contradicts its own lists ({'; '.join(disagreement)}); the lists count"
            )
    elif disagreement:
        raise ResultFileError(
            f"{path}: {where}: the summary contradicts its own lists: {'; '.join(disagreement)}; nobody can tell which is right"
        )
    elif document.get("ttfts"):
        level.notes.append(
            "its lists have no start_times, which newer vLLM writes: without them there is no steady-state window, and its summary counts"
        )
    return level


def _ended(path: Path, value: Any, said: Said) -> datetime | None:
    """The clock of the client's machine when the result was written, without an offset: taken as UTC."""
    for shape in ("%Y%m%d-%H%M%S", "%Y-%m-%d %H:%M:%S"):
        try:
            return datetime.strptime(value, shape)
        except (TypeError, ValueError):
            continue
    if value is not None and said.night is None:
        raise ResultFileError(f"{path}: date: found {value!r}, expected YYYYMMDD-HHMMSS: give --night DATE")
    return None
