"""HTTP/1.1 over the reads of a connection: whether a response is complete, and what may follow it."""

import contextlib
from typing import Any

import httptools
import httpx

from loadgen.arrivals import Arrivals
from loadgen.receiver import Record

_SHOWN_BYTES = 1024
"""Of what is no response: more than a message keeps, or a secret that is cut in two would not be masked."""


def request_bytes(request: httpx.Request) -> bytes:
    """The request as it goes over the wire; its content must have been read."""
    head = [request.method.encode("ascii"), b" ", request.url.raw_path, b" HTTP/1.1\r\n"]
    for name, value in request.headers.raw:
        head += (name, b": ", value, b"\r\n")
    return b"".join([*head, b"\r\n", request.content])


def response_parser(callbacks: Any) -> Any:
    """A parser of one response, httptools' own.

    As other clients do, it takes spaces after the size of a chunk, and lets a Transfer-Encoding override a Content-Length
    (RFC 9112, 6.3).
    """
    parser = httptools.HttpResponseParser(callbacks)
    parser.set_dangerous_leniencies(lenient_chunked_length=True, lenient_spaces_after_chunk_size=True)
    return parser


class ResponseReader:
    """Follows one response through the reads of a `record`; status and headers go to an Arrivals recorder.

    `parse` is to be called when the record asks to be looked at. A chunked body, the form of every stream, is left
    until a read can be its last one: the record streams. What the body holds is `loadgen.body`'s to say, later.
    """

    def __init__(self, record: Record, arrivals: Arrivals, *, without_body: bool = False) -> None:
        self.complete = False
        self.keep_alive = False
        self.chunked = False
        self.ended_by_close = False
        """Whether it is the server's closing that ended the body."""
        self._record = record
        self._arrivals = arrivals
        self._without_body = without_body
        self._parsed = 0  # reads parsed; while parsing, the index of the read at hand
        self._until_close = False
        self._parser = response_parser(self)

    @property
    def waiting(self) -> int:
        """Reads that are not parsed yet."""
        return len(self._record) - self._parsed

    def parse(self) -> None:
        """Parse the reads that were put off. Raises httpx.RemoteProtocolError."""
        while self.waiting and self._arrivals.headers_read is None:
            self._feed(self._record.wire(self._parsed, self._parsed + 1))
            self._parsed += 1
        if waiting := self.waiting:
            self._feed(self._record.wire(self._parsed, self._parsed + waiting))
            self._parsed += waiting
        self._record.streaming = self.chunked

    def end(self) -> None:
        """The server closed the connection. Raises httpx.RemoteProtocolError if the response is not complete."""
        self.parse()
        if self._until_close and not self.complete:
            self.complete = self.ended_by_close = True
        if not self.complete:
            when = "before it answered" if self._arrivals.status is None else "in the middle of the body"
            raise httpx.RemoteProtocolError(f"the server closed the connection {when}")

    def release(self) -> None:
        """Take what the record holds, and let go of the parser, which refers back: nothing else frees the pair while the collector is off."""
        with contextlib.suppress(httpx.RemoteProtocolError):  # the failure that ended the exchange says more
            self.parse()
        self._arrivals.wire, self._arrivals.table = self._record.take()
        self._parser = None

    def _feed(self, data: bytes) -> None:
        try:
            if not self.complete:
                self._parser.feed_data(data)
                return
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.complete:
                what = f"not an HTTP/1.1 response: {error}"
                if isinstance(error, httptools.HttpParserUpgrade):
                    what = "the server switches to another protocol, which nobody asked for"
                raise httpx.RemoteProtocolError(f"{what}; it has {data[:_SHOWN_BYTES]!r}") from None
        self.keep_alive = False  # what follows a whole response would be taken for the next one

    # -- httptools' callbacks

    def on_message_begin(self) -> None:
        """Stop at a second response."""
        if self.complete:
            raise ValueError("more than the response")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._arrivals.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Note the status and how the body will end."""
        status = self._parser.get_status_code()
        if status < 200:
            return
        self._arrivals.status = status
        self._arrivals.headers_read = self._parsed
        self.keep_alive = self._parser.should_keep_alive()
        self.chunked = "chunked" in self._arrivals.header(b"transfer-encoding").lower()
        self._until_close = not self.chunked and not self._arrivals.header(b"content-length")
        if self._without_body:
            self.complete, self.keep_alive = True, False

    def on_message_complete(self) -> None:
        """End the response, unless it was only an interim one."""
        if self._arrivals.status is None:  # 100 Continue and the like: the response proper follows
            self._arrivals.interim_responses += 1
            self._arrivals.headers.clear()
            return
        self.complete = True
