"""A sheet of the workbook: cells with their style, unit and name. Text is always text, whatever it begins with."""

from collections.abc import Sequence
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from reports.workbook.formulas import UNKNOWN

LONGEST = 32_767
"""Characters that a cell holds."""
_FONT = {"font_name": "Calibri", "font_size": 10, "valign": "vcenter"}
_BOX = {"border": 1, "border_color": "#D0D5DD"}
STYLES: dict[str, dict[str, Any]] = {
    "title": {"bold": True, "font_size": 15},
    "subtitle": {"font_color": "#475467"},
    "section": {"bold": True, "font_size": 11, "font_color": "#FFFFFF", "bg_color": "#1D4E6B"},
    "header": {"bold": True, "bg_color": "#E4ECF1", "text_wrap": True, "valign": "top", **_BOX},
    "header_note": {
        "bold": True,
        "bg_color": "#E4ECF1",
        "text_wrap": True,
        "valign": "top",
        "align": "left",
        "indent": 1,
        **_BOX,
    },
    "header_number": {
        "bold": True,
        "bg_color": "#E4ECF1",
        "text_wrap": True,
        "valign": "top",
        "align": "right",
        **_BOX,
    },
    "label": {**_BOX},
    "unit": {"font_color": "#475467", **_BOX},
    "note": {"font_color": "#475467", "font_size": 8, "text_wrap": True, "indent": 1, **_BOX},
    "plan_note": {"font_color": "#475467", "font_size": 8, "text_wrap": True, "align": "right", **_BOX},
    "legend": {"bg_color": "#FFF4CC", "font_color": "#1F3FBF", **_BOX},
    "input": {"bg_color": "#FFF4CC", "font_color": "#1F3FBF", "locked": False, "align": "right", **_BOX},
    "measured": {"bg_color": "#EAF5EA", "align": "right", **_BOX},
    "formula": {"align": "right", **_BOX},
    "total": {"align": "right", "bold": True, "top": 2, **{k: v for k, v in _BOX.items() if k != "border"}},
}


class Grid:
    """One sheet of the book, written cell by cell."""

    def __init__(self, book: Workbook, name: str, styles: dict[tuple[str, str], Format]) -> None:
        self.book, self.name, self._styles = book, name, styles
        self.sheet: Worksheet = book.get_worksheet_by_name(name)
        self.sheet.hide_gridlines(2)

    def style(self, name: str, number: str = "") -> Format:
        """The style `name` with a number format, made once."""
        key = (name, number)
        if key not in self._styles:
            extra = {"num_format": number} if number else {}
            self._styles[key] = self.book.add_format({**_FONT, **STYLES[name], **extra})
        return self._styles[key]

    def text(self, row: int, column: int, text: str, style: str = "label") -> None:
        """Text, never a formula, a link or a number."""
        self.sheet.write_string(row, column, text[:LONGEST], self.style(style))

    def note(self, row: int, column: int, texts: Sequence[str], width: int, style: str = "note") -> None:
        """Small texts side by side from `column` on, each `width` wide; the row is made as high as the longest needs."""
        for offset, text in enumerate(texts):
            self.text(row, column + offset, text, style)
        lines = max(-(-len(text) // int(width * 1.4)) for text in texts)
        self.sheet.set_row(row, max(15.0, 11.5 * lines + 3))

    def wide_note(self, row: int, column: int, last: int, text: str, style: str = "note") -> None:
        """A small text over several columns."""
        if column < last:
            self.sheet.merge_range(row, column, row, last, "", self.style(style))
        self.text(row, column, text, style)

    def line(self, row: int, texts: Sequence[str], style: str) -> None:
        """Texts side by side."""
        for column, text in enumerate(texts):
            self.text(row, column, text, style)

    def value(self, row: int, column: int, value: Any, style: str, number: str = "") -> None:
        """A number or a text as it is; an empty cell where it is not known."""
        at = self.style(style, number)
        if value is None:
            self.sheet.write_blank(row, column, None, at)
        elif isinstance(value, str):
            self.sheet.write_string(row, column, value[:LONGEST], at)
        else:
            self.sheet.write_number(row, column, value, at)

    def formula(
        self, row: int, column: int, formula: str, value: Any, number: str = "", style: str = "formula"
    ) -> None:
        """A formula, and its value for a reader that does not calculate."""
        shown = UNKNOWN if value is None else value
        self.sheet.write_formula(row, column, formula, self.style(style, number), shown)

    def printed(self, *, repeat: tuple[int, int] | None = None, pages_wide: int = 1) -> None:
        """Printable: landscape, so many pages wide; protected without a password, so that inputs stand out."""
        self.sheet.set_landscape()
        self.sheet.set_paper(9)
        self.sheet.fit_to_pages(pages_wide, 0)
        self.sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        self.sheet.set_footer("&L&A&RPage &P of &N")
        if repeat:
            self.sheet.repeat_rows(*repeat)
        self.sheet.protect("", {"format_columns": True, "format_rows": True})

    def name_cell(self, name: str, row: int, column: int) -> None:
        """Let formulas of every sheet call a cell by its name."""
        self.book.define_name(name, f"='{self.name}'!{address(row, column)}")


def address(row: int, column: int) -> str:
    """`$C$8` for (7, 2)."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"${letters}${row + 1}"
