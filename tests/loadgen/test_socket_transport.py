"""The transport reads every form of HTTP/1.1 answer and leaves its stamps in the recorder, failures included."""

import asyncio
import socket
import ssl
import struct
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop

from loadgen.arrivals import Arrivals
from loadgen.body import body_of
from loadgen.transport import SocketTransport
from tests.certificate import make_certificate
from tests.loadgen.reading import Reading

pytestmark = pytest.mark.usefixtures("receiving")


async def post(transport: SocketTransport, url: str, arrivals: Arrivals | None = None) -> httpx.Response:
    request = httpx.Request("POST", url, json={}, extensions={"arrivals": arrivals or Arrivals()})
    return await transport.handle_async_request(request)


async def post_once(url: str, arrivals: Arrivals, **options: Any) -> bytes:
    transport = SocketTransport(**options)
    try:
        return await (await post(transport, url, arrivals)).aread()
    finally:
        await transport.aclose()


def test_a_chunked_answer_is_stamped_read_by_read(serve, wire) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.STREAM_HEAD)
        for text in (b"one", b"two", b"three"):
            await asyncio.sleep(0.05)
            writer.write(wire.chunk(text))
        writer.write(wire.END)

    async def scenario() -> tuple[bytes, Arrivals]:
        arrivals = Arrivals()
        async with serve(answer) as server:
            return await post_once(server.url, arrivals), arrivals

    content, arrivals = asyncio.run(scenario())
    assert content == b"onetwothree"
    reads, pieces = zip(*body_of(arrivals), strict=True)
    assert pieces == (b"one", b"two", b"three")
    stamps = [arrivals.stamps[read] for read in reads]
    assert arrivals.sent_ns <= arrivals.headers_ns <= stamps[0] < stamps[1] < stamps[2] <= arrivals.closed_ns
    assert arrivals.connect_ns > 0
    assert not arrivals.clock_suspect


def content_of(arrivals: Arrivals) -> bytes:
    return b"".join(piece for _, piece in body_of(arrivals))


@pytest.mark.parametrize("step", [1, 2, 3, 5, 17, 10_000])
def test_a_chunked_answer_ends_where_it_ends_however_it_is_cut(wire, step: int) -> None:
    raw = wire.stream("a", "b\r\n\r\n", "c")
    arrivals = Arrivals()
    reader = Reading(arrivals)
    ends = [reader.takes(raw[start : start + step]) for start in range(0, len(raw), step)]
    assert ends == [False] * (len(ends) - 1) + [True]
    reader.release()
    assert content_of(arrivals).count(b"data: ") == 6


@pytest.mark.parametrize(
    ("reads", "head", "body", "keep_alive"),
    [
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], False, b"", True),
        ([b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n"], False, b"", True),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"], True, b"", False),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], False, b"", True),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"], False, b"hi", False),
        (
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhi\r\n", b"0\r\n\r\n"],
            False,
            b"hi",
            False,
        ),
        (
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=1\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"],
            False,
            b"hi",
            True,
        ),
        (
            [
                b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Length: 99\r\n\r\nHTTP/1.1 100 Cont",
                b"inue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            ],
            False,
            b"hi",
            True,
        ),
        # as servers of old wrote it: spaces after a size, a length beside the coding that overrides it
        (
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2  \r\nhi\r\n1 ;x=1\r\n!\r\n0\r\n\r\n"],
            False,
            b"hi!",
            True,
        ),
        (
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n2\r\nhi\r\n0\r\n\r\n"],
            False,
            b"hi",
            True,
        ),
        # more than the response: it is complete all the same, and the rest must not be read as the next one
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi??"], False, b"hi", False),
        (
            [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 408 Late\r\nContent-Length: 1\r\n\r\nx"],
            False,
            b"hi",
            False,
        ),
    ],
)
def test_every_form_of_answer_ends_where_it_ends(reads: list[bytes], head: bool, body: bytes, keep_alive: bool) -> None:
    arrivals = Arrivals()
    reader = Reading(arrivals, without_body=head)
    ends = [reader.takes(data) for data in reads]
    assert ends == [False] * (len(reads) - 1) + [True]
    reader.release()
    assert (content_of(arrivals), reader.keep_alive) == (body, keep_alive)
    assert arrivals.status in (200, 204, 304)


def test_connections_are_kept_after_errors_and_left_where_the_server_says_so(serve, wire) -> None:
    async def answer(body, writer) -> None:
        answers = [
            wire.sized(b"slow down", "429 Too Many Requests", extra="Retry-After: 1\r\n"),
            wire.sized(b"oops", "500 Internal Server Error"),
            b"HTTP/1.1 204 No Content\r\n\r\n",
            wire.sized(b"bye", extra="Connection: close\r\n"),
            wire.sized(b"again"),
        ]
        writer.write(answers[len(server.bodies) - 1])

    async def scenario() -> tuple[list[tuple[int, bytes]], list[int], int]:
        nonlocal server
        transport = SocketTransport()
        answers, connections = [], []
        async with serve(answer) as server:
            for _ in range(5):
                response = await post(transport, server.url)
                answers.append((response.status_code, await response.aread()))
                connections.append(server.connections)
            await transport.aclose()
        return answers, connections, transport.connections_opened

    server: Any = None
    answers, connections, opened = asyncio.run(scenario())
    assert answers == [(429, b"slow down"), (500, b"oops"), (204, b""), (200, b"bye"), (200, b"again")]
    assert (connections, opened) == ([1, 1, 1, 1, 2], 2)


def test_sized_and_close_delimited_answers_are_read(serve, wire) -> None:
    async def sized(body, writer) -> None:
        writer.write(wire.sized(b"hello"))

    async def until_close(body, writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhel")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"lo")

    async def continued(body, writer) -> None:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" + wire.sized(b"hello"))

    async def scenario() -> list[bytes]:
        contents = []
        for answer, one_answer in ((sized, False), (until_close, True), (continued, False)):
            async with serve(answer, one_answer=one_answer) as server:
                contents.append(await post_once(server.url, Arrivals()))
        return contents

    assert asyncio.run(scenario()) == [b"hello"] * 3


def test_connections_are_kept_and_can_be_opened_beforehand(serve, wire) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.stream("a"))

    async def scenario() -> tuple[int, int, list[int | None]]:
        transport = SocketTransport()
        recorders = [Arrivals() for _ in range(6)]
        async with serve(answer) as server:
            await transport.open(2, server.url)
            for arrivals in recorders:
                await post(transport, server.url, arrivals)
                await asyncio.sleep(0.3 if arrivals is recorders[1] else 0)  # the first streams' connections rest
            await transport.aclose()
            return server.connections, transport.connections_opened, [r.connect_ns for r in recorders]

    connections, opened, connect_ns = asyncio.run(scenario())
    assert (connections, opened) == (2, 2)
    assert connect_ns == [None] * 6


def test_a_connection_that_the_server_closed_while_idle_is_not_used_again(serve, wire) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.sized(b"hello"))  # promises to keep the connection, and the server closes it

    async def scenario() -> tuple[list[bytes], int, int]:
        transport = SocketTransport()
        async with serve(answer, one_answer=True) as server:
            contents = []
            for _ in range(3):
                contents.append(await (await post(transport, server.url)).aread())
                await asyncio.sleep(0.1)
            await transport.aclose()
            return contents, server.connections, len(server.bodies)

    # three answers over three connections, and no request was sent twice
    assert asyncio.run(scenario()) == ([b"hello"] * 3, 3, 3)


def test_a_server_that_closes_soon_after_each_stream_never_gets_a_request_on_such_a_connection(serve, wire) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.stream("a"))
        await writer.drain()
        await asyncio.sleep(0.02)  # and then it closes, although it promised to keep the connection

    async def scenario() -> tuple[int, int]:
        transport = SocketTransport()
        async with serve(answer, one_answer=True) as server:
            for pause_s in (0, 0, 0, 0.5, 0, 0, 0):
                await post(transport, server.url)  # would raise: closed before it answered
                await asyncio.sleep(pause_s)
            await transport.aclose()
            return server.connections, len(server.bodies)

    assert asyncio.run(scenario()) == (7, 7)


def test_an_answer_that_never_comes_is_a_timeout_with_its_stamps(serve) -> None:
    async def answer(body, writer) -> None:
        await asyncio.sleep(30)

    async def scenario() -> Arrivals:
        arrivals = Arrivals()
        async with serve(answer) as server:
            with pytest.raises(httpx.ReadTimeout, match=r"no complete answer within 0\.3 s"):
                await post_once(server.url, arrivals, timeout_s=0.3)
        return arrivals

    arrivals = asyncio.run(scenario())
    assert arrivals.sent_ns is not None
    assert arrivals.headers_ns is None
    assert arrivals.closed_ns - arrivals.sent_ns >= 0.2e9


def test_slow_headers_count_from_when_they_are_complete(serve, wire) -> None:
    async def answer(body, writer) -> None:
        raw = wire.stream("a")
        writer.write(raw[:25])
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.write(raw[25:])

    async def scenario() -> Arrivals:
        arrivals = Arrivals()
        async with serve(answer) as server:
            await post_once(server.url, arrivals)
        return arrivals

    arrivals = asyncio.run(scenario())
    assert arrivals.headers_ns - arrivals.sent_ns >= 0.15e9


def test_a_stream_that_breaks_leaves_what_had_come(serve, wire) -> None:
    async def reset(body, writer) -> None:
        writer.write(wire.STREAM_HEAD + wire.chunk(b"one") + wire.chunk(b"two"))
        await writer.drain()
        await asyncio.sleep(0.1)
        linger = b"\x01\0\0\0\0\0\0\0"  # on, 0 s: closing sends a reset
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async def cut(body, writer) -> None:
        writer.write(wire.STREAM_HEAD + wire.chunk(b"one") + wire.chunk(b"two"))

    async def scenario(answer) -> Arrivals:
        arrivals = Arrivals()
        async with serve(answer, one_answer=True) as server:
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                await post_once(server.url, arrivals)
        return arrivals

    for answer in (reset, cut):
        arrivals = asyncio.run(scenario(answer))
        assert content_of(arrivals) == b"onetwo"
        assert arrivals.status == 200


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", r"not an HTTP/1.1 response.*SSH-2.0"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            "switches to another protocol.*websocket",
        ),
    ],
)
def test_what_is_no_http_is_a_protocol_error(serve, said: bytes, why: str) -> None:
    async def answer(body, writer) -> None:
        writer.write(said)

    async def scenario() -> None:
        async with serve(answer) as server:
            with pytest.raises(httpx.RemoteProtocolError, match=why):
                await post_once(server.url, Arrivals())

    asyncio.run(scenario())


def test_a_refused_connection_names_host_port_and_reason() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        arrivals = Arrivals()
        with pytest.raises(httpx.ConnectError, match=rf"cannot connect to 127\.0\.0\.1:{port}.*refused"):
            asyncio.run(post_once(f"http://127.0.0.1:{port}/v1", arrivals))
    assert arrivals.sent_ns is None
    assert arrivals.closed_ns is not None


def test_a_long_request_is_sent_whole_and_ipv6_works(serve, wire) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.sized(str(len(body["text"])).encode()))

    async def scenario(host: str) -> bytes:
        async with serve(answer, host=host) as server:
            transport = SocketTransport()
            request = httpx.Request("POST", server.url, json={"text": "x" * 5_000_000})
            content = await (await transport.handle_async_request(request)).aread()
            await transport.aclose()
            return content

    hosts = ["127.0.0.1", "::1"] if socket.has_ipv6 and Path("/proc/net/if_inet6").exists() else ["127.0.0.1"]
    for host in hosts:
        assert asyncio.run(scenario(host)) == b"5000000"


def test_it_is_an_ordinary_transport_under_an_httpx_client(serve, wire) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.stream("a", "b"))

    async def scenario() -> list[str]:
        async with (
            serve(answer) as server,
            httpx.AsyncClient(transport=SocketTransport()) as client,
            client.stream("POST", server.url, json={}) as response,
        ):
            response.raise_for_status()
            return [line async for line in response.aiter_lines() if line]

    lines = asyncio.run(scenario())
    assert len(lines) == 5
    assert lines[-1] == "data: [DONE]"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_tls_streams_are_stamped_too_and_connections_kept(serve, wire, certificate: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def answer(body, writer) -> None:
        writer.write(wire.STREAM_HEAD + wire.chunk(b"one"))
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.write(wire.chunk(b"two" * 20_000) + wire.END)

    async def scenario() -> tuple[list[int], int, Arrivals]:
        transport = SocketTransport(verify=False)
        arrivals = Arrivals()
        async with serve(answer, tls=context, host="127.0.0.1") as server:
            sizes = []
            for _ in range(2):
                sizes.append(len(await (await post(transport, server.url)).aread()))
                await asyncio.sleep(0.5)  # the first stream's connection rests
            await post(transport, server.url, arrivals)
            await transport.aclose()
            return sizes, server.connections, arrivals

    sizes, connections, arrivals = asyncio.run(scenario())
    assert sizes == [60_003, 60_003]
    assert connections == 1
    assert arrivals.stamps[-1] - arrivals.headers_ns >= 0.05e9


def test_the_authorities_of_this_machine_are_trusted_beside_those_of_httpx(
    serve, wire, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # where OpenSSL looks for the machine's
    monkeypatch.setattr(httpx, "create_ssl_context", lambda verify: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    async def answer(body, writer) -> None:
        writer.write(wire.sized(b"hello"))

    async def scenario() -> bytes:
        async with serve(answer, tls=context) as server:
            return await post_once(server.url, Arrivals())

    assert asyncio.run(scenario()) == b"hello"


def test_an_unknown_certificate_is_refused_unless_asked_otherwise(serve, wire, certificate: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def answer(body, writer) -> None:
        writer.write(wire.sized(b"hello"))

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # the server's own complaint
        async with serve(answer, tls=context) as server:
            with pytest.raises(httpx.ConnectError, match=r"TLS with localhost.*certificate"):
                await post_once(server.url, Arrivals())

    asyncio.run(scenario())


def test_what_came_before_a_broken_chunk_is_kept(wire) -> None:
    arrivals = Arrivals()
    reader = Reading(arrivals)
    assert not reader.takes(wire.STREAM_HEAD)
    for data in (wire.chunk(wire.token("a")), wire.chunk(wire.token("b")), b"no size\r\n\r\n"):
        ripe = reader.record.add(data, 0, 0)
    assert ripe
    with pytest.raises(httpx.RemoteProtocolError, match="not an HTTP"):
        reader.parse()
    reader.release()
    assert content_of(arrivals) == wire.token("a") + wire.token("b")


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_reset_that_comes_with_data_ends_the_request_at_once(wire, loop) -> None:
    gone = threading.Event()

    def die(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        sock.recv(65536)
        sock.sendall(wire.STREAM_HEAD + wire.chunk(wire.token("a")))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        gone.set()

    async def scenario(url: str, arrivals: Arrivals) -> None:
        transport = SocketTransport(timeout_s=60)
        await transport.open(1, url)
        exchange = asyncio.create_task(post(transport, url, arrivals))
        while arrivals.sent_ns is None:
            await asyncio.sleep(0)
        gone.wait(20)  # blocks the loop on purpose
        time.sleep(0.05)
        with pytest.raises(httpx.ReadError, match="connection broke"):
            await exchange
        await transport.aclose()

    arrivals = Arrivals()
    with socket.create_server(("127.0.0.1", 0)) as listener, asyncio.Runner(loop_factory=loop) as runner:
        thread = threading.Thread(target=die, args=[listener])
        thread.start()
        runner.run(scenario(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", arrivals))
        thread.join()
    assert content_of(arrivals) == wire.token("a")


def test_a_body_that_the_server_ends_by_closing_is_closed_when_it_closes(serve) -> None:
    async def answer(body, writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nhello")
        await writer.drain()
        await asyncio.sleep(0.1)

    async def scenario(arrivals: Arrivals) -> None:
        async with serve(answer, one_answer=True) as server:
            assert await post_once(server.url, arrivals) == b"hello"

    arrivals = Arrivals()
    asyncio.run(scenario(arrivals))
    assert arrivals.closed_ns - arrivals.stamps[-1] >= 0.09e9


def test_a_time_out_before_anything_was_sent_is_one_of_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr("loadgen.transport.open_socket", never)
    with pytest.raises(httpx.ConnectTimeout, match=r"no connection to 127\.0\.0\.1:9 within 0\.1 s"):
        asyncio.run(post_once("http://127.0.0.1:9", Arrivals(), timeout_s=0.1, connect_timeout_s=30.0))


@pytest.mark.parametrize("limits", [{"connect_timeout_s": 0.3}, {"timeout_s": 0.3}])
def test_a_server_that_takes_connections_and_does_not_shake_hands_is_told_as_such(limits: dict[str, float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(httpx.ConnectTimeout) as caught:
            asyncio.run(post_once(f"https://127.0.0.1:{port}", Arrivals(), **limits))
    said = f"127.0.0.1:{port} took the connection and did not answer the TLS handshake within 0.3 s"
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("answer", "told"), [(b"HTTP/1.1 400 Bad Request\r\n\r\n", "WRONG_VERSION_NUMBER"), (b"", "the server closed")]
)
def test_an_answer_to_the_handshake_that_is_no_tls_is_a_failure_of_tls(answer: bytes, told: str) -> None:
    async def scenario() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(65536)
            writer.write(answer)
            writer.close()

        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            await post_once(f"https://127.0.0.1:{port}", Arrivals())

    with pytest.raises(httpx.ConnectError, match=rf"^TLS with 127\.0\.0\.1:\d+ failed: .*{told}"):
        asyncio.run(scenario())
