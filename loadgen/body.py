"""The body of a response: its pieces with the reads that brought them, and runs of like chunks taken by sight."""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator

import httptools

from loadgen.arrivals import Arrivals
from loadgen.chunked import like_chunks
from loadgen.content import Piece
from loadgen.http1 import response_parser
from loadgen.reads import ends_of
from loadgen.template import strings_of


class Body:
    """Pieces of a body (transfer coding removed, content coding not), in one pass that can be left and taken up again."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._rest = iter(pieces)
        self._bytes = 0

    def __iter__(self) -> Iterator[Piece]:
        for read, piece in self._rest:
            self._bytes += len(piece)
            yield read, piece

    def run(self, before: bytes, after: bytes) -> tuple[list[bytes], list[int]]:
        """The next pieces, as long as each is `before`, the inside of a JSON string, `after`.

        What the strings say, and the reads that completed them. None where the pieces have to be read one by one.
        """
        del before, after
        return [], []

    def total_bytes(self) -> int:
        """Bytes of all pieces, also of those that nobody took."""
        for _ in self:
            pass
        return self._bytes


class WireBody(Body):
    """The body of an HTTP/1.1 response, parsed again from its reads; it ends where the response is broken."""

    def __init__(self, arrivals: Arrivals) -> None:
        super().__init__(())
        self._wire = arrivals.wire
        self._ends = ends_of(arrivals.table)
        self._at = 0  # bytes that are parsed, or were taken in runs
        self._found = _Found(arrivals.interim_responses)
        self._parser = response_parser(self._found)

    def __iter__(self) -> Iterator[Piece]:
        found = self._found
        while True:
            while found.pieces:
                read, piece = found.read, found.pieces.popleft()
                self._bytes += len(piece)
                yield read, piece
            if found.messages_left == 0 or self._at == len(self._wire):
                return
            self._parse_read()

    def _parse_read(self) -> None:
        self._found.read = read = bisect_right(self._ends, self._at)
        begin, self._at = self._at, self._ends[read]
        try:
            self._parser.feed_data(self._wire[begin : self._at])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._found.messages_left = 0

    def run(self, before: bytes, after: bytes) -> tuple[list[bytes], list[int]]:
        """As `Body` says: here the pieces are whole chunks, whose sizes stand before them."""
        if not self._is_between_chunks():
            return [], []
        insides, ends = like_chunks(self._wire, self._at, before, after)
        said = strings_of(insides)
        taken = len(said)
        if not taken:
            return [], []
        self._at = ends[taken - 1]
        self._bytes += sum(map(len, insides[:taken])) + taken * (len(before) + len(after))
        return said, self._reads_of(ends[:taken])

    def _reads_of(self, ends: list[int]) -> list[int]:
        """The reads that completed the chunks which end at `ends`: their last byte may have come before the line end after it."""
        first = bisect_left(self._ends, ends[0] - 2)
        if self._ends[first : first + len(ends)] == ends:  # a read each, as nearly always
            return list(range(first, first + len(ends)))
        return [bisect_left(self._ends, end - 2) for end in ends]

    def _is_between_chunks(self) -> bool:
        """Whether the parser waits for the first byte of a chunk's size."""
        found = self._found
        return found.is_after_chunk and not found.pieces and self._wire.endswith(b"\r\n", 0, self._at)


class _Found:
    """What httptools calls: it must not refer to the parser, since nothing would free the two while the collector is off."""

    def __init__(self, interim_responses: int) -> None:
        self.messages_left = interim_responses + 1
        self.is_after_chunk = False
        self.read = 0
        self.pieces: deque[bytes] = deque()
        self.on_body = self.pieces.append

    def on_message_begin(self) -> None:
        """Stop at what follows the response."""
        if self.messages_left == 0:
            raise ValueError("more than the response")

    def on_message_complete(self) -> None:
        """The response, or an interim one before it, is complete."""
        self.messages_left -= 1

    def on_chunk_header(self) -> None:
        """A chunk's size has been read."""
        self.is_after_chunk = False

    def on_chunk_complete(self) -> None:
        """A chunk has been read."""
        self.is_after_chunk = True


def body_of(arrivals: Arrivals) -> Body:
    """The body of a response: as it was read, or as httpx's transport recorded it."""
    return WireBody(arrivals) if arrivals.wire else Body(arrivals.pieces)
