"""Server-sent events from bytes, however the reads cut them.

Splits on CR, LF and CRLF only: U+2028 and the like are legal inside JSON and would end a line of `str.splitlines`.
"""

import re
from typing import NamedTuple

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its type (`message` unless the server names one) and its data lines joined by LF."""

    type: str
    data: bytes


class SSEReader:
    """Incremental reader: feed bytes as they come, get the events that they complete."""

    def __init__(self) -> None:
        self._tail = b""
        self._at_start = True
        self._skip_lf = False
        self._type = ""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """Events that `chunk` completes, in order."""
        if not chunk:
            return []
        if self._is_whole_event(chunk):
            return [Event("message", chunk[6:-2])]
        if self._skip_lf:
            # a CR at the end of the last chunk ended the line already; its LF may come now
            self._skip_lf = False
            if chunk[0] == 0x0A:
                chunk = chunk[1:]
        lines = _LINE_END.split(self._tail + chunk if self._tail else chunk)
        self._tail = lines.pop()
        self._skip_lf = chunk.endswith(b"\r")
        return [event for line in lines if (event := self._line(line))]

    def _is_whole_event(self, chunk: bytes) -> bool:
        """Whether `chunk` is one plain event and nothing else, as nearly every chunk of a token stream is."""
        return (
            chunk.startswith(b"data: ")
            and chunk.endswith(b"\n\n")
            and chunk.count(b"\n") == 2
            and b"\r" not in chunk
            and not (self._tail or self._data or self._type or self._at_start)
        )

    def close(self) -> Event | None:
        """Event left without its blank line at the end of the body, as some servers end their stream."""
        if self._tail:
            self._line(self._tail)
            self._tail = b""
        return self._line(b"")

    def _line(self, line: bytes) -> Event | None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._type = value.decode("utf-8", "replace")
        return None  # comments have an empty name; id and retry matter to reconnecting clients only

    def _dispatch(self) -> Event | None:
        event = Event(self._type or "message", b"\n".join(self._data)) if self._data else None
        self._type, self._data = "", []
        return event
