"""Tables of results: rows are dataclasses whose field names carry the units."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Section:
    """One table: `name` is its key in JSON, `rows` are of one dataclass, `notes` what is to be said below them."""

    name: str
    title: str
    rows: Sequence["DataclassInstance"]
    notes: tuple[str, ...] = ()


def as_json(section: Section) -> list[dict[str, Any]]:
    """The rows as objects."""
    return [asdict(row) for row in section.rows]


def as_text(section: Section) -> str:
    """Title, aligned columns and notes; no columns where there are no rows."""
    return "\n".join([section.title, *_lines(section.rows), *section.notes])


def _lines(rows: Sequence["DataclassInstance"]) -> list[str]:
    if not rows:
        return []
    names = [field.name for field in fields(rows[0])]
    lines = [[_cell(value) for value in asdict(row).values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *lines, strict=True)]
    return ["  ".join(c.rjust(width) for c, width in zip(line, widths, strict=True)) for line in [names, *lines]]


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
