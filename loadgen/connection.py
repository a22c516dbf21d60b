"""One HTTP/1.1 connection: a non-blocking socket whose reads a receiver keeps, and one request at a time on it."""

import asyncio
import os
import socket
import ssl
from dataclasses import dataclass
from time import monotonic_ns

import httpx

from loadgen.arrivals import READ, Arrivals
from loadgen.http1 import ResponseReader
from loadgen.receiver import PlainRecord, Receiver
from loadgen.sockets import Tls
from loadgen.stamps import ReadClock
from loadgen.turns import Turns


class UnsentError(Exception):
    """The connection ended before the time of its request."""


@dataclass(slots=True)
class _Leaving:
    """A request that is to be sent at its time."""

    data: bytes
    arrivals: Arrivals
    without_body: bool


class Connection:
    """A connected socket that carries one request at a time."""

    def __init__(
        self, sock: socket.socket, tls: Tls | None, receiver: Receiver, clock: ReadClock, turns: Turns
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._tls = tls
        self._receiver = receiver
        self._clock = clock
        self._leaving: _Leaving | None = None
        self._unsent = memoryview(b"")
        self._reader: ResponseReader | None = None
        self._done: asyncio.Future[None] | None = None
        self.is_open = True
        self._turns = turns
        self._is_waiting = False  # for its turn to be parsed
        self._wire = receiver.add(sock, self._look)
        self._decrypted = PlainRecord()
        self._record = self._decrypted if tls else self._wire

    def is_usable(self) -> bool:
        """Whether a request may be sent: looks for an end of file that the event loop has not come to yet."""
        if self.is_open and (self._receiver.read(self._wire) or len(self._wire)):
            self._look()
        return self.is_open

    async def exchange(
        self, wire: bytes, arrivals: Arrivals, *, at_ns: int = 0, without_body: bool = False
    ) -> ResponseReader:
        """Send a request at `at_ns` (monotonic), or at once where that is past, and wait for its whole response.

        The connection is closed unless the response is complete and may be followed by another. Raises
        httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError; what had arrived is in `arrivals` all the same.
        Raises UnsentError where the connection ended before `at_ns`.
        """
        self._done = self._loop.create_future()
        data = self._tls.encrypt(wire) if self._tls else wire
        try:
            if at_ns > monotonic_ns():
                self._leaving = _Leaving(data, arrivals, without_body)
                self._receiver.send_at(self._wire, data, at_ns, self._tls is None)
            else:
                self._reader = ResponseReader(self._record, arrivals, without_body=without_body)
                arrivals.sent_ns = monotonic_ns()
                self._send(memoryview(data))
            await self._done
        except BaseException as error:
            self.close()
            self._hear_of_sending()
            if self._reader is None and isinstance(error, httpx.TransportError):
                raise UnsentError from error
            arrivals.closed_ns = monotonic_ns()
            raise
        finally:
            reader, self._reader = self._reader, None
            self._done = self._leaving = None
            if reader is not None:
                reader.release()
                arrivals.unsettled = self._clock.settle
        assert reader is not None  # whoever is done has been sent
        arrivals.closed_ns = monotonic_ns() if reader.ended_by_close else self._clock.received_ns(arrivals)
        if not reader.keep_alive or self._unsent:
            self.close()
        return reader

    def close(self) -> None:
        """Close the socket; a request under way is not told."""
        if self.is_open:
            self.is_open = False
            self._receiver.remove(self._wire)
            self._loop.remove_writer(self._sock.fileno())
            self._sock.close()

    # -- events of the loop

    def _look(self) -> None:
        """Something came that has to be seen to now, or the connection has ended."""
        self._hear_of_sending()
        if not self.is_open:
            return  # closed by what came on another connection
        # in this order: what comes after them is looked at again
        ripe, at_end, broken = True, self._wire.ended, self._wire.error
        if self._tls is not None:
            try:
                ripe = self._decrypt(self._tls)
            except ssl.SSLError as error:
                self._fail(httpx.ReadError(f"TLS broke: {error}"))
                return
            at_end = at_end or self._tls.closed
        if broken:  # what came before it has been taken
            self._fail(httpx.ReadError(f"the connection broke: {os.strerror(broken)}"))
        elif self._reader is None:
            if ripe or at_end:
                # bytes that nobody asked for: the next response would be read wrong
                self._fail(httpx.ReadError("the server closed the connection, or sent what nobody asked for"))
        elif at_end:
            self._on_eof(self._reader)
        elif ripe and self._reader.waiting:
            self._ripen()

    def _hear_of_sending(self) -> None:
        """Where the request has been sent at its time, go on to its response."""
        if self._leaving is None:
            return
        sent_ns, sent, error = self._wire.sent
        if not sent_ns:
            return
        leaving, self._leaving = self._leaving, None
        leaving.arrivals.sent_ns = sent_ns
        self._reader = ResponseReader(self._record, leaving.arrivals, without_body=leaving.without_body)
        if error:
            self._fail(_not_sent(error))
        else:
            self._rest(memoryview(leaving.data)[sent:])

    def _decrypt(self, tls: Tls) -> bool:
        """Take what the wire brought into the record of plain text; whether that is to be looked at."""
        ripe, begin = False, 0
        wire, table = self._wire.take()
        for end, read_at, received in READ.iter_unpack(table):
            data = tls.decrypt(wire[begin:end])
            begin = end
            if data:
                ripe = self._decrypted.add(data, read_at, received) or ripe
        return ripe

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

    def _on_eof(self, reader: ResponseReader) -> None:
        self.close()
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
            self._fail(_not_sent(error.errno or 0))
            return
        self._rest(data[sent:])

    def _rest(self, data: memoryview) -> None:
        """Send what the socket did not take as soon as it can."""
        self._unsent = data
        if self._unsent and self.is_open:
            self._loop.add_writer(self._sock.fileno(), self._on_writable)

    def _finish(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _fail(self, error: httpx.TransportError) -> None:
        self.close()
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)


def _not_sent(error: int) -> httpx.WriteError:
    return httpx.WriteError(f"the request could not be sent: {os.strerror(error)}")
