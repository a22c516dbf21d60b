"""HTTP/1.1 on recorded reads: parsing is put off until a read may complete the response."""

from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import httptools
import httpx

from loadgen.arrivals import Arrivals

_LAST_CHUNK = b"0\r\n\r\n"
_LAST_CHUNK_END = b"\r\n\r\n"
_SHORT = len(_LAST_CHUNK_END)
_SHOWN_BYTES = 1024
"""Of what is no response: more than a message keeps, or a secret that is cut in two would not be masked."""


def request_bytes(request: httpx.Request) -> bytes:
    """The request as it goes over the wire; its content must have been read."""
    head = [request.method.encode("ascii"), b" ", request.url.raw_path, b" HTTP/1.1\r\n"]
    for name, value in request.headers.raw:
        head += (name, b": ", value, b"\r\n")
    return b"".join([*head, b"\r\n", request.content])


class ResponseReader:
    """Reads one response out of the reads of an Arrivals recorder.

    Headers and bodies of known length are parsed at once. A chunked body, the form of every stream, is parsed when a
    read can be its last one: it ends in CRLFCRLF, or is too short to tell.
    """

    def __init__(self, arrivals: Arrivals, *, without_body: bool = False) -> None:
        self.complete = False
        self.keep_alive = False
        self.chunked = False
        self._arrivals = arrivals
        self._reads = arrivals.reads
        self._keep, self._keep_time, self._keep_stamp = (
            arrivals.reads.append,
            arrivals.read_at.append,
            arrivals.received.extend,
        )
        self._without_body = without_body
        self._begin()

    def _begin(self) -> None:
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        self._parsed = 0  # reads parsed; while parsing, the index of the read at hand
        self._until_close = False
        self._parser: Any = httptools.HttpResponseParser(self)

    def add(self, data: bytes, read_at: int, received: bytes) -> bool:
        """Take the next read: its bytes, when it was read, the kernel's stamp.

        Whether it is worth parsing, since the response may be complete with it.
        """
        self._keep(data)
        self._keep_time(read_at)
        self._keep_stamp(received)
        return not self.chunked or data.endswith(_LAST_CHUNK_END) or len(data) < _SHORT

    def parse(self) -> None:
        """Parse the reads that were put off. Raises httpx.RemoteProtocolError."""
        waiting = len(self._reads) - self._parsed
        if waiting == 1 or (waiting and not self.chunked):
            self._parse_one_by_one()
        elif waiting:
            self._parse_together()

    def end(self) -> None:
        """The server closed the connection. Raises httpx.RemoteProtocolError if the response is not complete."""
        self.parse()
        if self._until_close:
            self.complete = True
        if not self.complete:
            when = "before it answered" if self._arrivals.status is None else "in the middle of the body"
            raise httpx.RemoteProtocolError(f"the server closed the connection {when}")

    def release(self) -> None:
        """Let go of the parser, which refers back: nothing else frees the pair while the collector is off."""
        self._parser = None

    def _parse_one_by_one(self) -> None:
        arrivals = self._arrivals
        for data in self._reads[self._parsed :]:
            self._feed(data)
            arrivals.body += self._pieces
            arrivals.body_reads += [self._parsed] * len(self._pieces)
            self._pieces.clear()
            self._parsed += 1

    def _parse_together(self) -> None:
        """Feed many reads as one, and find out which read each chunk came with by counting bytes.

        That needs every chunk whole and its size without leading zeros or extensions, as servers send them; otherwise
        the response is parsed anew, read by read.
        """
        arrivals, first = self._arrivals, self._parsed
        reads = self._reads[first:]
        wire = b"".join(reads)
        try:
            self._feed(wire)
        except httpx.RemoteProtocolError:
            self._parse_anew()  # which keeps what came before the trouble, and raises it again
            return
        pieces = self._pieces
        chunks = list(map(len, pieces))
        # the size in hexadecimal digits, two line ends, the chunk; few sizes differ
        on_wire = {size: len(b"%x" % size) + 4 + size for size in set(chunks)}
        sizes = [on_wire[size] for size in chunks]
        end = _LAST_CHUNK if self.complete else b""
        if sum(sizes) + len(end) != len(wire) or not _begins_and_ends_whole(wire, pieces, end):
            self._parse_anew()
            return
        lengths, alone = list(map(len, reads)), len(reads) - 1
        if sizes[:alone] == lengths[:alone]:  # a chunk a read, and what is left came with the last one
            arrivals.body += pieces
            arrivals.body_reads += [*range(first, first + alone), *[first + alone] * (len(pieces) - alone)]
        else:
            for read, piece in _placed(pieces, sizes, list(accumulate(lengths)), first):
                arrivals.body.append(piece)
                arrivals.body_reads.append(read)
        pieces.clear()
        self._parsed += len(reads)

    def _parse_anew(self) -> None:
        arrivals = self._arrivals
        arrivals.body.clear()
        arrivals.body_reads.clear()
        arrivals.headers.clear()
        arrivals.status = arrivals.headers_read = None
        self.complete = self.chunked = False
        self._begin()
        self._parse_one_by_one()

    def _feed(self, data: bytes) -> None:
        try:
            if not self.complete:
                self._parser.feed_data(data)
                return
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.complete:
                raise httpx.RemoteProtocolError(
                    f"not an HTTP/1.1 response: {error}; it has {data[:_SHOWN_BYTES]!r}"
                ) from None
        self.keep_alive = False  # what follows a whole response would be taken for the next one

    # -- httptools' callbacks; `on_body` keeps a piece

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
            self._arrivals.headers.clear()
            return
        self.complete = True


def _begins_and_ends_whole(wire: bytes, pieces: list[bytes], end: bytes) -> bool:
    """Whether the first and the last chunk are whole: half of one could hide what another's size has too much."""
    if not pieces:
        return True
    first, last = (b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (pieces[0], pieces[-1]))
    return wire.startswith(first) and wire.endswith(last + end)


def _placed(pieces: list[bytes], sizes: list[int], ends: list[int], first: int) -> Iterable[tuple[int, bytes]]:
    """`pieces` with their reads, cut where a read ended: `sizes` on the wire, `ends` of the reads, number of the first."""
    read, at = 0, 0
    for piece, size in zip(pieces, sizes, strict=True):
        at += size
        start = at - 2 - len(piece)
        while ends[read] <= start:
            read += 1
        while ends[read] < at - 2:
            cut = ends[read] - start
            yield first + read, piece[:cut]
            piece, start, read = piece[cut:], ends[read], read + 1
        yield first + read, piece
