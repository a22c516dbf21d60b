"""httpx's transport over sockets of our own, so that arrivals are stamped where they arrive.

    transport = SocketTransport(timeout_s=600)
    await transport.open(64, "http://127.0.0.1:8000")
    request = client.build_request("POST", url, json=body, extensions={"arrivals": Arrivals()})
    response = await transport.handle_async_request(request)

It is also an ordinary transport under httpx.AsyncClient; the body comes in one piece once it is complete. There are
no retries. Not supported: HTTP/2 and proxies.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from time import monotonic_ns

import httpx

from loadgen.arrivals import Arrivals
from loadgen.connection import Connection
from loadgen.heartbeat import Heartbeat
from loadgen.http1 import body_of, request_bytes
from loadgen.pool import Origin, Pool
from loadgen.sockets import open_socket
from loadgen.stamps import ReadClock


class _Body(httpx.AsyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


class SocketTransport(httpx.AsyncBaseTransport):
    """Pooled keep-alive HTTP/1.1 connections whose reads are stamped with the kernel's time of receipt.

    `timeout_s` bounds a whole request, connecting included; `connect_timeout_s` a connect with TLS. httpx's own
    time-outs, which bound single reads, are not used. Null means no limit.
    """

    def __init__(
        self, *, timeout_s: float | None = None, connect_timeout_s: float | None = 10.0, verify: bool = True
    ) -> None:
        self.beat = Heartbeat()
        self.connections_opened = 0
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._verify = verify
        self._ssl_context: ssl.SSLContext | None = None
        self._clock = ReadClock(self.beat)
        self._pool = Pool()

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

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and return its complete response.

        Raises httpx.ConnectError, ConnectTimeout, ReadTimeout (the whole request took too long), ReadError,
        WriteError, RemoteProtocolError. `request.extensions["arrivals"]` is filled in either case.
        """
        arrivals = request.extensions.get("arrivals") or Arrivals()
        await request.aread()
        wire = request_bytes(request)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._exchange(request, wire, arrivals)
        except TimeoutError:
            raise httpx.ReadTimeout(f"no complete answer within {self._timeout_s:g} s", request=request) from None
        except httpx.TransportError as error:
            error.request = request
            raise
        finally:
            arrivals.closed_ns = arrivals.closed_ns or monotonic_ns()
        assert arrivals.status is not None  # a complete response has a status
        return httpx.Response(
            arrivals.status,
            headers=arrivals.headers,
            stream=_Body(body_of(arrivals.body)),
            extensions={"http_version": b"HTTP/1.1", "arrivals": arrivals},
        )

    async def aclose(self) -> None:
        """Close the idle connections and stop the heartbeat."""
        self.beat.stop()
        self._pool.close()

    async def _exchange(self, request: httpx.Request, wire: bytes, arrivals: Arrivals) -> None:
        origin = _origin(request.url)
        connection = self._pool.take(origin)
        if connection is None:
            started = monotonic_ns()
            connection = await self._connect(origin)
            arrivals.connect_ns = monotonic_ns() - started
        reader = await connection.exchange(wire, arrivals, without_body=request.method == "HEAD")
        self._pool.give_back(origin, connection, streamed=reader.chunked)

    async def _connect(self, origin: Origin) -> Connection:
        self.beat.start()
        scheme, host, port = origin
        if scheme == "https" and self._ssl_context is None:
            self._ssl_context = httpx.create_ssl_context(verify=self._verify)
        sock, tls = await open_socket(
            host, port, self._ssl_context if scheme == "https" else None, self._connect_timeout_s
        )
        self.connections_opened += 1
        return Connection(sock, tls, self._clock)


def _origin(url: httpx.URL) -> Origin:
    if url.scheme not in ("http", "https"):
        raise httpx.UnsupportedProtocol(f"{url.scheme or 'no scheme'}: expected http or https")
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)
