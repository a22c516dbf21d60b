"""The what-if macros: found, and described by their headers wherever they are published."""

import re
from dataclasses import dataclass
from pathlib import Path

_SIGNATURE = re.compile(r"create or replace macro\s+(\w+)\s*(\(.*?\))\s+as(\s+table)?\b", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Macro:
    """One file: `parameters` are as written there, `comment` is its header in one line."""

    name: str
    parameters: str
    comment: str
    is_table: bool
    sql: str

    def comment_sql(self) -> str:
        """Statement that comments on the macro."""
        text = self.comment.replace("'", "''")
        return f"comment on macro {'table ' if self.is_table else ''}{self.name} is '{text}'"


def macros(folder: Path) -> list[Macro]:
    """The macros of `folder/macros/`, by name."""
    return [_read(path) for path in sorted((folder / "macros").glob("*.sql"))]


def _read(path: Path) -> Macro:
    sql = path.read_text()
    header = [line.removeprefix("--").strip() for line in sql.splitlines() if line.startswith("--")]
    words = " ".join(line for line in header if not line.startswith("grain:"))
    found = _SIGNATURE.search(sql)
    parameters = " ".join(found[2].split()).replace("( ", "(").replace(" )", ")") if found else "()"
    return Macro(path.stem, parameters, words.removeprefix(f"{path.stem}: "), bool(found and found[3]), sql)
