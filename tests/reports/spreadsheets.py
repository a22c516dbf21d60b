"""Workbooks as a user has them: a cell typed over, everything calculated again by LibreOffice, values read back."""

import csv
import html
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

from reports.workbook.grid import address

SOFFICE = shutil.which("soffice") or shutil.which("libreoffice")
_ALWAYS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop></item>
</oor:items>"""
_CSV = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,false,false,false,-1"
"""Comma, quote, UTF-8, values as they are and not as shown, every sheet in a file of its own."""


def recalculated(books: list[Path], folder: Path) -> dict[str, dict[str, list[list[str]]]]:
    """Cells of every sheet by workbook, as LibreOffice calculates them anew."""
    assert SOFFICE is not None
    profile = folder / "profile"
    (profile / "user").mkdir(parents=True)
    (profile / "user" / "registrymodifications.xcu").write_text(_ALWAYS)
    command = [
        SOFFICE,
        "--headless",
        f"-env:UserInstallation={profile.as_uri()}",
        "--convert-to",
        _CSV,
        "--outdir",
        folder,
    ]
    subprocess.run([*command, *books], check=True, capture_output=True, timeout=240)
    found: dict[str, dict[str, list[list[str]]]] = {}
    for book in books:
        sheets = {path.stem.removeprefix(f"{book.stem}-"): path for path in folder.glob(f"{book.stem}-*.csv")}
        found[book.stem] = {name: list(csv.reader(path.read_text().splitlines())) for name, path in sheets.items()}
    return found


def value(sheets: dict[str, list[list[str]]], place: tuple[str, int, int]) -> Any:
    """A cell: number, text, or None where it is empty."""
    sheet, row, column = place
    text = sheets[sheet][row][column]
    try:
        return float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        return text or None


def typed_over(book: Path, to: Path, cells: dict[tuple[str, int, int], float | str]) -> Path:
    """A copy of `book` with other values in cells, and whatever it had calculated before."""
    with zipfile.ZipFile(book) as old, zipfile.ZipFile(to, "w") as new:
        names = re.findall(r'<sheet name="([^"]+)" sheetId="(\d+)"', old.read("xl/workbook.xml").decode())
        files = {html.unescape(name): f"xl/worksheets/sheet{number}.xml" for name, number in names}
        for entry in old.namelist():
            content = old.read(entry).decode()
            for (sheet, row, column), typed in cells.items():
                if entry == files[sheet]:
                    content = _typed(content, address(row, column).replace("$", ""), typed)
            new.writestr(entry, content)
    return to


def _typed(content: str, cell: str, typed: float | str) -> str:
    inside = f"<v>{typed}</v>" if isinstance(typed, int | float) else f"<is><t>{html.escape(typed)}</t></is>"
    kind = "" if isinstance(typed, int | float) else ' t="inlineStr"'
    pattern = rf'<c r="{cell}"( s="\d+")?[^>]*?(?:/>|>.*?</c>)'
    changed, count = re.subn(pattern, lambda m: f'<c r="{cell}"{m[1] or ""}{kind}>{inside}</c>', content, count=1)
    assert count == 1, cell
    return changed


def formulas(book: Path) -> list[str]:
    """Every formula of a workbook."""
    with zipfile.ZipFile(book) as file:
        sheets = [file.read(name).decode() for name in file.namelist() if name.startswith("xl/worksheets/sheet")]
    return [html.unescape(formula) for sheet in sheets for formula in re.findall(r"<f>(.*?)</f>", sheet)]


def texts(book: Path) -> list[str]:
    """Every text of a workbook's cells."""
    with zipfile.ZipFile(book) as file:
        return [html.unescape(t) for t in re.findall(r"<t[^>]*>(.*?)</t>", file.read("xl/sharedStrings.xml").decode())]
