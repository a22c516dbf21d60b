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
        self._tail: list[bytes] = []  # of a line: joined at its end only, or a long one would cost its length squared
        self._at_start = True
        self._skip_lf = False
        self._type = ""
        self._data: list[bytes] = []
        self.between_events = True
        """Nothing of an event is held back: the next byte begins a new one."""

    def feed(self, chunk: bytes) -> list[Event]:
        """Events that `chunk` completes, in order."""
        if not chunk:
            return []
        if self.between_events and chunk.endswith(b"\n\n") and (plain := _plain_events(chunk)):
            self._at_start = False
            return plain
        if self._skip_lf and chunk[0] == 0x0A:
            chunk = chunk[1:]  # the CR at the end of the last chunk ended the line already
        self._skip_lf = chunk.endswith(b"\r")
        events = [event for line in self._lines(chunk) if (event := self._line(line))]
        self.between_events = not (self._tail or self._data or self._type or self._at_start or self._skip_lf)
        return events

    def close(self) -> Event | None:
        """Event left without its blank line at the end of the body, as some servers end their stream."""
        if self._tail:
            self._line(b"".join(self._tail))
            self._tail = []
        return self._line(b"")

    def _lines(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` ends; what is left of it is kept."""
        first, *lines = _LINE_END.split(chunk)
        if not lines:
            self._tail += [first] if first else []
            return []
        left = lines.pop()
        lines.insert(0, b"".join([*self._tail, first]))
        self._tail = [left] if left else []
        return lines

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
        elif name == b"error":  # no field of the standard, but how llama.cpp's server told of an error for years
            self._type = "error"
            self._data.append(value)
        return None  # comments have an empty name; id and retry matter to reconnecting clients only

    def _dispatch(self) -> Event | None:
        event = Event(self._type or "message", b"\n".join(self._data)) if self._data else None
        self._type, self._data = "", []
        return event


def _plain_events(chunk: bytes) -> list[Event] | None:
    """The events of a chunk that holds whole events of one plain data line, as nearly every chunk of a stream does."""
    if b"\r" in chunk:
        return None
    parts = chunk[:-2].split(b"\n\n")
    if chunk.count(b"\n") != 2 * len(parts):
        return None
    events = [Event("message", part[6:]) for part in parts if part.startswith(b"data: ")]
    return events if len(events) == len(parts) else None
