"""httpx's transport over sockets of our own, so that arrivals are stamped where they arrive.

    transport = SocketTransport(timeout_s=600)
    await transport.open(64, "http://127.0.0.1:8000")
    request = client.build_request("POST", url, json=body, extensions={"arrivals": Arrivals()})
    response = await transport.handle_async_request(request)

It is also an ordinary transport under httpx.AsyncClient; the body comes in one piece once it is complete. There are
no retries. HTTP/2 and proxies are for `loadgen.fallback`.
"""

import asyncio
import socket
import ssl
import weakref
from collections.abc import AsyncIterator, Callable
from time import monotonic_ns

import httpx

from loadgen.arrivals import Arrivals
from loadgen.body import body_of
from loadgen.connection import Connection, UnsentError
from loadgen.due import until
from loadgen.heartbeat import Heartbeat
from loadgen.http1 import request_bytes
from loadgen.pool import TRIAL_S, Origin, Pool
from loadgen.receiver import Receiver, receiver
from loadgen.sockets import not_connected, open_socket, tls_context
from loadgen.stamps import ReadClock
from loadgen.turns import Turns

_MOST_OPENING = 32
_RETRY_NS = 1_000_000_000


class _Body(httpx.AsyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


class SocketTransport(httpx.AsyncBaseTransport):
    """Pooled keep-alive HTTP/1.1 connections whose reads are stamped with the kernel's time of receipt.

    `timeout_s` bounds a whole request, connecting included; `connect_timeout_s` a connect with TLS. httpx's own
    time-outs, which bound single reads, are not used. Null means no limit. `keeps_connections` is whether the server
    keeps a connection after a stream; null lets it be found out (`loadgen.pool`).
    """

    refused_http2 = False  # nobody asks for it here

    def __init__(
        self,
        *,
        timeout_s: float | None = None,
        connect_timeout_s: float | None = 10.0,
        verify: bool = True,
        keeps_connections: bool | None = None,
    ) -> None:
        self.beat = Heartbeat()
        self.connections_opened = 0
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._verify = verify
        self._ssl_context: ssl.SSLContext | None = None
        self._clock = ReadClock(self.beat)
        self._pool = Pool(keeps_connections)
        self._turns = Turns()
        self._receiver: Receiver | None = None  # made on the loop that connects
        self._opening: set[asyncio.Task[None]] = set()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._reserve_after_ns = 0

    async def open(self, connections: int, url: str | httpx.URL) -> None:
        """Open connections before they are needed. Raises httpx.ConnectError or httpx.ConnectTimeout."""
        origin = _origin(httpx.URL(url))
        opened = await asyncio.gather(*(self._connect(origin) for _ in range(connections)), return_exceptions=True)
        for item in opened:
            if isinstance(item, Connection):
                self._pool.add(origin, item)
        for item in opened:
            if isinstance(item, BaseException):
                raise item

    def reserve(self, connections: int, url: str | httpx.URL) -> None:
        """Open what is missing to so many idle connections, in the background and a few at a time.

        To be called again and again; after a failure, which the requests meet as well, nothing is tried for a second.
        """
        if monotonic_ns() < self._reserve_after_ns:
            return
        origin = _origin(httpx.URL(url))
        opening = len(self._opening)
        for _ in range(min(connections - self._pool.idle(origin), _MOST_OPENING) - opening):
            task = asyncio.create_task(self._open_one(origin))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and return its complete response.

        Raises as `exchange` does. `request.extensions["arrivals"]` is filled in either case.
        """
        arrivals = request.extensions.get("arrivals") or Arrivals()
        await self.exchange(request, arrivals)
        arrivals.settle()
        return response_of(arrivals, b"HTTP/1.1")

    async def exchange(self, request: httpx.Request, arrivals: Arrivals, at_ns: int = 0) -> None:
        """Send one request and record its complete response in `arrivals`, of which the reads are still to be settled.

        It leaves at `at_ns` (monotonic), or at once where that is past; time-outs count from then.

        Raises httpx.ConnectError, ConnectTimeout, ReadTimeout (the whole request took too long), ReadError,
        WriteError, RemoteProtocolError; what had arrived is recorded then, too.
        """
        await request.aread()
        early_s = max(0, at_ns - monotonic_ns()) / 1e9
        try:
            async with asyncio.timeout(None if self._timeout_s is None else early_s + self._timeout_s):
                await self._exchange(request, request_bytes(request), arrivals, at_ns)
        except TimeoutError:
            if arrivals.sent_ns is None:
                _, host, port = _origin(request.url)
                late = not_connected(f"{host}:{port}", self._timeout_s, in_handshake=arrivals.in_handshake)
                late.request = request
                raise late from None
            raise httpx.ReadTimeout(f"no complete answer within {self._timeout_s:g} s", request=request) from None
        except httpx.TransportError as error:
            error.request = request
            raise
        finally:
            arrivals.closed_ns = arrivals.closed_ns or monotonic_ns()

    @property
    def busy(self) -> bool:
        """Whether answers that are complete wait for their turn: what can wait should."""
        return bool(self._turns)

    def watch_lags(self, loop: Callable[[int, int], None], read: Callable[[int], None]) -> None:
        """Call `loop` with the lag of each beat of the event loop and the beat's weight, `read` with that of a share of the reads (ns)."""
        self.beat.on_lag = loop
        self._clock.on_lag = read

    def open_sockets(self) -> list[socket.socket]:
        """Sockets of the connections that are open now, idle or not."""
        return [sock for sock in self._sockets if sock.fileno() >= 0]

    async def find_out(self) -> bool | None:
        """Whether the server keeps a connection after a stream, once that is known; null without any stream."""
        if self._pool.keeps is None:
            await asyncio.sleep(2 * TRIAL_S)
        return self._pool.keeps

    async def aclose(self) -> None:
        """Close the idle connections and stop the heartbeat."""
        self.beat.stop()
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        self._pool.close()
        if self._receiver is not None:
            self._receiver.close()
            self._receiver = None

    async def _exchange(self, request: httpx.Request, wire: bytes, arrivals: Arrivals, at_ns: int) -> None:
        if at_ns > monotonic_ns():
            try:
                await self._carry(request, wire, arrivals, at_ns)
                return
            except UnsentError:
                pass
            except httpx.TransportError:
                if monotonic_ns() >= at_ns:
                    raise
            # no failure comes before its time, and what was not sent has not failed
            await until(at_ns)
        await self._carry(request, wire, arrivals, 0)

    async def _carry(self, request: httpx.Request, wire: bytes, arrivals: Arrivals, at_ns: int) -> None:
        origin = _origin(request.url)
        connection = self._pool.take(origin)
        if connection is None:
            started_ns = monotonic_ns()
            connection = await self._connect(origin, arrivals)
            if (connected_ns := monotonic_ns()) > at_ns:  # else it was open before it was needed, as most are
                arrivals.connect_ns = connected_ns - started_ns
        reader = await connection.exchange(wire, arrivals, at_ns=at_ns, without_body=request.method == "HEAD")
        self._pool.give_back(origin, connection, streamed=reader.chunked)

    async def _open_one(self, origin: Origin) -> None:
        try:
            self._pool.add(origin, await self._connect(origin))
        except httpx.TransportError:
            self._reserve_after_ns = monotonic_ns() + _RETRY_NS

    async def _connect(self, origin: Origin, arrivals: Arrivals | None = None) -> Connection:
        self.beat.start()
        scheme, host, port = origin
        if scheme == "https" and self._ssl_context is None:
            self._ssl_context = tls_context(verify=self._verify)
        context = self._ssl_context if scheme == "https" else None
        sock, tls = await open_socket(host, port, context, self._connect_timeout_s, arrivals or Arrivals())
        self.connections_opened += 1
        self._sockets.add(sock)
        if self._receiver is None:
            self._receiver = receiver(self.beat)
        return Connection(sock, tls, self._receiver, self._clock, self._turns)


def response_of(arrivals: Arrivals, http_version: bytes) -> httpx.Response:
    """The recorded response as one of httpx."""
    assert arrivals.status is not None  # a complete response has a status
    return httpx.Response(
        arrivals.status,
        headers=arrivals.headers,
        stream=_Body(b"".join(piece for _, piece in body_of(arrivals))),
        extensions={"http_version": http_version, "arrivals": arrivals},
    )


def _origin(url: httpx.URL) -> Origin:
    if url.scheme not in ("http", "https"):
        raise httpx.UnsupportedProtocol(f"{url.scheme or 'no scheme'}: expected http or https")
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)
