"""What a column and a table are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `type` is a DuckDB type name, `unit` is empty where there is none."""

    name: str
    type: str
    comment: str
    unit: str = ""
    nullable: bool = False

    @property
    def description(self) -> str:
        """Its comment wherever it is published: meaning and unit."""
        return f"{self.comment} [{self.unit}]" if self.unit else self.comment


@dataclass(frozen=True, slots=True)
class Table:
    """One table: `grain` names the columns that identify a row."""

    schema: str
    name: str
    grain: tuple[str, ...]
    comment: str
    columns: tuple[Column, ...]

    @property
    def description(self) -> str:
        """Its comment wherever it is published: meaning and grain."""
        return f"{self.comment} One row for each {' x '.join(self.grain)}."


def required(name: str, type_: str, comment: str, unit: str = "") -> Column:
    """A column that has a value in every row."""
    return Column(name, type_, comment, unit)


def optional(name: str, type_: str, comment: str, unit: str = "") -> Column:
    """A column that may be null."""
    return Column(name, type_, comment, unit, nullable=True)


R, N = required, optional
"""Short, since a list of columns is read by its names."""
