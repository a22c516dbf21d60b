"""Opening result files: plain or gzip, UTF-8 with or without a byte-order mark, one JSON document or one a line."""

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from schemas.errors import ResultFileError

_GZIP = b"\x1f\x8b"
_OTHER_BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
BOM = b"\xef\xbb\xbf"
_NO_RESULTS = ("inputs.json",)
"""What AIPerf and GenAI-Perf sent stands beside what they found."""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of `path`, unpacked.

    Raises:
        ResultFileError: it cannot be read, is empty, or is not UTF-8.

    """
    try:
        with path.open("rb") as file:
            start = file.read(3)
            file.seek(0)
            if not start:
                raise ResultFileError(f"{path}: is empty: was the benchmark interrupted before it wrote its results?")
            if coding := _OTHER_BOMS.get(start[:2]):
                raise ResultFileError(f"{path}: is {coding}, expected UTF-8: iconv -f {coding} -t UTF-8 FILE")
            if start[:2] == _GZIP:
                with gzip.open(file, "rb") as unpacked:
                    yield unpacked  # type: ignore[misc]
            else:
                yield file
    except IsADirectoryError:
        raise ResultFileError(f"{path}: is a directory, expected a file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ResultFileError(
            f"{path}: the gzip stream is damaged or cut short ({error}): copy the file again"
        ) from None
    except OSError as error:
        raise ResultFileError(f"{path}: cannot be read: {error.strerror or error}") from None


def read_text(path: Path) -> bytes:
    """All of `path`, without a byte-order mark. Raises ResultFileError."""
    with opened(path) as file:
        content = file.read().removeprefix(BOM)
    if not content.strip():
        raise ResultFileError(f"{path}: is empty: was the benchmark interrupted before it wrote its results?")
    return content


def read_documents(path: Path) -> list[dict[str, Any]]:
    """JSON objects of `path`: one, a list of them, or one a line.

    Raises:
        ResultFileError: no JSON, cut short, or something else than objects.

    """
    documents = []
    for found in read_each(path):
        if isinstance(found, ResultFileError):
            raise found
        documents.append(found)
    return documents


def read_each(path: Path) -> list[dict[str, Any] | ResultFileError]:
    """The same, with an error in the place of each that is cut short or no object: it keeps none of the others out.

    Raises:
        ResultFileError: nothing in it is an object.

    """
    content = read_text(path)
    try:
        found = parse(content)
    except ValueError as error:
        found = _by_line(path, content, error)
    documents = found if isinstance(found, list) else [found]
    if not any(isinstance(document, dict) for document in documents):
        raise ResultFileError(f"{path}: found a JSON {type(found).__name__}, expected an object or a list of objects")
    return [
        document
        if isinstance(document, dict | ResultFileError)
        else ResultFileError(f"{path}: result {position}: found a JSON {type(document).__name__}, expected an object")
        for position, document in enumerate(documents, start=1)
    ]


def parse(content: bytes) -> Any:
    """`content` as JSON; NaN and Infinity, which Python writes and JSON has not, are null. Raises ValueError."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        try:
            return json.loads(content, parse_constant=lambda _: None)
        except RecursionError:
            raise ValueError("it is nested too deep") from None


@contextmanager
def as_written_by(tool: str, path: Path, where: str = "") -> Iterator[None]:
    """In the block a value of another kind than the format has, a text for a number say, is a mistake of the file.

    Raises:
        ResultFileError: instead of what Python says of such a value.

    """
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise ResultFileError(
            f"{path}: {where}{': ' if where else ''}{type(error).__name__} {error}: not as {tool} writes it; is it of another version, "
            "or edited?"
        ) from error


def _by_line(path: Path, content: bytes, error: ValueError) -> list[Any]:
    lines = [line for line in content.splitlines() if line.strip()]
    try:
        first = parse(lines[0])
    except ValueError:
        first = None
    if not isinstance(first, dict):
        raise ResultFileError(f"{path}: {_said(error, content)}") from None
    documents = []
    for number, line in enumerate(lines, start=1):
        try:
            documents.append(parse(line))
        except ValueError as problem:
            documents.append(ResultFileError(f"{path}:{number}: {_said(problem, line)}"))
    return documents


def _said(error: ValueError, content: bytes) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"is not UTF-8 at byte {error.start}: convert it with iconv"
    position = error.pos if isinstance(error, json.JSONDecodeError) else 0
    if position >= len(content.rstrip()) - 1 or str(error).startswith("Unterminated string"):
        return f"the JSON ends in the middle after {len(content):,} bytes: the file is cut short; copy it again"
    return f"is not JSON ({error}): is it the result file of the tool that was named?"


def expand(paths: list[Path], suffixes: tuple[str, ...]) -> list[Path]:
    """`paths`, with the result files in a folder in its place.

    Raises:
        ResultFileError: nothing is there.

    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(
            p
            for p in path.rglob("*")
            if p.is_file() and unpacked_name(p).endswith(suffixes) and unpacked_name(p) not in _NO_RESULTS
        )
        if not inside:
            raise ResultFileError(
                f"{path}: is a directory without a result file ({', '.join(f'*{s}' for s in suffixes)})"
            )
        found += inside
    return list(dict.fromkeys(found))


def unpacked_name(path: Path) -> str:
    """The name of `path`, as it is without .gz."""
    return path.name.removesuffix(".gz")


def beside(path: Path, ending: str, other: str) -> Path | None:
    """The file in the folder of `path` that ends in `other` where `path` ends in `ending`, plain or .gz; null: none."""
    name = unpacked_name(path).removesuffix(ending) + other
    found = (path.with_name(f"{name}{packed}") for packed in ("", ".gz"))
    return next((file for file in found if file != path and file.exists()), None)
