"""What vLLM's `bench serve` and SGLang's `bench_serving`, which began as one program, have in common.

Figures are `<statistic>_<metric>_ms`; the InferenceX flavour has seconds and no suffix. With details there are lists, an
entry a request. Only newer vLLM has `start_times`: with them, ttfts and itls, the requests become traces; without them
there is no window to put them in, and the summary counts, held against its own lists.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from schemas.errors import ResultFileError
from warehouse.importers.agreement import contradictions
from warehouse.importers.files import as_written_by, read_each
from warehouse.importers.levels import Level, Rejected, number
from warehouse.importers.samples import mean
from warehouse.importers.summary import latency
from warehouse.importers.traces import Record, Row

_STATISTICS = {
    "mean": "mean",
    "median": "p50",
    "p50": "p50",
    "p75": "p75",
    "p90": "p90",
    "p95": "p95",
    "p99": "p99",
    "p99.9": "p99_9",
    "max": "max",
}
_BATCH = 4096


def each(
    tool: str, paths: list[Path], level: Callable[[Path, dict[str, Any], str], Level], where: Callable[[int, int], str]
) -> Iterator[Level | ResultFileError]:
    """`level` of every result of `paths`, or why it has none; `where` names a result by its position among so many."""
    for path in paths:
        try:
            documents = read_each(path)
        except ResultFileError as error:
            yield error
            continue
        for position, document in enumerate(documents, start=1):
            if isinstance(document, ResultFileError):
                yield document
                continue
            try:
                here = where(position, len(documents))
                with as_written_by(tool, path, here):
                    found = level(path, document, here)
                yield found
            except ResultFileError as error:
                yield error


def columns_of(path: Path, document: dict[str, Any], metrics: dict[str, tuple[str, ...]]) -> tuple[dict[str, Any], str]:
    """Columns of the summary, and how its latencies were read. `metrics` are ours for each of theirs."""
    columns: dict[str, Any] = {}
    units = set()
    for theirs, ours in metrics.items():
        for prefix, statistic in _STATISTICS.items():
            for suffix, factor, unit in (("_ms", 1.0, "read as ms"), ("", 1000.0, "read as s: their keys have no _ms")):
                value = number(path, "result", f"{prefix}_{theirs}{suffix}", document.get(f"{prefix}_{theirs}{suffix}"))
                if value:  # 0 is what they write for no sample at all
                    latency(columns, ours, statistic, value * factor)
                    units.add(unit)
                    break
    figure: Callable[[str], float | None] = lambda name: number(path, "result", name, document.get(name))  # noqa: E731
    completed, duration, failed = figure("completed"), figure("duration"), figure("failed")
    total_in, total_out = figure("total_input_tokens"), figure("total_output_tokens")
    prompts = figure("num_prompts")
    if failed is None and prompts is not None and completed is not None:
        failed = max(0.0, prompts - completed)
    if failed is None:  # SGLang tells of failures in the list of errors alone
        failed = float(sum(_failures(document)))
    gaps = [g for g in document.get("itls") or [] if isinstance(g, list)]
    columns |= {
        "duration_s": duration,
        "completed_requests": None if completed is None else round(completed),
        "failed_requests": round(failed or 0),
        "requests": None if completed is None else round(completed + (failed or 0)),
        "token_gaps": sum(map(len, gaps)) or None,
        "request_rps": figure("request_throughput"),
        "output_tps": figure("output_throughput"),
        "input_tps": figure("input_throughput"),
        "mean_in_flight": figure("concurrency"),
        "input_tokens_mean": total_in / completed if total_in is not None and completed else None,
        "output_tokens_mean": total_out / completed if total_out is not None and completed else None,
    }
    both = figure("total_token_throughput") or figure("total_throughput")
    if columns["input_tps"] is None and both is not None and columns["output_tps"] is not None:
        columns["input_tps"] = both - columns["output_tps"]
    return columns, ", ".join(sorted(units)) or "no latency in it"


def lists_disagree(document: dict[str, Any], columns: dict[str, Any]) -> list[str]:
    """What the lists of the requests say other than the summary."""
    ttfts = document.get("ttfts")
    if not isinstance(ttfts, list) or not ttfts:
        return []
    failed = _failures(document) or [False] * len(ttfts)
    kept = [value for value, is_failed in zip(ttfts, failed, strict=True) if not is_failed]
    outputs = document.get("output_lens")
    tokens = sum(outputs) / len(kept) if isinstance(outputs, list) and len(outputs) == len(ttfts) and kept else None
    return contradictions(
        {
            "completed count": (columns["completed_requests"], len(kept)),
            "mean ttft ms": (columns.get("ttft_mean_ms"), 1000 * mean(kept) if kept else None),
            "mean output tokens": (columns["output_tokens_mean"], tokens),
        }
    )


def _failures(document: dict[str, Any]) -> list[bool]:
    """Which requests failed; empty where there is no list of errors with an entry for each of them."""
    errors, ttfts = document.get("errors"), document.get("ttfts")
    listed = isinstance(errors, list) and isinstance(ttfts, list) and len(errors) == len(ttfts)
    return [bool(error) for error in errors] if listed else []  # type: ignore[union-attr]


def has_starts(document: dict[str, Any]) -> bool:
    """Whether the lists say when each request was sent."""
    starts, ttfts = document.get("start_times"), document.get("ttfts")
    return (
        isinstance(starts, list)
        and isinstance(ttfts, list)
        and len(starts) == len(ttfts) > 0
        and max(starts) > min(starts)
    )


def records_of(document: dict[str, Any], began_at: datetime, level: Level) -> Iterator[list[Row]]:
    """The lists as records; starts are seconds of some monotonic clock, of which the first is `began_at`."""
    starts, ttfts, itls = document["start_times"], document["ttfts"], document.get("itls")
    count = len(starts)
    lists = {name: _as_long(document.get(name), count) for name in ("errors", "input_lens", "output_lens")}
    gaps = itls if isinstance(itls, list) and len(itls) == count else [None] * count
    began_ns, first = int((began_at - datetime(1970, 1, 1)).total_seconds() * 1e9), min(starts)
    batch: list[Row] = []
    for index in range(count):
        values = (starts[index], ttfts[index], gaps[index])
        if not isinstance(values[0], int | float) or not isinstance(values[1], int | float):
            level.rejected.append(
                Rejected(
                    str(level.source),
                    f"request {index}",
                    "start or TTFT is no number",
                    {"start": values[0], "ttft": values[1]},
                )
            )
            continue
        sent = began_ns + round((values[0] - first) * 1e9)
        batch.append(_record(index, sent, values[1], values[2], {name: found[index] for name, found in lists.items()}))
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _as_long(values: Any, count: int) -> list[Any]:
    return values if isinstance(values, list) and len(values) == count else [None] * count


def _record(index: int, sent: int, ttft_s: float, itl_s: Any, rest: dict[str, Any]) -> Record:
    gaps = [gap * 1000 for gap in itl_s] if isinstance(itl_s, list) else None
    error, tokens_in, tokens_out = rest["errors"], rest["input_lens"], rest["output_lens"]
    first = sent + round(ttft_s * 1e9) if ttft_s > 0 else None
    last = first + round(sum(gaps) * 1e6) if first is not None and gaps is not None else None
    if last is None and first is not None and tokens_out == 1:
        last, gaps = first, []
    ok = not error
    return Record(
        request_index=index, scheduled_ns=None, sent_ns=sent, headers_ns=None, first_token_ns=first, first_answer_ns=None,
        last_token_ns=last, closed_ns=last or first or sent, phase="measure", outcome="ok" if ok else "malformed",
        http_status=None, error=None if ok else str(error)[:500], input_tokens=tokens_in, cached_input_tokens=None,
        output_tokens=tokens_out if ok else None, reasoning_tokens=None,
        input_token_source=None if tokens_in is None else "tool",
        output_token_source="tool" if ok and tokens_out is not None else None,
        gaps_ms=gaps if first is not None else None, response_bytes=None,
    )  # fmt: skip
