"""GenAI-Perf: its summary `profile_export_genai_perf.json`, and perf_analyzer's `profile_export.json` with every response.

The responses have times in nanoseconds of the wall clock and, through OpenAI's API, their event streams: which of them
carried text, and the usage, are read from there. Other APIs say text alone: their token counts stay unknown.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from schemas.errors import ResultFileError
from warehouse.importers import nvidia_summary
from warehouse.importers.agreement import contradictions
from warehouse.importers.files import as_written_by, beside, parse, read_documents, unpacked_name
from warehouse.importers.levels import Level, Rejected, Said, closed_or_open
from warehouse.importers.recognise import expect
from warehouse.importers.traces import Record, Row

TOOL = "genai-perf"
SUFFIXES = (".json",)
_SUMMARY = "_genai_perf.json"
_BATCH = 4096
_SINCE_NS = 1_500_000_000_000_000_000


def read(paths: list[Path], said: Said) -> Iterator[Level | ResultFileError]:
    """Summaries, and the experiments of profile exports; of a test that has both, the requests count."""
    profiles = {beside(path, ".json", _SUMMARY) for path in paths if not _is_summary(path)}
    for path in paths:
        try:
            if not (_is_summary(path) and path in profiles):
                with as_written_by(TOOL, path):
                    found = _of_file(path, said)
                yield from found
        except ResultFileError as error:
            yield error


def _of_file(path: Path, said: Said) -> list[Level | ResultFileError]:
    """Levels of a summary, or of a profile export."""
    if _is_summary(path):
        return [nvidia_summary.level(path, TOOL, said)]
    found: list[Level | ResultFileError] = []
    for document in read_documents(path):
        expect(path, document, TOOL)
        if "experiments" in document:
            found += _levels(path, document, said)
        else:
            found.append(nvidia_summary.level(path, TOOL, said))
    return found


def _levels(path: Path, document: dict[str, Any], said: Said) -> Iterator[Level | ResultFileError]:
    """One of each experiment; the summary beside them is of the only one."""
    experiments = document["experiments"]
    if not isinstance(experiments, list) or not experiments:
        raise ResultFileError(f"{path}: experiments: found none: was the benchmark interrupted?")
    file = beside(path, ".json", _SUMMARY) if len(experiments) == 1 else None
    summary = nvidia_summary.of_records(file, TOOL, said) if file else None
    for position, experiment in enumerate(experiments):
        where = f"experiments[{position}]"
        try:
            if not isinstance(experiment, dict):
                raise ResultFileError(f"{path}: {where}: found a JSON {type(experiment).__name__}, expected an object")
            yield _level(path, document, experiment, said, where, summary)
        except ResultFileError as error:
            yield error


def _is_summary(path: Path) -> bool:
    return unpacked_name(path).endswith(_SUMMARY)


def _level(
    path: Path, document: dict[str, Any], experiment: dict[str, Any], said: Said, where: str, summary: Level | None
) -> Level:
    what, requests = experiment.get("experiment") or {}, experiment.get("requests") or []
    if not requests:
        raise ResultFileError(f"{path}: {where}: requests: found none: was the benchmark interrupted?")
    mode, value = what.get("mode"), what.get("value")
    shape = closed_or_open(
        path, said, value if mode == "concurrency" else None, value if mode == "request_rate" else None, where=where
    )
    stamps = [r["timestamp"] for r in requests if isinstance(r, dict) and isinstance(r.get("timestamp"), int)]
    if not stamps:
        raise ResultFileError(
            f"{path}: {where}: no request has a timestamp: without them there is no window to measure in"
        )
    if min(stamps) < _SINCE_NS:
        raise ResultFileError(
            f"{path}: {where}: timestamp: {min(stamps)} is in {datetime.fromtimestamp(min(stamps) / 1e9, UTC).year} as nanoseconds since 1970: "
            "is it in another unit?"
        )
    level = Level(
        TOOL,
        path,
        **shape,
        model=_model(requests[0]),
        api=document.get("service_kind") if document.get("service_kind") in ("chat", "completions") else None,
        started_at=datetime.fromtimestamp(min(stamps) / 1e9, UTC).replace(tzinfo=None, microsecond=0),
        test_id=str(min(stamps)),
    )
    try:
        first = [record for record in _batch(level, where, requests[:200]) if record.outcome == "ok"]
    except ResultFileError as error:
        raise ResultFileError(f"{path}: {where}: {error}") from None
    level.rejected.clear()
    for name in ("input_tokens", "output_tokens"):
        counts = [count for record in first if (count := getattr(record, name)) is not None]
        measured = sum(counts) / len(counts) if counts else None
        setattr(level, name, measured if summary is None else getattr(summary, name) or measured)
    answered = _Answered()
    level.records = lambda: (
        answered.seen(_batch(level, where, requests[i : i + _BATCH], i)) for i in range(0, len(requests), _BATCH)
    )
    if summary is not None:
        level.tool_version, level.model = summary.tool_version, level.model or summary.model
        level.target_input_tokens, level.target_output_tokens = (
            summary.target_input_tokens,
            summary.target_output_tokens,
        )
        level.finish = lambda: answered.hold_against(level, summary)
    return level


class _Answered:
    """What the answered requests add up to, to hold the summary of the same test against."""

    def __init__(self) -> None:
        self.requests = 0
        self.ttft_ms = self.latency_ms = self.to_close_ms = 0.0

    def seen(self, records: list[Record]) -> list[Row]:
        """Add `records`, which are returned."""
        for r in records:
            if (
                r.outcome == "ok"
                and r.sent_ns is not None
                and r.first_token_ns is not None
                and r.last_token_ns is not None
            ):
                self.requests += 1
                self.ttft_ms += (r.first_token_ns - r.sent_ns) / 1e6
                self.latency_ms += (r.last_token_ns - r.sent_ns) / 1e6
                self.to_close_ms += (r.closed_ns - r.sent_ns) / 1e6
        return [*records]

    def hold_against(self, level: Level, summary: Level) -> None:
        """A summary that contradicts its requests is rejected with both values, and they count."""
        said, n = summary.summary or {}, self.requests
        if not n:
            return
        latency = said.get("e2e_mean_ms")
        # versions differ on which response without text is the last one
        ended = min(max(latency or 0.0, self.latency_ms / n), self.to_close_ms / n)
        found = contradictions(
            {
                "request_count": (said.get("completed_requests"), n),
                "time_to_first_token avg": (said.get("ttft_mean_ms"), self.ttft_ms / n),
                "request_latency avg": (latency, ended),
            }
        )
        if found:
            why = "; ".join(found)
            level.rejected.append(
                Rejected(
                    str(summary.source), "summary", f"contradicts the requests of {level.source.name}: {why}", said
                )
            )
            level.notes.append(
                f"{summary.source.name} is in quarantine: it contradicts its requests ({why}); the requests count"
            )


def _model(request: dict[str, Any]) -> str | None:
    inputs = request.get("request_inputs") or {}
    try:
        found = parse(str(inputs.get("payload") or "{}").encode()).get("model")
    except ValueError:
        return None
    return found if isinstance(found, str) else None


def _batch(level: Level, where: str, requests: list[Any], start: int = 0) -> list[Record]:
    found = []
    for index, request in enumerate(requests, start=start):
        try:
            found.append(_record(index, request))
        except (KeyError, TypeError, AttributeError) as error:
            reason = f"{type(error).__name__} {error}: expected timestamp and response_timestamps in nanoseconds"
            level.rejected.append(Rejected(str(level.source), f"{where}.requests[{index}]", reason, None))
    return found


def _record(index: int, request: dict[str, Any]) -> Record:
    sent, stamps = request["timestamp"] + 0, [stamp + 0 for stamp in request["response_timestamps"]]
    chunks, usage, finish = _read(request.get("response_outputs"), stamps)
    first, last = (chunks[0], chunks[-1]) if chunks else (None, None)
    tokens_in, tokens_out = usage.get("prompt_tokens"), usage.get("completion_tokens")
    ok = first is not None and not request.get("error")
    return Record(
        request_index=index, scheduled_ns=None, sent_ns=sent, headers_ns=None, first_token_ns=first, first_answer_ns=None, last_token_ns=last,
        closed_ns=max([sent, *stamps]), phase="measure", outcome="ok" if ok else "empty" if not request.get("error") else "malformed",
        http_status=None, error=str(request["error"])[:500] if request.get("error") else None, input_tokens=tokens_in,
        cached_input_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"), output_tokens=tokens_out,
        reasoning_tokens=(usage.get("completion_tokens_details") or {}).get("reasoning_tokens"),
        input_token_source=None if tokens_in is None else "usage", output_token_source=None if tokens_out is None else "usage",
        gaps_ms=[(b - a) / 1e6 for a, b in pairwise(chunks)] if chunks else None, response_bytes=None,
        finish_reason=finish,
    )  # fmt: skip


def _read(outputs: Any, stamps: list[int]) -> tuple[list[int], dict[str, Any], str | None]:
    """When text came, the usage, and the finish reason; without the responses each of them counts as text."""
    if not isinstance(outputs, list) or len(outputs) != len(stamps):
        return stamps, {}, None
    chunks: list[int] = []
    usage: dict[str, Any] = {}
    finish = None
    for stamp, output in zip(stamps, outputs, strict=True):
        events, text = _events(output)
        for event in events:
            usage = event.get("usage") or usage
            for choice in event.get("choices") or []:
                if choice.get("message"):
                    raise ResultFileError(
                        "the answers were not streamed, and nothing says when tokens came: import the summary …_genai_perf.json, or measure with --streaming"
                    )
                finish = choice.get("finish_reason") or finish
                delta = choice.get("delta") or {}
                text = text or bool(
                    choice.get("text")
                    or delta.get("content")
                    or delta.get("reasoning_content")
                    or delta.get("reasoning")
                )
        if text:
            chunks.append(stamp)
    return chunks, usage, finish


def _events(output: Any) -> tuple[list[dict[str, Any]], bool]:
    """The events of one response, or whether it is plain text of another API."""
    if not isinstance(output, dict):
        return [], bool(output)
    response = output.get("response")
    if response is None:
        return [], bool(str(output.get("text_output") or "").strip())
    events = []
    for line in str(response).split("\n"):
        body = line.removeprefix("data:").strip()
        if body and body != "[DONE]":
            try:
                event = parse(body.encode())
            except ValueError:
                continue
            if isinstance(event, dict):
                events.append(event)
    return events, False
