"""HTTP/1.1 on recorded reads: parsing is put off until a read may complete the response."""

from collections.abc import Iterable
from typing import Any

import httptools
import httpx

from loadgen.arrivals import Arrivals

_LAST_CHUNK_END = b"\r\n\r\n"
_MOST_PENDING = 32


def request_bytes(request: httpx.Request) -> bytes:
    """The request as it goes over the wire; its content must have been read."""
    head = [request.method.encode("ascii"), b" ", request.url.raw_path, b" HTTP/1.1\r\n"]
    for name, value in request.headers.raw:
        head += (name, b": ", value, b"\r\n")
    return b"".join([*head, b"\r\n", request.content])


class ResponseReader:
    """Reads one response into an Arrivals recorder.

    Headers and bodies of known length are parsed at once. A chunked body, the form of every stream, is parsed when a
    read can be its last one (it ends in CRLFCRLF, or is too short to tell), and every 32 reads, so that the end of a
    long answer costs no more than that of a short one: the next request waits for it.
    """

    def __init__(self, arrivals: Arrivals, *, without_body: bool = False) -> None:
        self.complete = False
        self.keep_alive = False
        self._arrivals = arrivals
        self._without_body = without_body
        self._parser: Any = httptools.HttpResponseParser(self)
        self._pending: list[bytes] = []
        self._parsed = 0  # reads parsed; while parsing, the index of the read at hand
        self.chunked = False
        self._until_close = False

    def add(self, data: bytes) -> bool:
        """Take the next read, already stamped; whether the response is complete.

        Raises httpx.RemoteProtocolError if this is no HTTP/1.1 response.
        """
        self._pending.append(data)
        may_be_last = len(data) < 4 or data.endswith(_LAST_CHUNK_END)
        if self.chunked and not may_be_last and len(self._pending) < _MOST_PENDING:
            return False
        self.parse()
        return self.complete

    def parse(self) -> None:
        """Parse what was put off. Raises httpx.RemoteProtocolError."""
        pending, self._pending = self._pending, []
        for data in pending:
            if not self.complete:
                try:
                    self._parser.feed_data(data)
                except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
                    raise httpx.RemoteProtocolError(
                        f"not an HTTP/1.1 response: {error}; it has {data[:80]!r}"
                    ) from None
            self._parsed += 1

    def end(self) -> None:
        """The server closed the connection. Raises httpx.RemoteProtocolError if the response is not complete."""
        self.parse()
        if self._until_close:
            self.complete = True
        if not self.complete:
            when = "in the middle of the body" if self._arrivals.headers_ns else "before it answered"
            raise httpx.RemoteProtocolError(f"the server closed the connection {when}")

    def release(self) -> None:
        """Let go of the parser, which refers back: nothing else frees the pair while the collector is off."""
        self._parser = None

    # -- httptools' callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._arrivals.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Note the status and how the body will end."""
        status = self._parser.get_status_code()
        if status < 200:
            return
        self._arrivals.status = status
        self._arrivals.headers_ns = self._arrivals.stamps[self._parsed]
        self.keep_alive = self._parser.should_keep_alive()
        self.chunked = "chunked" in self._arrivals.header(b"transfer-encoding").lower()
        self._until_close = not self.chunked and not self._arrivals.header(b"content-length")
        if self._without_body:
            self.complete, self.keep_alive = True, False

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body with the read that brought it."""
        self._arrivals.body.append((self._parsed, body))

    def on_message_complete(self) -> None:
        """End the response, unless it was only an interim one."""
        if self._arrivals.status is None:  # 100 Continue and the like: the response proper follows
            self._arrivals.headers.clear()
            return
        self.complete = True


def body_of(pieces: Iterable[tuple[int, bytes]]) -> bytes:
    """The body's pieces joined."""
    return b"".join(piece for _, piece in pieces)
