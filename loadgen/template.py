"""The events of one stream differ in little but their text: learn the rest once, then read the text without JSON."""

import json
from itertools import takewhile
from operator import itemgetter
from typing import Any

import orjson

from loadgen.dialect import Delta, read_delta

_PROBE = b"ratecard"  # bare letters: wherever it does not stand inside a string, the JSON is broken
_PROBED = (Delta(answer=_PROBE.decode()), Delta(reasoning=_PROBE.decode()))


class Template:
    """What stands before and after the text of an event."""

    __slots__ = ("_between", "_cut", "_prefix", "_suffix")

    def __init__(self, prefix: bytes, suffix: bytes) -> None:
        self._prefix, self._suffix = prefix, suffix
        self._between = suffix + prefix
        self._cut = itemgetter(slice(len(prefix), -len(suffix)))

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
        text: bytes = self._cut(data)
        return text if text and self._is_around(data) and _is_plain(text) else None

    def texts_of(self, events: list[bytes]) -> list[bytes]:
        """The texts of the first events that fit, as many as there are before the first that does not."""
        last = len(events)
        while last and not self._is_around(events[last - 1]):
            last -= 1  # those that end a stream
        fitting = events[:last]
        # nearly always all of them fit, which is seen in one go
        texts = list(map(self._cut, fitting))
        whole = b"%b%b%b" % (self._prefix, self._between.join(texts), self._suffix)
        if all(texts) and b"".join(fitting) == whole and (strings := _strings(texts)):
            return strings
        return list(takewhile(lambda text: text is not None, map(self.text_of, fitting)))  # type: ignore[arg-type]

    def _is_around(self, data: bytes) -> bool:
        return data.startswith(self._prefix) and data.endswith(self._suffix)


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
    return strings and [string.encode("utf-8", "surrogatepass") for string in strings]


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
