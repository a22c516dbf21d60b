"""What a format's module makes of a file: load levels, each with records or a summary, and what could not be taken."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from schemas.digest import digest
from schemas.errors import ResultFileError
from warehouse.importers.traces import Row

Batches = Callable[[], Iterator[list[Row]]]
"""Records of a level, a batch at a time, so that a file of any size fits into memory."""


@dataclass(frozen=True)
class Said:
    """What the user says beside the files; null: the files say it, or nobody does."""

    endpoint: str
    model: str | None = None
    workload: str | None = None
    night: datetime | None = None
    concurrency: int | None = None
    request_rate: float | None = None
    duration_s: float | None = None


@dataclass(frozen=True)
class Rejected:
    """A part of a file that was not taken, with the reason: a line, a record, a summary."""

    source: str
    where: str
    reason: str
    content: Any


@dataclass
class Level:
    """One load level of a test by another tool."""

    tool: str
    source: Path
    load_kind: str
    concurrency: int | None = None
    request_rate: float | None = None
    tool_version: str | None = None
    model: str | None = None
    url: str | None = None
    api: str | None = None
    started_at: datetime | None = None  # UTC, without an offset
    test_id: str = ""
    """What the file calls the test, to tell it from another one at the same load."""
    input_tokens: float | None = None
    """ISL, as asked for or else measured: with OSL it names the workload."""
    output_tokens: float | None = None
    target_input_tokens: int | None = None
    target_output_tokens: int | None = None
    summary: dict[str, Any] | None = None
    """Columns of `raw.summary_points` from duration_s on."""
    records: Batches | None = None
    inspect: Callable[[pa.Table], None] | None = None
    """Looks at each batch of the records, and raises ResultFileError where it cannot be true."""
    finish: Callable[[], None] | None = None
    """Called when the records have been read: what they and the file's own summary say of each other."""
    workload: str | None = None
    notes: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def load(self) -> str:
        """In words."""
        return f"concurrency {self.concurrency}" if self.load_kind == "closed" else f"{self.request_rate:g} requests/s"

    @property
    def level_index(self) -> int:
        """A number made of the load and of the test's identity, not of the order of files.

        Beginning with the load, so that levels sort; the last four digits tell tests at one load apart.
        """
        load = self.concurrency if self.load_kind == "closed" else self.request_rate
        size = min(200_000, max(1, round(load or 1)))
        return size * 10_000 + int(digest(self.identity)[:8], 16) % 10_000

    @property
    def identity(self) -> list[Any]:
        """What names the measurement, whatever it found."""
        began = self.started_at.isoformat() if self.started_at and not self.test_id else None
        return [self.tool, self.load_kind, self.concurrency, self.request_rate, began, self.test_id]


def closed_or_open(
    source: Path, said: Said, concurrency: Any, rate: Any, *, where: str, burst: int | None = None
) -> dict[str, Any]:
    """Kind, concurrency and rate of a level, by the file, else by the user; `burst` requests sent at once are a closed loop.

    Raises:
        ResultFileError: nobody says it.

    """
    if isinstance(rate, str):
        rate = None if rate.lower() in ("inf", "infinity", "trace") else number(source, where, "request_rate", rate)
    if isinstance(rate, float) and rate == float("inf"):
        rate = None
    concurrency, rate = concurrency or said.concurrency, rate or (None if concurrency else said.request_rate)
    if rate:  # a cap on what is in flight beside a rate is still an open loop
        return {"load_kind": "open", "concurrency": None, "request_rate": float(rate)}
    if concurrency or burst:
        return {"load_kind": "closed", "concurrency": int(concurrency or burst or 0), "request_rate": None}
    raise ResultFileError(
        f"{source}: {where}: the file does not say under which load it was measured: give --concurrency N "
        "(requests in flight) or --request-rate R"
    )


def number(source: Path, where: str, name: str, value: Any) -> float | None:
    """`value` as a number; null stays null.

    Raises:
        ResultFileError: it is none.

    """
    if value is None:
        return None
    try:
        return float(value) if not isinstance(value, bool | list | dict) else _none(value)
    except (TypeError, ValueError):
        raise ResultFileError(f"{source}: {where}: {name}: found {str(value)[:80]!r}, expected a number") from None


def _none(value: Any) -> float:
    raise TypeError(value)
