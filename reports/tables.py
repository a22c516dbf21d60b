"""Rows as text: terminal tables, CSV and JSON."""

import csv
import io
import json
import math
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> str:
    """A terminal table, as wide as it needs to be."""
    table = Table(*columns, box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(table.columns):
        column.no_wrap = True
        if rows and all(row[index] is None or _is_number(row[index]) for row in rows):
            column.justify = "right"
    for row in rows:
        table.add_row(*(_escaped(short(value)) for value in row))
    console = Console(width=10_000, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(table)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    count = "" if title else f"\n({len(rows)} row{'' if len(rows) == 1 else 's'})"
    return "\n".join(line for line in lines if line) + count


def short(value: Any) -> str:
    """A value for a person: numbers to five significant figures, nothing for null."""
    if value is None:
        return ""
    if isinstance(value, dict | list | tuple):
        return to_json(value)
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:,.0f}" if abs(value) >= 100_000 else f"{value:.5g}"
    return str(value)


def as_csv_text(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """CSV with a header; null is an empty field."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_field(value) for value in row] for row in rows)
    return out.getvalue()


def _field(value: Any) -> Any:
    """A value in CSV: lists and structs as JSON, true and false as SQL says them."""
    if isinstance(value, dict | list | tuple | bool):
        return to_json(value)
    return value.hex() if isinstance(value, bytes) else value


def to_json(value: Any) -> str:
    """JSON; times in ISO 8601, and null for what JSON cannot say (infinity, not a number)."""
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        return value.hex()
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
