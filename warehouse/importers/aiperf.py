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

import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import ResultFileError
from warehouse.importers import nvidia_summary
from warehouse.importers.agreement import contradictions
from warehouse.importers.aiperf_records import Line, count, decode, row
from warehouse.importers.files import as_written_by, beside, opened
from warehouse.importers.levels import Level, Rejected, Said, closed_or_open
from warehouse.importers.traces import Row

TOOL = "aiperf"
SUFFIXES = ("profile_export.jsonl", "_aiperf.json", "profile_export.jsonl.gz")
_BATCH = 4096
_SAMPLE = 200
_MOST_REJECTED = 100_000
_SINCE_NS, _UNTIL_NS = 1_500_000_000_000_000_000, 4_000_000_000_000_000_000
_STARTS_ENDS = re.compile(rb'"request_(start|end)_ns"\s*:\s*(\d+)')


def read(paths: list[Path], said: Said) -> Iterator[Level | ResultFileError]:
    """Levels of `paths`: records with the summary beside them, summaries without records alone."""
    records = [path for path in paths if _is_lines(path)]
    summaries = {path.absolute(): path for path in paths if not _is_lines(path)}
    for path in records:
        summary = _summary_of(path, summaries)
        if summary is not None:
            summaries.pop(summary.absolute(), None)
        try:
            with as_written_by(TOOL, path):
                found = _level(path, summary, said)
            yield found
        except ResultFileError as error:
            yield error
    for path in summaries.values():
        try:
            with as_written_by(TOOL, path):
                found = nvidia_summary.level(path, TOOL, said)
            yield found
        except ResultFileError as error:
            yield error


def _is_lines(path: Path) -> bool:
    return ".jsonl" in path.name


def _summary_of(path: Path, given: dict[Path, Path]) -> Path | None:
    """The summary beside records: `…_aiperf.json` in the same folder, of the same name first."""
    if named := beside(path, ".jsonl", "_aiperf.json"):
        return named
    same = [p for p in given if p.parent == path.absolute().parent]
    return same[0] if len(same) == 1 else None


def _level(path: Path, summary_path: Path | None, said: Said) -> Level:
    summary = nvidia_summary.of_records(summary_path, TOOL, said) if summary_path else None
    first = _first_records(path)
    began = first[0].metadata.request_start_ns
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
        test_id=first[0].metadata.x_request_id or "",
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
    level.records, level.inspect = reader.batches, reader.inspect
    level.finish = lambda: _hold_against(level, reader, summary)
    return level


def _first_records(path: Path) -> list[Line]:
    """The first records that can be read, to tell what the file is."""
    found, problem = [], "only empty lines"
    with opened(path) as file:
        for number, line in enumerate(islice(file, _SAMPLE), start=1):
            try:
                found.append(decode(line))
            except ValueError as error:
                problem = f"line {number}: {error}" if line.strip() and problem == "only empty lines" else problem
    if not found:
        raise ResultFileError(
            f"{path}: no AIPerf record in it ({problem}): expected the profile_export.jsonl of aiperf profile, on each line "
            '{"metadata": {"request_start_ns": …, "request_end_ns": …}, "metrics": {…}}'
        )
    began = found[0].metadata.request_start_ns
    if not _SINCE_NS < began < _UNTIL_NS:
        raise ResultFileError(
            f"{path}: metadata.request_start_ns: found {began}, expected nanoseconds since 1970, such as 1795166448800355912: is it in "
            "another unit?"
        )
    answered = [record.metrics for record in found if record.error is None and record.metrics is not None]
    if answered and not any(metrics.time_to_first_token for metrics in answered):
        raise ResultFileError(
            f"{path}: no record has a time_to_first_token: the test did not stream, and nothing says when tokens came: import its "
            "summary …_aiperf.json, or measure with --streaming"
        )
    return found


def _mean(records: list[Line], name: str) -> float | None:
    counts = [v for r in records if r.metrics is not None and (v := count(getattr(r.metrics, name))) is not None]
    return sum(counts) / len(counts) if counts else None


def _most_in_flight(path: Path) -> int:
    """The most requests between their start and end at once, over the whole file."""
    events: list[tuple[int, int]] = []
    with opened(path) as file:
        for line in file:
            found = {name: int(digits) for name, digits in _STARTS_ENDS.findall(line)}
            if len(found) == 2 and found[b"start"] <= found[b"end"]:
                events += [(found[b"start"], 1), (found[b"end"], -1)]
    now = most = 0
    for _, change in sorted(events):
        now += change
        most = max(most, now)
    return max(most, 1)


class _Reader:
    """Reads records a batch at a time, and adds up what gives a wrong unit away and what the summary is held against."""

    def __init__(self, path: Path, level: Level) -> None:
        self.path, self.level = path, level
        self.completed = 0
        self.sums = dict.fromkeys(("ttft_ms", "e2e_ms", "input_tokens", "output_tokens"), 0.0)

    def batches(self) -> Iterator[list[Row]]:
        """Records in the order of the file; lines that are none are rejected, each with its reason."""
        seen: dict[str, int] = {}
        batch: list[Row] = []
        with opened(self.path) as file:
            for number, line in enumerate(file, start=1):
                try:
                    record = decode(line)
                    name = record.metadata.x_request_id
                    if name is not None and seen.setdefault(name, number) != number:
                        self._reject(number, f"request id {name} was on line {seen[name]} already", line, seen[name])
                        continue
                    batch.append(row(number - 1, record))
                except ValueError as error:
                    if line.strip():
                        self._reject(number, f"no record of AIPerf, or cut short: {error}", line)
                if len(batch) >= _BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def _reject(self, number: int, reason: str, line: bytes, first: int | None = None) -> None:
        if len(self.level.rejected) >= _MOST_REJECTED:
            raise ResultFileError(
                f"{self.path}: over {_MOST_REJECTED:,} lines are no AIPerf records; the last: {reason}"
            )
        content: dict[str, Any] = {"line": line[:20_000].decode(errors="replace").rstrip("\n")}
        if first is not None:
            content["first"] = self._line(first)
        self.level.rejected.append(Rejected(str(self.path), f"line {number}", reason, content))

    def _line(self, number: int) -> str:
        with opened(self.path) as file:
            return next(islice(file, number - 1, None))[:20_000].decode(errors="replace").rstrip("\n")

    def inspect(self, table: pa.Table) -> None:
        """Start and end in nanoseconds, and the sum of the gaps, give a wrong unit away. Raises ResultFileError."""
        times = table.select(_INSPECTED).append_column("has_gaps", pc.is_valid(table["gaps_us"]))
        ok = times.filter(
            (pc.field("outcome") == "ok") & (pc.field("phase") == "measure") & pc.field("first_token_ns").is_valid()
        )
        if not ok.num_rows:
            return
        span, said, ttft = (
            _sum(pc.subtract(ok[end], ok["sent_ns"])) / 1e6 for end in ("closed_ns", "last_token_ns", "first_token_ns")
        )
        gaps = _sum(pc.subtract(pc.max_element_wise(ok["output_tokens"], 1), 1))
        self._check_latency(span, said, ttft, ok.num_rows, gaps)
        streaming = times.filter(pc.field("has_gaps") & pc.field("first_token_ns").is_valid())
        streamed = _sum(pc.subtract(streaming["last_token_ns"], streaming["first_token_ns"])) / 1e6
        summed = _sum(pc.list_flatten(table["gaps_us"])) / 1e3
        if streamed > streaming.num_rows and not 0.9 <= summed / streamed <= 1.1:
            raise ResultFileError(
                f"{self.path}: inter_chunk_latency: sums to {summed:.6g} ms by its unit, while request_latency - time_to_first_token "
                f"sum to {streamed:.6g} ms: one of them is in another unit than it says"
            )
        self.completed += ok.num_rows
        self.sums["ttft_ms"] += ttft
        self.sums["e2e_ms"] += said
        for name in ("input_tokens", "output_tokens"):
            self.sums[name] += _sum(ok[name])

    def _check_latency(self, span: float, said: float, ttft: float, requests: int, gaps: float) -> None:
        if not 0.5 <= said / max(span, 1e-6) <= 1.05:
            raise ResultFileError(
                f"{self.path}: request_latency: sums to {said / 1e3:.6g} s by its unit, while request_start_ns to request_end_ns "
                f"sum to {span / 1e3:.6g} s: one of them is in another unit than it says"
            )
        if ttft > said:
            raise ResultFileError(
                f"{self.path}: time_to_first_token: sums to {ttft:.6g} ms by its unit, more than request_latency, {said:.6g} ms: one of them "
                "is in another unit than it says"
            )
        if gaps and ttft / requests < 0.02 * (said - ttft) / gaps:
            raise ResultFileError(
                f"{self.path}: time_to_first_token: {ttft / requests:.4g} ms by its unit, below a fiftieth of what each token after it takes, "
                f"{(said - ttft) / gaps:.4g} ms: it is in another unit than it says"
            )


_INSPECTED = [
    "outcome",
    "phase",
    "sent_ns",
    "first_token_ns",
    "last_token_ns",
    "closed_ns",
    "input_tokens",
    "output_tokens",
]


def _sum(column: Any) -> float:
    return float(pc.sum(column).as_py() or 0)


def _hold_against(level: Level, reader: _Reader, summary: Level | None) -> None:
    """The summary of the same test must say what its records say; where it does not, it is rejected with both values."""
    if summary is None or summary.summary is None or not reader.completed:
        return
    said = summary.summary
    mean = {name: total / reader.completed for name, total in reader.sums.items()}
    found = contradictions(
        {
            "request_count": (said["completed_requests"], reader.completed),
            "time_to_first_token avg": (said.get("ttft_mean_ms"), mean["ttft_ms"]),
            "request_latency avg": (said.get("e2e_mean_ms"), mean["e2e_ms"]),
            "output_sequence_length avg": (said.get("output_tokens_mean"), mean["output_tokens"]),
        }
    )
    if found:
        level.rejected.append(
            Rejected(
                str(summary.source),
                "summary",
                f"contradicts the records of {level.source.name}: {'; '.join(found)}",
                said,
            )
        )
        level.notes.append(
            f"{summary.source.name} is in quarantine: it contradicts its records ({'; '.join(found)}); the records count"
        )
