"""The events of one stream differ in little but their text: learn the rest once, then read the text without JSON."""

import json
from itertools import takewhile
from typing import Any

import orjson

from loadgen.dialect import Delta, read_delta

_PROBE = b"ratecard"  # bare letters: wherever it does not stand inside a string, the JSON is broken
_PROBED = (Delta(answer=_PROBE.decode()), Delta(reasoning=_PROBE.decode()))


class Template:
    """What stands `before` and `after` the text of an event."""

    __slots__ = ("after", "before")

    def __init__(self, before: bytes, after: bytes) -> None:
        self.before, self.after = before, after

    @classmethod
    def of(cls, data: bytes, text: str) -> "Template | None":
        """Template of an event's `data` with this `text`; null where it is not the text alone that makes the event.

        The proof is another text put in its place: the event must say that text and nothing else, so that an event
        that fits the template says its text too, whatever the dialect.
        """
        before, quoted, after = data.partition(b'"%b"' % text.encode("utf-8", "surrogatepass"))
        before, after = before + b'"', b'"' + after
        if not quoted or read_delta(parsed(before + _PROBE + after)) not in _PROBED:
            return None
        return cls(before, after)

    def text_of(self, data: bytes) -> bytes | None:
        """The text of an event that fits; null where it does not, or where only a JSON parser can tell.

        An empty text is no token, and escapes, control characters and broken UTF-8 are the parser's business.
        """
        text = data[len(self.before) : -len(self.after)]
        return text if text and data == self.before + text + self.after and _is_plain(text) else None


def strings_of(texts: list[bytes]) -> list[bytes]:
    """What the JSON strings say that have `texts` between their quotes: of all, or of the first plain ones."""
    strings = _strings(texts)
    return list(takewhile(_is_plain, texts)) if strings is None else strings


def _is_plain(text: bytes) -> bool:
    """Whether the text stands in JSON as it is."""
    try:
        return b'"' not in text and b"\\" not in text and text.decode().isprintable()
    except UnicodeDecodeError:
        return False


def _strings(texts: list[bytes]) -> list[bytes] | None:
    """What the JSON strings say that have `texts` between their quotes; null where one of them is none."""
    if _is_plain(b" ".join(texts)):
        return texts
    # without what escapes take, a quote would end a string early, and a last backslash would join it to the next
    lines = b"\n".join([*texts, b""]).replace(b"\\\\", b"").replace(b'\\"', b"")
    if b'"' in lines or b"\\\n" in lines:
        return None
    strings = parsed(b'["%b"]' % b'","'.join(texts))
    return None if strings is None else [string.encode("utf-8", "surrogatepass") for string in strings]


def parsed(data: bytes) -> Any:
    """The JSON value of `data`; null where it is none."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        # orjson refuses the escapes of half a surrogate pair, into which some gateways cut an emoji, and Python's NaN
        return json.loads(data.decode())
    except (ValueError, RecursionError):
        return None
