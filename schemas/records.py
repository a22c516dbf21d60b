"""Reading data files a line at a time; what cannot be read is told with file and line."""

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from schemas.errors import SpecError

_MOST_TOKENS = 2**31 - 1


def text_lines(file: str) -> Iterator[tuple[str, str]]:
    """(`file:line`, text) of each line that is not blank. Raises SpecError."""
    with opened(file) as lines:
        for number, line in enumerate(lines, start=1):
            if text := line.strip():
                yield f"{file}:{number}", text


def json_lines(file: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(`file:line`, object) of each line of a JSONL file. Raises SpecError."""
    for where, text in text_lines(file):
        yield where, mapping(parsed(text, where), where)


def csv_rows(file: str, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """(`file:line`, row) of a CSV file with a header that has `columns`; names are lower case, however written.

    Raises SpecError.
    """
    with opened(file) as lines:
        reader = csv.reader(lines)
        header = [name.strip().lower() for name in next(reader, [])]
        if missing := [name for name in columns if name.lower() not in header]:
            raise SpecError(f"{file}:1: no column {missing[0]!r}, found {', '.join(header) or 'an empty file'}")
        try:
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise SpecError(f"{file}:{reader.line_num}: {len(row)} fields, expected {len(header)}")
                yield f"{file}:{reader.line_num}", dict(zip(header, row, strict=True))
        except csv.Error as error:
            raise SpecError(f"{file}:{reader.line_num}: not CSV: {error}") from None


def parsed(text: str, where: str) -> Any:
    """JSON of `text`; SpecError at `where` if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{where}: not JSON: {error}") from None


def mapping(value: Any, where: str) -> dict[str, Any]:
    """`value` if it is a JSON object; SpecError at `where` otherwise."""
    if not isinstance(value, dict):
        raise SpecError(f"{where}: found {_shown(value)}, expected a JSON object")
    return value


def whole_number(value: Any, where: str, least: int = 1) -> int:
    """`value` (a number or its text) as a count of tokens, at least `least`; SpecError at `where` otherwise."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not least <= number <= _MOST_TOKENS or number != int(number):
        raise SpecError(f"{where}: found {_shown(value)}, expected a whole number of tokens, at least {least}")
    return int(number)


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"


@contextmanager
def opened(file: str) -> Iterator[TextIO]:
    """The text of a file, UTF-8. Raises SpecError, also for what goes wrong while it is read."""
    try:
        with Path(file).open(encoding="utf-8-sig", newline="") as lines:
            yield lines
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{file}: cannot be read: {error}") from None
