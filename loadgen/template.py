"""The events of one stream differ in little but their text: learn the rest once, then read the text without JSON."""

from typing import Any

import orjson

from loadgen.dialect import Delta, read_delta

_PROBE = b"ratecard"  # bare letters: wherever it does not stand inside a string, the JSON is broken
_PROBED = (Delta(answer=_PROBE.decode()), Delta(reasoning=_PROBE.decode()))


class Template:
    """What stands before and after the text of an event."""

    __slots__ = ("_end", "_prefix", "_start", "_suffix")

    def __init__(self, prefix: bytes, suffix: bytes) -> None:
        self._prefix, self._suffix = prefix, suffix
        self._start, self._end = len(prefix), -len(suffix)

    @classmethod
    def of(cls, data: bytes, text: str) -> "Template | None":
        """Template of an event's `data` with this `text`; null where it is not the text alone that makes the event.

        The proof is another text put in its place: the event must say that text and nothing else, so that an event
        that fits the template says its text too, whatever the dialect.
        """
        before, quoted, after = data.partition(b'"%b"' % text.encode("utf-8", "surrogatepass"))
        prefix, suffix = before + b'"', b'"' + after
        if not quoted or read_delta(parsed(prefix + _PROBE + suffix)) not in _PROBED:
            return None
        return cls(prefix, suffix)

    def framed(self) -> "Template":
        """The same on the wire: one whole server-sent event."""
        return Template(b"data: " + self._prefix, self._suffix + b"\n\n")

    def text_of(self, data: bytes) -> bytes | None:
        """The text of an event that fits; null where it does not, or where only a JSON parser can tell.

        An empty text is no token, and escapes, control characters and broken UTF-8 are the parser's business.
        """
        if not (data.startswith(self._prefix) and data.endswith(self._suffix)):
            return None
        text = data[self._start : self._end]
        if not text or b'"' in text or b"\\" in text:
            return None
        try:
            return text if text.decode().isprintable() else None
        except UnicodeDecodeError:
            return None


def parsed(data: bytes) -> Any:
    """The JSON value of `data`; null where it is none."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
