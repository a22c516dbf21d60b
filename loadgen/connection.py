"""One HTTP/1.1 connection: a non-blocking socket on the event loop, one recvmsg a readiness."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from time import monotonic_ns

import httpx

from loadgen.arrivals import Arrivals
from loadgen.http1 import ResponseReader
from loadgen.sockets import Tls
from loadgen.stamps import ANCILLARY_BYTES, NO_STAMP, ReadClock
from loadgen.turns import Turns

_READ_BYTES = 65536


class Connection:
    """A connected socket that carries one request at a time."""

    def __init__(self, sock: socket.socket, tls: Tls | None, clock: ReadClock, turns: Turns) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._tls = tls
        self._clock = clock
        self._unsent = memoryview(b"")
        self._reader: ResponseReader | None = None
        self._take: Callable[[bytes, int, bytes], bool] | None = None  # a read of plain text; says whether to parse
        self._done: asyncio.Future[None] | None = None
        self.is_open = True
        self._recvmsg = sock.recvmsg
        self._turns = turns
        self._is_waiting = False  # for its turn to be parsed
        self._loop.add_reader(sock.fileno(), self._on_readable)

    def is_usable(self) -> bool:
        """Whether a request may be sent: looks for an end of file that the event loop has not come to yet."""
        if self.is_open:
            self._on_readable()
        return self.is_open

    async def exchange(self, wire: bytes, arrivals: Arrivals, *, without_body: bool = False) -> ResponseReader:
        """Send a request and wait for its whole response.

        The connection is closed unless the response is complete and may be followed by another. Raises
        httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError; what had arrived is in `arrivals` all the same.
        """
        reader = self._reader = ResponseReader(arrivals, without_body=without_body)
        self._take = None if self._tls else reader.add
        self._done = self._loop.create_future()
        data = self._tls.encrypt(wire) if self._tls else wire
        arrivals.sent_ns = monotonic_ns()
        try:
            self._send(memoryview(data))
            await self._done
            arrivals.closed_ns = self._clock.received_ns(arrivals)
        except BaseException:
            self.close()
            arrivals.closed_ns = monotonic_ns()
            _parse_leftovers(reader)
            raise
        finally:
            arrivals.unsettled = self._clock.settle
            reader.release()
            self._reader = self._take = self._done = None
        if not reader.keep_alive or self._unsent:
            self.close()
        return reader

    def close(self) -> None:
        """Close the socket; a request under way is not told."""
        if self.is_open:
            self.is_open = False
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
            self._sock.close()

    # -- events of the loop

    def _on_readable(self) -> None:
        try:
            data, ancillary, _, _ = self._recvmsg(_READ_BYTES, ANCILLARY_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._fail(httpx.ReadError(f"the connection broke: {error.strerror or error}"))
            return
        now, stamp = monotonic_ns(), ancillary[0][2] if ancillary else NO_STAMP
        if data and self._take is not None:
            if self._take(data, now, stamp):
                self._ripen()
        else:
            self._on_unusual(data, now, stamp)

    def _on_unusual(self, data: bytes, now: int, stamp: bytes) -> None:
        """A read of TLS, at the end, or while no response is under way."""
        at_end = not data
        if self._tls is not None:
            try:
                data = self._tls.decrypt(data)
            except ssl.SSLError as error:
                self._fail(httpx.ReadError(f"TLS broke: {error}"))
                return
            at_end = at_end or self._tls.closed
        if data:
            if self._reader is None:
                self.close()  # bytes that nobody asked for: the next response would be read wrong
                return
            if self._reader.add(data, now, stamp):
                self._ripen()
        if at_end:
            self._on_eof()

    def _ripen(self) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._turns.take(self._parse)

    def _parse(self) -> None:
        self._is_waiting = False
        if self._reader is None:
            return  # given up meanwhile
        try:
            self._reader.parse()
            if self._reader.complete:
                self._finish()
        except httpx.RemoteProtocolError as error:
            self._fail(error)

    def _on_eof(self) -> None:
        reader = self._reader
        self.close()
        if reader is not None:
            try:
                reader.end()
                self._finish()
            except httpx.RemoteProtocolError as error:
                self._fail(error)

    def _on_writable(self) -> None:
        self._loop.remove_writer(self._sock.fileno())
        self._send(self._unsent)

    def _send(self, data: memoryview) -> None:
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._fail(httpx.WriteError(f"the request could not be sent: {error.strerror or error}"))
            return
        self._unsent = data[sent:]
        if self._unsent:
            self._loop.add_writer(self._sock.fileno(), self._on_writable)

    def _finish(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _fail(self, error: httpx.TransportError) -> None:
        self.close()
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)


def _parse_leftovers(reader: ResponseReader) -> None:
    """Parse the reads that waited for the end of a body that never came."""
    with contextlib.suppress(httpx.RemoteProtocolError):  # the failure that ended the exchange says more
        reader.parse()
