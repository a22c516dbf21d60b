"""Recorded arrivals of production systems: the Azure LLM inference, Mooncake and BurstGPT traces.

azure     CSV    TIMESTAMP (date and time, any number of digits, with an offset or without), ContextTokens, GeneratedTokens
mooncake  JSONL  timestamp (ms), input_length, output_length, hash_ids (one a block of 512 tokens of the prompt)
burstgpt  CSV    Timestamp (s), Request tokens, Response tokens (0: the request failed), and more that is not needed
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from statistics import fmean
from typing import Any

from schemas.errors import SpecError
from schemas.records import csv_rows, json_lines, whole_number

BLOCK_TOKENS = 512
"""Tokens of a Mooncake block."""

_AZURE = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_BURSTGPT = ("Timestamp", "Request tokens", "Response tokens")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(\.\d+)?\s*(Z|[+-]\d\d:?\d\d)?")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One arrival, `at_s` seconds after the trace's first; `block_ids` are null where no prefixes are recorded."""

    at_s: float
    input_tokens: int
    output_tokens: int
    block_ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """Arrivals in the order of time, at least one, and how many with a length of 0 were left out."""

    arrivals: tuple[Recorded, ...]
    skipped: int

    def __len__(self) -> int:
        return len(self.arrivals)

    @property
    def mean_input_tokens(self) -> float:
        """Mean prompt length, tokens."""
        return fmean(arrival.input_tokens for arrival in self.arrivals)

    @property
    def mean_output_tokens(self) -> float:
        """Mean answer length, tokens."""
        return fmean(arrival.output_tokens for arrival in self.arrivals)

    def rate(self, count: int) -> float:
        """Requests a second over the first `count` arrivals; where they all come at once, within one second."""
        span_s = self.arrivals[min(count, len(self)) - 1].at_s
        return (count - 1) / span_s if span_s > 0 else float(count)


def read_trace(config: dict[str, Any]) -> Trace:
    """The trace of a workload's `trace` (`schemas.catalog.TraceFile` as JSON); read once per process.

    Arrivals with a length of 0 (they generated nothing) are skipped and counted, unsorted ones are sorted, and of what is
    left the first `limit` are taken. Raises SpecError with file and line for what cannot be read.
    """
    return _read(config["file"], config["format"], config.get("limit"))


def arrival_times(file: str, form: str, limit: int | None = None) -> list[float]:
    """Seconds at which requests arrived, in order, those that generated nothing too; of these the first `limit`.

    Raises SpecError with file and line for what cannot be read, or where there is no arrival.
    """
    times = sorted(recorded.at_s for recorded in _reader(form)(file))[:limit]
    if not times:
        raise SpecError(f"{file}:1: holds no arrivals")
    return times


def _reader(form: str) -> Callable[[str], Iterator[Recorded]]:
    if form not in _READERS:
        raise SpecError(f"a trace's format is {form!r}, expected one of {', '.join(_READERS)}")
    return _READERS[form]


@lru_cache(maxsize=2)
def _read(file: str, form: str, limit: int | None) -> Trace:
    recorded = list(_reader(form)(file))
    whole = [arrival for arrival in recorded if arrival.input_tokens and arrival.output_tokens]
    if not whole:
        raise SpecError(f"{file}:1: holds no arrivals that generated something")
    kept = sorted(whole, key=lambda arrival: arrival.at_s)[:limit]
    first_s = kept[0].at_s
    arrivals = tuple(Recorded(r.at_s - first_s, r.input_tokens, r.output_tokens, r.block_ids) for r in kept)
    return Trace(arrivals, len(recorded) - len(whole))


def _azure(file: str) -> Iterator[Recorded]:
    for where, row in csv_rows(file, _AZURE):
        yield Recorded(
            _wall_s(row["timestamp"], f"{where}: TIMESTAMP"),
            whole_number(row["contexttokens"], f"{where}: ContextTokens", least=0),
            whole_number(row["generatedtokens"], f"{where}: GeneratedTokens", least=0),
        )


def _burstgpt(file: str) -> Iterator[Recorded]:
    for where, row in csv_rows(file, _BURSTGPT):
        yield Recorded(
            _number(row["timestamp"], f"{where}: Timestamp"),
            whole_number(row["request tokens"], f"{where}: Request tokens", least=0),
            whole_number(row["response tokens"], f"{where}: Response tokens", least=0),
        )


def _mooncake(file: str) -> Iterator[Recorded]:
    for where, entry in json_lines(file):
        ids = entry.get("hash_ids")
        if not isinstance(ids, list | None) or any(type(block) is not int for block in ids or ()):
            raise SpecError(f"{where}: hash_ids: expected a list of whole numbers")
        yield Recorded(
            _number(entry.get("timestamp"), f"{where}: timestamp") / 1000,
            whole_number(entry.get("input_length"), f"{where}: input_length", least=0),
            whole_number(entry.get("output_length"), f"{where}: output_length", least=0),
            None if ids is None else tuple(ids),
        )


_READERS = {"azure": _azure, "mooncake": _mooncake, "burstgpt": _burstgpt}


def _wall_s(text: str, where: str) -> float:
    """Seconds since 1970 of a date and time; `datetime` alone takes no 7 digits."""
    match = _TIME.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError
        base, fraction, offset = match.groups()
        at = datetime.fromisoformat(base + (offset or "+00:00").replace("Z", "+00:00"))
    except ValueError:
        raise SpecError(f"{where}: found {text!r}, expected a time such as 2023-11-16 18:17:03.9799600") from None
    return (at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() + float(fraction or 0)


def _number(value: Any, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise SpecError(f"{where}: found {value!r}, expected a number")
    return number
