"""The transport for what sockets of our own do not do, proxies and HTTP/2: httpx's own, kept as well as it can be.

It fills the same recorder, with the time of reading instead of the kernel's (`clock_source` is `user`), and
`Arrivals.transport` says `httpx`. Only the endpoint's own `proxy` is used, never one from the environment.
"""

import asyncio
import contextlib
import importlib.util
import socket
from collections.abc import Callable
from time import monotonic_ns

import httpx

from loadgen.arrivals import Arrivals
from loadgen.due import until
from loadgen.heartbeat import BEAT_NS, Heartbeat
from loadgen.proxies import proxy_of, socks_errors
from loadgen.retold import Peer, not_connected, retold
from loadgen.sockets import tls_context
from loadgen.transport import response_of
from loadgen.watch import Watch
from schemas.errors import SpecError


class FallbackTransport(httpx.AsyncBaseTransport):
    """httpx's transport with the surface, time-outs and errors of `SocketTransport`.

    Each request in flight has a connection of its own, in a pool of its own: httpx's pool looks through all of its
    connections at each request, and streams that share an HTTP/2 connection wait for each other's reads and for the
    server's limit of streams. An `http://` endpoint that is asked for HTTP/2 is spoken to in it from the first byte.
    `proxy_auth` is the user and password that the proxy is told. Raises SpecError if the proxy's URL is none, or if a
    package is missing.
    """

    def __init__(
        self,
        *,
        proxy: str | None = None,
        proxy_auth: tuple[str, str] | None = None,
        http2: bool = False,
        timeout_s: float | None = None,
        connect_timeout_s: float | None = 10.0,
        verify: bool = True,
    ) -> None:
        self.beat = Heartbeat()
        self.connections_opened = 0
        self.refused_http2 = False  # asked for it, the server spoke HTTP/1.1
        self._proxy = proxy_of(proxy, proxy_auth) if proxy else None
        self._socks_errors = socks_errors()
        self._http2 = http2
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._ssl_context = tls_context(verify=verify)
        self._lanes: list[httpx.AsyncHTTPTransport] = []
        self._idle: list[httpx.AsyncHTTPTransport] = []
        if http2 and importlib.util.find_spec("h2") is None:
            raise SpecError("HTTP/2 needs a package that is not installed: pip install h2")

    async def open(self, connections: int, url: str | httpx.URL) -> None:
        """Make ready for `connections` at once; they are opened by their first requests, before these are sent."""
        scheme = httpx.URL(url).scheme
        self._idle += [self._new_lane(scheme) for _ in range(connections - len(self._idle))]

    def reserve(self, connections: int, url: str | httpx.URL) -> None:
        """Nothing: httpx opens a connection when its request comes, which `connect_ns` leaves out."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and return its complete response.

        Raises as `exchange` does. `request.extensions["arrivals"]` is filled in either case.
        """
        arrivals = request.extensions.get("arrivals") or Arrivals()
        return response_of(arrivals, await self.exchange(request, arrivals))

    async def exchange(self, request: httpx.Request, arrivals: Arrivals, at_ns: int = 0) -> bytes:
        """Send one request and record its complete response in `arrivals`; the HTTP version that was spoken.

        Nothing is done before `at_ns` (monotonic).

        Raises httpx.ConnectError, ConnectTimeout, ReadTimeout (the whole request took too long), ReadError,
        WriteError, RemoteProtocolError; what had arrived is recorded then, too.
        """
        arrivals.transport = "httpx"
        await request.aread()
        self.beat.start()
        await until(at_ns)
        # of all there is to connecting, a proxy's own hand-shake too, which httpcore does not bound
        connecting = asyncio.timeout(self._connect_timeout_s)
        watch = Watch(arrivals, on_sent=lambda: connecting.reschedule(None))
        try:
            async with asyncio.timeout(self._timeout_s), connecting:
                return await self._exchange(request, arrivals, watch)
        except TimeoutError:
            raise self._too_late(request, arrivals, watch) from None
        except httpx.TransportError as error:
            told = retold(error, self._peer_of(request.url), watch.step, answered=arrivals.status is not None)
            told.request = request
            raise told from None
        except self._socks_errors as error:  # its hand-shake was cut, or is none
            told = retold(httpx.ProxyError(str(error)), self._peer_of(request.url), watch.step, answered=False)
            told.request = request
            raise told from None
        finally:
            self.connections_opened += watch.connected
            arrivals.closed_ns = monotonic_ns()

    @property
    def busy(self) -> bool:
        """No: httpx hands an answer on at once."""
        return False

    def watch_lags(self, loop: Callable[[int, int], None], read: Callable[[int], None]) -> None:
        """Call `loop` with the lag of each beat of the event loop (ns) and its weight; httpx's reads have no lag to tell."""
        del read
        self.beat.on_lag = loop

    def open_sockets(self) -> list[socket.socket]:
        """None: httpx keeps its sockets to itself."""
        return []

    async def find_out(self) -> bool | None:
        """Null: httpx keeps what can be kept."""
        return None

    async def aclose(self) -> None:
        """Close the connections and stop the heartbeat."""
        self.beat.stop()
        for lane in self._lanes:
            await lane.aclose()
        self._lanes.clear()
        self._idle.clear()

    async def _exchange(self, request: httpx.Request, arrivals: Arrivals, watch: Watch) -> bytes:
        lane = self._idle.pop() if self._idle else self._new_lane(request.url.scheme)
        # httpx's own limits of single steps and reads are left out: connecting has one, and the whole request
        extensions = {"trace": watch}
        try:
            response = await lane.handle_async_request(
                httpx.Request(
                    request.method, request.url, headers=request.headers, stream=request.stream, extensions=extensions
                )
            )
            arrivals.status, arrivals.headers = response.status_code, list(response.headers.raw)
            async with contextlib.aclosing(response):
                async for chunk in response.aiter_raw():
                    self._stamp(arrivals, chunk)
        finally:
            if arrivals.sent_ns is None:
                await self._give_up(lane, watch)
            else:
                self._idle.append(lane)
        version: bytes = response.extensions["http_version"]
        self.refused_http2 = self._http2 and version != b"HTTP/2"
        return version

    async def _give_up(self, lane: httpx.AsyncHTTPTransport, watch: Watch) -> None:
        """Close what did not come to a request: httpcore forgets a connection that was cut while it was being made."""
        self._lanes.remove(lane)
        await lane.aclose()
        if watch.stream is not None:
            await watch.stream.aclose()

    def _stamp(self, arrivals: Arrivals, chunk: bytes) -> None:
        """Record a chunk. Those that come in one run after a stall had waited together, and count as one read."""
        now = monotonic_ns()
        late = self.beat.is_late(now)
        if late and arrivals.late and arrivals.late[-1] and now - arrivals.stamps[-1] < BEAT_NS:
            arrivals.stamps[-1] = now
        else:
            arrivals.stamps.append(now)
            arrivals.late.append(late)
            arrivals.user_stamps += 1
        arrivals.pieces.append((len(arrivals.stamps) - 1, chunk))

    def _peer_of(self, url: httpx.URL) -> Peer:
        return Peer(
            f"{url.host}:{url.port or (443 if url.scheme == 'https' else 80)}",
            f"the proxy {self._proxy.url.netloc.decode()}" if self._proxy else None,
        )

    def _too_late(self, request: httpx.Request, arrivals: Arrivals, watch: Watch) -> httpx.TimeoutException:
        if arrivals.sent_ns is not None:
            return httpx.ReadTimeout(f"no complete answer within {self._timeout_s:g} s", request=request)
        limit_s = min(limit for limit in (self._timeout_s, self._connect_timeout_s) if limit is not None)
        late = not_connected(self._peer_of(request.url), limit_s, watch.step, reached=watch.connected > 0)
        late.request = request
        return late

    def _new_lane(self, scheme: str) -> httpx.AsyncHTTPTransport:
        lane = httpx.AsyncHTTPTransport(
            verify=self._ssl_context,
            trust_env=False,
            http1=scheme == "https" or not self._http2,
            http2=self._http2,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=None),
            proxy=self._proxy,
        )
        self._lanes.append(lane)
        return lane
