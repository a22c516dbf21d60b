"""Tables of results: rows are dataclasses whose field names carry the units."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Section:
    """One table: `name` is its key in JSON, `rows` are of one dataclass."""

    name: str
    title: str
    rows: Sequence["DataclassInstance"]


def as_json(section: Section) -> list[dict[str, Any]]:
    """The rows as objects."""
    return [asdict(row) for row in section.rows]


def as_text(section: Section) -> str:
    """Title and aligned columns. Raises IndexError where there are no rows."""
    names = [field.name for field in fields(section.rows[0])]
    lines = [[_cell(value) for value in asdict(row).values()] for row in section.rows]
    widths = [max(map(len, column)) for column in zip(names, *lines, strict=True)]
    table = ("  ".join(c.rjust(width) for c, width in zip(line, widths, strict=True)) for line in [names, *lines])
    return "\n".join([section.title, *table])


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
