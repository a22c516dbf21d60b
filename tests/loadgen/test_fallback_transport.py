"""Through proxies and over HTTP/2 the recorder is filled as it is by our own sockets, and failures read the same."""

import asyncio
import contextlib
import importlib.util
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from pathlib import Path
from time import monotonic_ns
from typing import Any

import httpx
import pytest

from loadgen import fallback
from loadgen.arrivals import Arrivals
from loadgen.body import body_of
from loadgen.fallback import FallbackTransport
from loadgen.generation import read_generation
from loadgen.spec import Target
from loadgen.transport import SocketTransport
from loadgen.wire import transport_for
from schemas.errors import SpecError
from tests.certificate import make_certificate

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@contextlib.asynccontextmanager
async def listening(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on loopback; its port."""
    talks: set[asyncio.Task[None]] = set()

    async def on_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(on_connect, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


def tunnel(heads: list[str], delay_s: float = 0.0) -> Talk:
    """A proxy that opens the way that CONNECT asks for, after a while."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        finally:
            writer.close()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        host, _, port = heads[-1].split()[1].rpartition(":")
        await asyncio.sleep(delay_s)
        onward = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pipe(reader, onward[1]), pipe(onward[0], writer))

    return talk


def http2(*pieces: bytes, reset: bool = False) -> Talk:
    """An HTTP/2 server: each request gets the pieces, one DATA frame each, and then an end or a reset."""
    connection, config, events, settings = (
        pytest.importorskip(f"h2.{name}") for name in ("connection", "config", "events", "settings")
    )

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        h2 = connection.H2Connection(config=config.H2Configuration(client_side=False))
        h2.update_settings({settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1})
        h2.initiate_connection()
        writer.write(h2.data_to_send())
        while data := await reader.read(65536):
            for event in h2.receive_data(data):
                if isinstance(event, events.StreamEnded):
                    h2.send_headers(event.stream_id, [(":status", "200"), ("content-type", "text/event-stream")])
                    for piece in pieces:
                        h2.send_data(event.stream_id, piece)
                        writer.write(h2.data_to_send())
                        await asyncio.sleep(0.01)
                    h2.reset_stream(event.stream_id) if reset else h2.end_stream(event.stream_id)
            writer.write(h2.data_to_send())

    return talk


async def ask(transport: FallbackTransport, url: str, arrivals: Arrivals | None = None) -> bytes:
    # a client's own limit of 5 s a read must not count: the whole request has one
    request = httpx.Request(
        "POST", url, json={}, extensions={"arrivals": arrivals or Arrivals(), "timeout": {"read": 0.001}}
    )
    return await (await transport.handle_async_request(request)).aread()


def never_late(transport: FallbackTransport) -> FallbackTransport:
    """Its chunks are reads of their own, however busy this machine is."""
    transport.beat.is_late = lambda now: False
    return transport


async def ask_once(url: str, arrivals: Arrivals, **options: Any) -> bytes:
    transport = never_late(FallbackTransport(**options))
    try:
        return await ask(transport, url, arrivals)
    finally:
        await transport.aclose()


def test_the_endpoint_decides_which_transport_its_requests_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    def chosen(**fields: Any) -> type:
        return type(transport_for(Target(url="https://e/v1", api="chat", model="m", **fields), None))

    assert chosen() is SocketTransport
    assert chosen(http2=True) is chosen(proxy="http://p:3128") is FallbackTransport


def test_a_plain_request_goes_through_a_forward_proxy_with_its_credentials(serve, wire) -> None:
    async def answer(body, writer) -> None:
        for part in (wire.STREAM_HEAD, wire.chunk(wire.token("a")), wire.chunk(wire.token("b")), wire.END):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.02)

    async def scenario() -> tuple[Arrivals, str]:
        arrivals = Arrivals()
        async with serve(answer) as proxy:  # what a proxy does beyond it is not the client's concern
            where = httpx.URL(proxy.url).copy_with(username="me", password="pass", path="/")
            await ask_once("http://endpoint.invalid/v1/completions", arrivals, proxy=str(where))
            return arrivals, proxy.heads[0]

    arrivals, head = asyncio.run(scenario())
    assert head.startswith("POST http://endpoint.invalid/v1/completions HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic bWU6cGFzcw==" in head
    assert (arrivals.transport, arrivals.clock_source, arrivals.clock_suspect) == ("httpx", "user", False)
    assert [read for read, _ in arrivals.pieces] == [0, 1]
    assert len(read_generation(arrivals, body_of(arrivals)).token_reads) == 2
    assert arrivals.connect_ns > 0
    assert arrivals.sent_ns <= arrivals.headers_ns <= arrivals.stamps[0] < arrivals.stamps[1] <= arrivals.closed_ns


def test_a_tunnel_and_its_tls_are_in_the_connect_time_and_not_in_the_request(serve, wire, certificate: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def answer(body, writer) -> None:
        writer.write(wire.stream("a"))

    async def scenario() -> tuple[list[Arrivals], list[str], int]:
        heads: list[str] = []
        recorders = [Arrivals(), Arrivals()]
        async with serve(answer, tls=context, host="127.0.0.1") as server, listening(tunnel(heads, 0.2)) as port:
            transport = FallbackTransport(proxy=f"http://127.0.0.1:{port}", verify=False)
            for arrivals in recorders:
                await ask(transport, server.url, arrivals)
            await transport.aclose()
            return recorders, heads, transport.connections_opened

    started_ns = monotonic_ns()
    (first, second), heads, opened = asyncio.run(scenario())
    assert (len(heads), opened, second.connect_ns) == (1, 1, None)  # the second found the connection open
    assert heads[0].startswith("CONNECT localhost:")
    assert first.connect_ns >= 0.2e9
    assert started_ns + first.connect_ns <= first.sent_ns <= first.headers_ns


def test_a_proxy_that_refuses_is_a_connect_error_that_names_the_proxy() -> None:
    async def refuse(reader, writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def scenario() -> tuple[Arrivals, str]:
        arrivals = Arrivals()
        async with listening(refuse) as port:
            with pytest.raises(httpx.ConnectError) as caught:
                await ask_once("https://endpoint.invalid/v1", arrivals, proxy=f"http://me:secret@127.0.0.1:{port}")
        return arrivals, str(caught.value).replace(str(port), "PORT")

    arrivals, message = asyncio.run(scenario())
    assert message == (
        "the proxy 127.0.0.1:PORT opens no way to endpoint.invalid:443: 407 Proxy Authentication Required"
    )
    assert (arrivals.sent_ns, arrivals.status, arrivals.headers_ns) == (None, None, None)


def test_an_unreachable_proxy_and_an_unreachable_endpoint_are_told_apart() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(httpx.ConnectError, match=f"^cannot connect to the proxy {nowhere}: Connection refused$"):
            asyncio.run(ask_once("http://endpoint.invalid/v1", Arrivals(), proxy=f"http://{nowhere}"))
        with pytest.raises(httpx.ConnectError, match=f"^cannot connect to {nowhere}: Connection refused$"):
            asyncio.run(ask_once(f"http://{nowhere}/v1", Arrivals(), http2=True))


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_what_is_no_socks_proxy_opens_no_way(answer: bytes) -> None:
    async def talk(reader, writer) -> None:
        await reader.read(1)
        writer.write(answer)
        await writer.drain()

    async def scenario() -> Arrivals:
        arrivals = Arrivals()
        async with listening(talk) as port:
            with pytest.raises(
                httpx.ConnectError, match=r"^the proxy 127\.0\.0\.1:\d+ opens no way to e\.invalid:80: "
            ):
                await ask_once("http://e.invalid/v1", arrivals, proxy=f"socks5://127.0.0.1:{port}")
        return arrivals

    assert asyncio.run(scenario()).sent_ns is None


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_time_out_while_connecting_is_told_as_such_and_by_who_did_not_answer(scheme: str) -> None:
    async def silent(reader, writer) -> None:
        await reader.read()

    async def scenario(url: str, port: int, **options: Any) -> tuple[Arrivals, str]:
        arrivals = Arrivals()
        with pytest.raises(httpx.ConnectTimeout) as caught:
            await ask_once(url.replace("PORT", str(port)), arrivals, **options)
        return arrivals, str(caught.value).replace(str(port), "PORT")

    async def scenarios() -> list[tuple[Arrivals, str]]:
        async with listening(silent) as port:
            proxy = f"{scheme}://127.0.0.1:{port}"
            return [
                await scenario("https://endpoint.invalid/v1", port, proxy=proxy, connect_timeout_s=0.2),
                await scenario("https://endpoint.invalid/v1", port, proxy=proxy, timeout_s=0.3),
                await scenario("https://127.0.0.1:PORT/v1", port, http2=True, connect_timeout_s=0.2),
            ]

    told = asyncio.run(scenarios())
    assert [message for _, message in told] == [
        "the proxy 127.0.0.1:PORT opens no way to endpoint.invalid:443 within 0.2 s",
        "the proxy 127.0.0.1:PORT opens no way to endpoint.invalid:443 within 0.3 s",
        "127.0.0.1:PORT took the connection and did not answer the TLS handshake within 0.2 s",
    ]
    assert [arrivals.sent_ns for arrivals, _ in told] == [None] * 3


def test_who_does_not_speak_tls_is_named_whatever_is_on_the_way() -> None:
    async def closing(reader, writer) -> None:
        await reader.read(65536)

    async def silent(reader, writer) -> None:
        await reader.read()

    async def told(url: str, **options: Any) -> str:
        with pytest.raises((httpx.ConnectTimeout, httpx.ConnectError)) as caught:
            await ask_once(url, Arrivals(), connect_timeout_s=0.3, **options)
        return str(caught.value)

    async def scenario() -> None:
        async with listening(closing) as closes, listening(silent) as hangs, listening(tunnel([])) as proxy:
            through = {"proxy": f"http://127.0.0.1:{proxy}"}
            close, hang = f"127.0.0.1:{closes}", f"127.0.0.1:{hangs}"
            assert await told(f"https://{close}", http2=True) == f"TLS with {close} failed: the other side closed it"
            assert await told(f"https://{hang}", **through) == (
                f"{hang} through the proxy 127.0.0.1:{proxy} took the connection and did not answer the TLS handshake "
                "within 0.3 s"
            )
            assert await told("http://endpoint.invalid", proxy=f"https://{hang}") == (
                f"the proxy {hang} took the connection and did not answer the TLS handshake within 0.3 s"
            )

    asyncio.run(scenario())


def test_an_unknown_certificate_is_refused_through_a_tunnel_too(serve, wire, certificate: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def answer(body, writer) -> None:
        writer.write(wire.sized(b"hello"))

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # the server's own complaint
        async with serve(answer, tls=context, host="127.0.0.1") as server, listening(tunnel([])) as port:
            with pytest.raises(httpx.ConnectError, match=r"^TLS with localhost:\d+ through the proxy .*certificate"):
                await ask_once(server.url, Arrivals(), proxy=f"http://127.0.0.1:{port}")
            with pytest.raises(httpx.ConnectError, match=r"^TLS with localhost:\d+ failed: .*certificate"):
                await ask_once(server.url, Arrivals(), http2=True)
            with pytest.raises(httpx.ConnectError, match=r"^TLS with the proxy localhost:\d+ failed: .*certificate"):
                await ask_once("http://endpoint.invalid/v1", Arrivals(), proxy=server.url)

    asyncio.run(scenario())


@pytest.mark.parametrize("over_tls", [False, True])
def test_http2_streams_are_stamped_frame_by_frame(wire, certificate: Path, over_tls: bool) -> None:
    context = None
    if over_tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        context.set_alpn_protocols(["h2"])

    async def scenario() -> tuple[list[Arrivals], int, bytes]:
        recorders = [Arrivals() for _ in range(3)]
        pieces = (wire.token("a"), wire.token("b"), wire.finish())
        async with listening(http2(*pieces), context) as port:
            transport = never_late(FallbackTransport(http2=True, verify=False))
            url = f"{'https' if over_tls else 'http'}://127.0.0.1:{port}/v1"
            await transport.open(3, url)
            # the server takes one stream a connection: three at once must not wait for each other
            await asyncio.gather(*(ask(transport, url, arrivals) for arrivals in recorders))
            response = await transport.handle_async_request(httpx.Request("POST", url, json={}))
            await transport.aclose()
            return recorders, transport.connections_opened, response.extensions["http_version"]

    recorders, opened, version = asyncio.run(scenario())
    assert (opened, version) == (3, b"HTTP/2")
    for arrivals in recorders:
        generation = read_generation(arrivals, body_of(arrivals))
        assert (len(generation.token_reads), generation.finish_reason) == (2, "length")
        assert [read for read, _ in arrivals.pieces] == [0, 1, 2]
        assert arrivals.sent_ns <= arrivals.headers_ns <= arrivals.stamps[0] < arrivals.stamps[1] < arrivals.stamps[2]
        assert (arrivals.user_stamps, arrivals.status, arrivals.transport) == (3, 200, "httpx")


def test_a_stream_that_is_reset_or_cut_reads_as_cut_by_the_server_and_leaves_what_had_come(wire) -> None:
    async def cut(reader, writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(wire.STREAM_HEAD + wire.chunk(wire.token("a")))
        await writer.drain()

    async def silent(reader, writer) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async def scenario(talk: Talk, *, through_proxy: bool) -> tuple[Arrivals, str]:
        arrivals = Arrivals()
        async with listening(talk) as port:
            here = f"http://127.0.0.1:{port}"
            options = {"proxy": here} if through_proxy else {"http2": True}
            with pytest.raises(httpx.RemoteProtocolError) as caught:
                await ask_once("http://endpoint.invalid/v1" if through_proxy else here, arrivals, **options)
        return arrivals, str(caught.value)

    for talk, through_proxy in ((cut, True), (http2(wire.token("a"), reset=True), False)):
        arrivals, message = asyncio.run(scenario(talk, through_proxy=through_proxy))
        assert message == "the server closed the connection in the middle of the body"
        assert (arrivals.status, b"".join(piece for _, piece in arrivals.pieces)) == (200, wire.token("a"))
        assert arrivals.closed_ns >= arrivals.stamps[-1]
    arrivals, message = asyncio.run(scenario(silent, through_proxy=True))
    assert message == "the server closed the connection before it answered"
    assert (arrivals.status, arrivals.headers_ns) == (None, None)


def test_what_is_no_http_is_a_protocol_error_through_a_proxy_too() -> None:
    async def talk(reader, writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        await writer.drain()

    async def scenario() -> str:
        async with listening(talk) as port:
            with pytest.raises(httpx.RemoteProtocolError) as caught:
                await ask_once("http://endpoint.invalid/v1", Arrivals(), proxy=f"http://127.0.0.1:{port}")
        return str(caught.value)

    assert not asyncio.run(scenario()).startswith("the server closed")


def test_the_limit_is_of_the_whole_request_and_another_one_follows_it(serve, wire) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.STREAM_HEAD + wire.chunk(b"one"))
        await writer.drain()
        await asyncio.sleep(30)

    async def scenario() -> tuple[list[Arrivals], int]:
        recorders = [Arrivals(), Arrivals()]
        async with serve(answer) as proxy:
            transport = FallbackTransport(proxy=proxy.url, timeout_s=0.3)
            for arrivals in recorders:
                with pytest.raises(httpx.ReadTimeout, match=r"no complete answer within 0\.3 s"):
                    await ask(transport, "http://endpoint.invalid/v1", arrivals)
            await transport.aclose()
            return recorders, transport.connections_opened

    recorders, opened = asyncio.run(scenario())
    assert opened == 2
    for arrivals in recorders:
        assert b"".join(piece for _, piece in arrivals.pieces) == b"one"
        assert arrivals.closed_ns - arrivals.sent_ns >= 0.2e9


@pytest.mark.parametrize("late", [True, False])
def test_chunks_that_waited_for_a_stalled_loop_count_as_one_read(
    serve, wire, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.stream("a", "b", "c"))

    async def scenario() -> Arrivals:
        arrivals = Arrivals()
        async with serve(answer) as proxy:
            transport = FallbackTransport(proxy=proxy.url)
            monkeypatch.setattr(transport.beat, "is_late", lambda now: late)
            await ask(transport, "http://endpoint.invalid/v1", arrivals)
            await transport.aclose()
        return arrivals

    ticks = count(1, 1000)
    monkeypatch.setattr(fallback, "monotonic_ns", lambda: next(ticks))
    arrivals = asyncio.run(scenario())
    assert len(arrivals.pieces) == 6  # three tokens, finish reason, usage, [DONE]
    assert [read for read, _ in arrivals.pieces] == ([0] * 6 if late else [0, 1, 2, 3, 4, 5])
    assert len(arrivals.stamps) == len(arrivals.late) == arrivals.user_stamps == (1 if late else 6)


def test_what_cannot_be_done_is_said_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match=r"no proxy URL: expected http://") as caught:
        FallbackTransport(proxy="ftp://me:secret@p:21")
    assert "secret" not in str(caught.value)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SpecError, match="pip install h2"):
        FallbackTransport(http2=True)
    with pytest.raises(SpecError, match="pip install socksio"):
        FallbackTransport(proxy="socks5://p:1080")
