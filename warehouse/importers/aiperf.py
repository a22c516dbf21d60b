"""AIPerf: `profile_export.jsonl`, a record a request, and its summary `profile_export_aiperf.json`.

Values are `{"value": …, "unit": …}`, times of the wall clock are nanoseconds. The records do not name model and load:
the summary beside them does, else the user, else the records themselves (the most requests in flight at once).
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from schemas.errors import ResultFileError
from warehouse.importers import nvidia_summary
from warehouse.importers.agreement import contradictions
from warehouse.importers.files import BOM, opened, parse
from warehouse.importers.levels import Level, Rejected, Said, closed_or_open
from warehouse.importers.traces import Record
from warehouse.importers.units import TIME_MS, scale

TOOL = "aiperf"
SUFFIXES = ("profile_export.jsonl", "_aiperf.json", "profile_export.jsonl.gz")
_BATCH = 4096
_SAMPLE = 1000
_MOST_REJECTED = 100_000
_STARTS_ENDS = re.compile(rb'"request_(start|end)_ns"\s*:\s*(\d+)')


def read(paths: list[Path], said: Said) -> Iterator[Level | ResultFileError]:
    """Levels of `paths`: records with the summary beside them, summaries without records alone."""
    records = [path for path in paths if _is_lines(path)]
    summaries = {path.absolute(): path for path in paths if not _is_lines(path)}
    for path in records:
        beside = _summary_of(path, summaries)
        if beside is not None:
            summaries.pop(beside.absolute(), None)
        try:
            yield _level(path, beside, said)
        except ResultFileError as error:
            yield error
    for path in summaries.values():
        try:
            yield nvidia_summary.level(path, TOOL, said)
        except ResultFileError as error:
            yield error


def _is_lines(path: Path) -> bool:
    return ".jsonl" in path.name


def _summary_of(path: Path, given: dict[Path, Path]) -> Path | None:
    """The summary beside records: `…_aiperf.json` in the same folder, of the same name first."""
    stem = path.name.partition(".jsonl")[0]
    named = path.with_name(f"{stem}_aiperf.json")
    if named.exists():
        return named
    same = [p for p in given if p.parent == path.absolute().parent]
    return same[0] if len(same) == 1 else None


def _level(path: Path, beside: Path | None, said: Said) -> Level:
    summary = nvidia_summary.level(beside, TOOL, said) if beside else None
    first = _first_records(path)
    began = min(record["metadata"]["request_start_ns"] for record in first[:1])
    if summary is not None:
        shape = {name: getattr(summary, name) for name in ("load_kind", "concurrency", "request_rate")}
    elif said.concurrency or said.request_rate:
        shape = closed_or_open(path, said, None, None, where="load")
    else:
        shape = {"load_kind": "closed", "concurrency": _most_in_flight(path), "request_rate": None}
    level = Level(
        TOOL,
        path,
        **shape,
        started_at=datetime.fromtimestamp(began / 1e9, UTC).replace(tzinfo=None, microsecond=0),
        test_id=str(first[0]["metadata"].get("x_request_id") or ""),
    )
    if summary is None:
        if not said.concurrency and not said.request_rate:
            level.notes.append(
                f"concurrency {level.concurrency} is the most requests in flight at once: the records do not say it "
                "(--concurrency N, or the _aiperf.json beside them, would)"
            )
        level.input_tokens, level.output_tokens = (
            _mean(first, "input_sequence_length"),
            _mean(first, "output_sequence_length"),
        )
    else:
        for name in (
            "tool_version", "model", "url", "api", "input_tokens", "output_tokens", "target_input_tokens", "target_output_tokens",
        ):  # fmt: skip
            setattr(level, name, getattr(summary, name))
    reader = _Reader(path, level)
    level.records = reader.batches
    level.finish = lambda: _hold_against(level, reader, summary)
    return level


def _first_records(path: Path) -> list[dict[str, Any]]:
    """The first records that can be read, to tell what the file is."""
    with opened(path) as file:
        lines = [line for line in islice(file, _SAMPLE) if line.strip()]
    found, problem = [], ""
    for number, line in enumerate(lines, start=1):
        try:
            record = parse(line.removeprefix(BOM))
            began = record["metadata"]["request_start_ns"]
            if not isinstance(began, int):
                problem = problem or f"line {number}: metadata.request_start_ns: found {began!r}, expected nanoseconds"
            elif began < 1_500_000_000_000_000_000:
                problem = problem or (
                    f"line {number}: metadata.request_start_ns: {began} is in {datetime.fromtimestamp(began / 1e9, UTC).year} as nanoseconds "
                    "since 1970: is it in another unit?"
                )
            else:
                found.append(record)
        except (ValueError, KeyError, TypeError) as error:
            problem = problem or f"line {number}: {_wrong(error)}"
    if not found:
        raise ResultFileError(
            f"{path}: no AIPerf record in it ({problem or 'only empty lines'}): expected the profile_export.jsonl of aiperf "
            "profile, each line {\"metadata\": {\"request_start_ns\": …}, \"metrics\": {…}}"
        )
    return found


def _wrong(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"no field {error}"
    if isinstance(error, ValueError):
        return f"not JSON ({error})"
    return "not an object with metadata and metrics"


def _mean(records: list[dict[str, Any]], name: str) -> float | None:
    values = [v for r in records if (v := (r.get("metrics") or {}).get(name, {}).get("value")) is not None]
    return sum(values) / len(values) if values else None


def _most_in_flight(path: Path) -> int:
    """The most requests between their start and end at once, over the whole file."""
    events: list[tuple[int, int]] = []
    with opened(path) as file:
        for line in file:
            found = {name: int(digits) for name, digits in _STARTS_ENDS.findall(line)}
            if len(found) == 2:
                events += [(found[b"start"], 1), (found[b"end"], -1)]
    now = most = 0
    for _, change in sorted(events):
        now += change
        most = max(most, now)
    return max(most, 1)


class _Reader:
    """Reads records a batch at a time and keeps what the summary is held against."""

    def __init__(self, path: Path, level: Level) -> None:
        self.path, self.level = path, level
        self.completed = 0
        self.sums = {"ttft": 0.0, "e2e": 0.0, "output_tokens": 0.0, "input_tokens": 0.0}

    def batches(self) -> Iterator[list[Record]]:
        """Records in the order of the file; lines that are none are rejected, each with its reason."""
        seen: dict[str, int] = {}
        batch: list[Record] = []
        loads, rejected = orjson.loads, self.level.rejected
        with opened(self.path) as file:
            for number, line in enumerate(file, start=1):
                try:
                    try:
                        document = loads(line)
                    except orjson.JSONDecodeError:
                        if not line.strip():
                            continue
                        document = parse(line.removeprefix(BOM))
                    metadata = document["metadata"]
                    name = metadata.get("x_request_id")
                    if name is not None and seen.setdefault(name, number) != number:
                        self._reject(number, f"request id {name} was on line {seen[name]} already", line, seen[name])
                        continue
                    batch.append(_record(number - 1, metadata, document.get("metrics") or {}, document.get("error")))
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    self._reject(number, _line_problem(error), line)
                    if len(rejected) > _MOST_REJECTED:
                        raise ResultFileError(f"{self.path}: over {_MOST_REJECTED:,} lines are no AIPerf records") from None
                if len(batch) >= _BATCH:
                    yield self._counted(batch)
                    batch = []
        if batch:
            yield self._counted(batch)

    def _reject(self, number: int, reason: str, line: bytes, first: int | None = None) -> None:
        content: dict[str, Any] = {"line": line[:20_000].decode(errors="replace").rstrip("\n")}
        if first is not None:
            content["first"] = self._line(first)
        self.level.rejected.append(Rejected(str(self.path), f"line {number}", reason, content))

    def _line(self, number: int) -> str:
        with opened(self.path) as file:
            return next(islice(file, number - 1, None))[:20_000].decode(errors="replace").rstrip("\n")

    def _counted(self, batch: list[Record]) -> list[Record]:
        ok = [record for record in batch if record.outcome == "ok" and record.phase == "measure"]
        self.completed += len(ok)
        measured = [r for r in ok if r.first_token_ns and r.last_token_ns and r.sent_ns]
        span, streamed, gaps, said = 0, 0.0, 0.0, 0
        for r in measured:
            self.sums["ttft"] += (r.first_token_ns - r.sent_ns) / 1e6  # type: ignore[operator]
            self.sums["e2e"] += (r.last_token_ns - r.sent_ns) / 1e6  # type: ignore[operator]
            self.sums["output_tokens"] += r.output_tokens or 0
            self.sums["input_tokens"] += r.input_tokens or 0
            span += r.closed_ns - r.sent_ns  # type: ignore[operator]
            said += r.last_token_ns - r.sent_ns  # type: ignore[operator]
            if r.gaps_ms:
                streamed += (r.last_token_ns - r.first_token_ns) / 1e6  # type: ignore[operator]
                gaps += sum(r.gaps_ms)
        self._check_units(span, said, streamed, gaps)
        return batch

    def _check_units(self, span_ns: int, said_ns: int, streamed_ms: float, gaps_ms: float) -> None:
        """The nanoseconds of start and end, and the sum of the gaps, give a wrong unit away."""
        if span_ns and not 0.5 <= said_ns / span_ns <= 1.05:
            raise ResultFileError(
                f"{self.path}: request_latency: sums to {said_ns / 1e9:.6g} s by its unit, while request_start_ns to request_end_ns "
                f"sum to {span_ns / 1e9:.6g} s: one of them is in another unit than it says"
            )
        if streamed_ms and not 0.9 <= gaps_ms / streamed_ms <= 1.1:
            raise ResultFileError(
                f"{self.path}: inter_chunk_latency: sums to {gaps_ms:.6g} ms by its unit, while request_latency - time_to_first_token "
                f"sum to {streamed_ms:.6g} ms: one of them is in another unit than it says"
            )


def _line_problem(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"no field {error}: not a record of this file's tool, or of another version"
    if isinstance(error, ValueError):
        return f"{error}: not JSON, or cut short"
    return "not an object with metadata and metrics, or a field of another type"


def _value(metrics: dict[str, Any], name: str) -> Any:
    found = metrics.get(name)
    return None if found is None else found["value"]


def _ms(metrics: dict[str, Any], name: str) -> Any:
    found = metrics.get(name)
    if found is None:
        return None
    unit = found["unit"]
    return found["value"] if unit == "ms" else scale(found["value"], unit, TIME_MS, name)


def _record(index: int, metadata: dict[str, Any], metrics: dict[str, Any], error: dict[str, Any] | None) -> Record:
    sent = metadata["request_start_ns"]
    phase = "warmup" if metadata.get("benchmark_phase") == "warmup" else "measure"
    ended, credit, ack = metadata["request_end_ns"], metadata.get("credit_issued_ns"), metadata.get("request_ack_ns")
    scheduled = credit if credit is not None and credit <= sent else None
    if error is not None or metadata.get("was_cancelled"):
        outcome, status, why = _failure(error or {}, bool(metadata.get("was_cancelled")))
        tokens = _value(metrics, "error_isl")
        return Record(
            index, scheduled, sent, None, None, None, None, max(ended, sent), phase, outcome, status, why, tokens, None,
            None, None, "tool" if tokens is not None else None, None, None, None,
        )  # fmt: skip
    ttft, latency = _ms(metrics, "time_to_first_token"), _ms(metrics, "request_latency")
    first = last = answer = None
    if ttft is not None:
        first, last = sent + round(ttft * 1e6), sent + round((ttft if latency is None else latency) * 1e6)
        answered = _ms(metrics, "time_to_first_output_token")
        answer = None if answered is None else sent + round(answered * 1e6)
    usage_in, usage_out = _value(metrics, "usage_prompt_tokens"), _value(metrics, "usage_completion_tokens")
    tokens_in = _value(metrics, "input_sequence_length") if usage_in is None else usage_in
    tokens_out = _value(metrics, "output_sequence_length") if usage_out is None else usage_out
    reasoning = _value(metrics, "usage_reasoning_tokens")
    if reasoning is None:
        reasoning = _value(metrics, "reasoning_token_count")
    received = _value(metrics, "http_req_data_received")
    return Record(
        index,
        scheduled,
        sent,
        ack if ack is not None and first is not None and sent <= ack <= first else None,
        first,
        answer,
        last,
        max(ended, last or sent),
        phase,
        "ok",
        None,
        None,
        tokens_in,
        _value(metrics, "usage_prompt_cache_read_tokens"),
        tokens_out,
        reasoning,
        None if tokens_in is None else "tool" if usage_in is None else "usage",
        None if tokens_out is None else "tool" if usage_out is None else "usage",
        _ms(metrics, "inter_chunk_latency"),
        round(received * 1024) if received is not None and metrics["http_req_data_received"]["unit"] == "KB" else None,
    )


def _failure(error: dict[str, Any], was_cancelled: bool) -> tuple[str, int | None, str]:
    """Outcome, HTTP status and message of a failed request."""
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


def _hold_against(level: Level, reader: _Reader, summary: Level | None) -> None:
    """The summary of the same test must say what its records say; where it does not, it is rejected with both values."""
    if summary is None or summary.summary is None or not reader.completed:
        return
    said = summary.summary
    mean = {name: total / reader.completed for name, total in reader.sums.items()}
    found = contradictions(
        {
            "request_count": (said["completed_requests"], reader.completed),
            "time_to_first_token avg": (said.get("ttft_mean_ms"), mean["ttft"]),
            "request_latency avg": (said.get("e2e_mean_ms"), mean["e2e"]),
            "output_sequence_length avg": (said.get("output_tokens_mean"), mean["output_tokens"]),
        }
    )
    if found:
        level.rejected.append(
            Rejected(str(summary.source), "summary", f"contradicts the records of {level.source.name}: {'; '.join(found)}", said)
        )
        level.notes.append(f"{summary.source.name} is in quarantine: it contradicts its records ({'; '.join(found)}); the records count")
