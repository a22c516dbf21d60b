"""A plain CSV of operating points: a header of our own column names (docs/importing.md), a row a load level.

A column of ours in another unit, or without one, is refused with the name that is expected; other columns are left alone.
"""

import csv
import io
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas.columns import LATENCY_METRICS, SUMMARY_POINTS
from schemas.errors import ResultFileError
from warehouse.importers.files import read_text
from warehouse.importers.levels import Level, Said, closed_or_open
from warehouse.importers.summary import STATISTIC_NAMES, check

TOOL = "csv"
SUFFIXES = (".csv",)
_FIGURES = {c.name for c in SUMMARY_POINTS.columns if c.type == "DOUBLE" and c.name != "request_rate"}
_COUNTS = {"requests", "completed_requests", "failed_requests", "token_gaps", "concurrency"}
_DERIVED = {
    "window_s": "duration_s", "level_s": "duration_s", "completions_in_window": "completed_requests", "requests_in_window": "requests",
    "window_started_at": "started_at", "night": "started_at", "run_date": "started_at", "date": "started_at",
}  # fmt: skip
"""Columns of operating_points that stand for one of a summary."""
_KNOWN = {*_FIGURES, *_COUNTS, *_DERIVED, "model", "workload", "request_rate", "error_share", "total_tps"}
_METRICS = "|".join(sorted(LATENCY_METRICS, key=len, reverse=True))
_LIKE_OURS = re.compile(
    rf"(?P<figure>(?:{_METRICS})_(?:{'|'.join(STATISTIC_NAMES)}))(?:_(?P<unit>s|sec|seconds|us|ns|milliseconds))?"
    r"|(?P<statistic>mean|median|p\d+)_(?P<metric>ttft|tpot|itl|e2el?)(?:_.*)?"
)


def read(paths: list[Path], said: Said) -> Iterator[Level | ResultFileError]:
    """Every row of `paths`."""
    for path in paths:
        try:
            for where, row in _rows(path):
                try:
                    yield _level(path, where, row, said)
                except ResultFileError as error:
                    yield error
        except ResultFileError as error:
            yield error
        except csv.Error as error:
            yield ResultFileError(f"{path}: is not a CSV: {error}")


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        text = read_text(path).decode()
    except UnicodeDecodeError as error:
        raise ResultFileError(f"{path}: is not UTF-8 at byte {error.start}: convert it with iconv") from None
    # what a spreadsheet separates cells by where the decimal sign is a comma, or by tabs
    first = text.partition("\n")[0]
    separator = next((s for s in (",", ";", "\t") if s in first), ",")
    reader = csv.DictReader(io.StringIO(text), delimiter=separator)
    names = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = names
    _check_header(path, names)
    rows = 0
    for row in reader:
        where = f"line {reader.line_num}"
        if None in row or None in row.values():
            raise ResultFileError(
                f"{path}: {where}: found another number of cells than the header has names ({len(names)}): cut short?"
            )
        if any(value.strip() for value in row.values()):
            rows += 1
            yield where, {name: value.strip() for name, value in row.items() if value.strip()}
    if not rows:
        raise ResultFileError(f"{path}: has a header and no rows")


def _check_header(path: Path, names: list[str]) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ResultFileError(f"{path}: line 1: column {repeated[0]} is there twice")
    for name in names:
        found = _LIKE_OURS.fullmatch(name)
        if found:
            expected = f"{found['figure']}_ms" if found["figure"] else "<metric>_<statistic>_ms, as ttft_p50_ms"
            raise ResultFileError(
                f"{path}: line 1: column {name}: expected {expected}, in milliseconds: units are part of the names"
            )
        if name not in _KNOWN and name.lower() in _KNOWN:
            raise ResultFileError(f"{path}: line 1: column {name}: expected {name.lower()}, in small letters")
    if not (_FIGURES | _COUNTS | _DERIVED.keys()) & set(names):
        raise ResultFileError(
            f"{path}: line 1: no column of ours in it (found {', '.join(names)[:200]}): expected names of operating_points, such as "
            "concurrency, request_rps, output_tps, ttft_p50_ms (docs/importing.md)"
        )


def _level(path: Path, where: str, row: dict[str, str], said: Said) -> Level:
    columns: dict[str, Any] = {}
    for name, text in row.items():
        ours = _DERIVED.get(name, name)
        if ours in _FIGURES or ours in _COUNTS:
            columns.setdefault(ours, _number(path, where, name, text, whole=ours in _COUNTS))
    _add_counts(path, where, row, columns)
    concurrency = columns.pop("concurrency", None)
    rate = _number(path, where, "request_rate", row["request_rate"]) if "request_rate" in row else None
    level = Level(
        TOOL,
        path,
        **closed_or_open(path, said, concurrency, rate, where=where),
        model=row.get("model"),
        workload=row.get("workload"),
        started_at=_instant(path, where, row),
        input_tokens=columns.get("input_tokens_mean"),
        output_tokens=columns.get("output_tokens_mean"),
        summary=columns,
    )
    if others := [name for name in row if name not in _KNOWN]:
        level.notes.append(f"columns that are none of ours are left alone: {', '.join(others)}")
    check(path, where, level, unit="by the names of the columns")
    return level


def _add_counts(path: Path, where: str, row: dict[str, str], columns: dict[str, Any]) -> None:
    """Counts from each other; failures that no column tells of are taken as none."""
    requests, completed = columns.get("requests"), columns.get("completed_requests")
    share = _number(path, where, "error_share", row["error_share"]) if "error_share" in row else None
    if share is not None and not 0 <= share <= 1:
        raise ResultFileError(f"{path}: {where}: error_share: found {share:g}, expected a share of 1")
    failed = columns.get("failed_requests")
    if failed is None and share is not None and requests is not None:
        failed = round(share * requests)
    if failed is None and requests is not None and completed is not None and completed <= requests:
        failed = requests - completed
    columns["failed_requests"] = failed = failed or 0
    if completed is None and requests is None and columns.get("request_rps") and columns.get("duration_s"):
        completed = round(columns["request_rps"] * columns["duration_s"])
    if completed is None and requests is not None:
        completed = requests - failed
    columns["completed_requests"], columns["requests"] = completed, None if completed is None else completed + failed
    if "total_tps" in row and "input_tps" not in columns and "output_tps" in columns:
        columns["input_tps"] = _number(path, where, "total_tps", row["total_tps"]) - columns["output_tps"]


def _number(path: Path, where: str, name: str, text: str, *, whole: bool = False) -> Any:
    try:
        value = float(text)
    except ValueError:
        raise ResultFileError(
            f"{path}: {where}: {name}: found {text[:80]!r}, expected a number with a point: 1234.5"
        ) from None
    if not math.isfinite(value) or value < 0:
        raise ResultFileError(
            f"{path}: {where}: {name}: found {text}, expected a number of 0 or more; leave it empty if unknown"
        )
    if whole and value != int(value):
        raise ResultFileError(f"{path}: {where}: {name}: found {text}, expected a whole number")
    return int(value) if whole else value


def _instant(path: Path, where: str, row: dict[str, str]) -> datetime | None:
    for name in ("started_at", "window_started_at", "night", "run_date", "date"):
        if name in row:
            try:
                at = datetime.fromisoformat(row[name])
            except ValueError:
                raise ResultFileError(
                    f"{path}: {where}: {name}: found {row[name]!r}, expected ISO 8601 such as 2026-11-20T02:00:00"
                ) from None
            return (at.astimezone(UTC) if at.tzinfo else at).replace(tzinfo=None)
    return None
