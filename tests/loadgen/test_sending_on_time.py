"""A request leaves at its time from a connection that it waits on, and no failure comes before that."""

import asyncio
import socket
import ssl
import struct
from pathlib import Path
from time import monotonic_ns
from typing import Any

import httpx
import pytest

from loadgen.arrivals import Arrivals
from loadgen.heartbeat import Heartbeat
from loadgen.receiver import is_compiled, receiver
from loadgen.transport import SocketTransport
from tests.certificate import make_certificate
from tests.loadgen.waiting import until

pytestmark = pytest.mark.usefixtures("receiving")
EARLY_NS = 60_000_000


def read_whole(far: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += far.recv(1 << 20)
    return data


def test_it_is_sent_at_its_time_and_looked_at(pair) -> None:
    near, far = pair

    async def scenario() -> None:
        sending, looks = receiver(Heartbeat()), []
        record = sending.add(near, lambda: looks.append(record.sent))
        later, sooner = monotonic_ns() + 2 * EARLY_NS, monotonic_ns() + EARLY_NS
        sending.send_at(record, b"first", sooner, True)
        await until(lambda: looks)
        assert looks == [record.sent]
        assert (record.sent[0] >= sooner, record.sent[1:]) == (True, (5, 0))
        sending.send_at(record, b"second", later, True)
        assert record.sent == (0, 0, 0)
        await until(lambda: len(looks) == 2)
        assert (record.sent[0] >= later, record.sent[1:]) == (True, (6, 0))
        assert read_whole(far, 11) == b"firstsecond"
        sending.close()

    asyncio.run(scenario())


def test_many_are_sent_in_the_order_of_their_times() -> None:
    async def scenario() -> None:
        sending, looks = receiver(Heartbeat()), []
        pairs = [socket.socketpair() for _ in range(40)]
        for near, _ in pairs:
            near.setblocking(False)
        records = [sending.add(one, lambda: looks.append(None)) for one, _ in pairs]
        begin = monotonic_ns() + EARLY_NS
        times = [begin + (number * 7 % 40) * 500_000 for number in range(40)]
        for record, at_ns in zip(records, times, strict=True):
            sending.send_at(record, b"x", at_ns, True)
        for record in records[::3]:
            sending.remove(record)  # those are never sent
        kept = [number for number in range(40) if number % 3]
        await until(lambda: all(records[number].sent[0] for number in kept))
        assert all(records[number].sent[0] >= times[number] for number in kept)
        by_time = sorted(kept, key=lambda number: times[number])
        assert by_time == sorted(kept, key=lambda number: records[number].sent[0])
        sending.close()
        for number, (one, other) in enumerate(pairs):
            one.close()
            assert other.recv(8) == (b"x" if number % 3 else b"")
            other.close()

    asyncio.run(scenario())


def test_in_c_no_request_waits_for_the_loop(pair) -> None:
    if not is_compiled():
        pytest.skip("the loop sends")
    near, far = pair

    async def scenario() -> None:
        sending = receiver(Heartbeat())
        record = sending.add(near, lambda: None)
        sending.send_at(record, b"on time", monotonic_ns() + EARLY_NS, True)
        assert far.recv(16) == b"on time"  # which keeps the loop waiting
        sending.close()

    asyncio.run(scenario())


def test_nothing_is_sent_where_the_connection_has_ended_or_something_has_come(pair) -> None:
    near, far = pair

    async def scenario() -> None:
        sending, looks = receiver(Heartbeat()), []
        record = sending.add(near, lambda: looks.append(len(record)))
        at_ns = monotonic_ns() + EARLY_NS
        sending.send_at(record, b"never", at_ns, True)
        far.sendall(b"408")
        await until(lambda: monotonic_ns() > at_ns and len(looks) >= 2)  # for what came, and at its time
        assert record.sent == (0, 0, 0)
        at_ns = monotonic_ns() + EARLY_NS
        sending.send_at(record, b"all the same", at_ns, False)
        await until(lambda: record.sent[0])
        assert far.recv(64) == b"all the same"
        sending.send_at(record, b"never", monotonic_ns() + EARLY_NS, False)
        far.shutdown(socket.SHUT_WR)
        looks.clear()
        await until(lambda: record.ended and len(looks) >= 2)
        assert record.sent == (0, 0, 0)
        sending.remove(record)
        with pytest.raises(ValueError, match="removed"):
            sending.send_at(record, b"gone", 0, False)
        sending.close()

    asyncio.run(scenario())


async def post(transport: SocketTransport, url: str, arrivals: Arrivals, at_ns: int, body: Any = None) -> None:
    await transport.exchange(httpx.Request("POST", url, json=body or {}), arrivals, at_ns)


def test_a_request_leaves_at_its_time_and_its_time_out_counts_from_then(serve, wire) -> None:
    async def answer(body, writer) -> None:
        if body:
            await asyncio.Event().wait()
        writer.write(wire.stream("a", "b"))

    async def scenario() -> None:
        transport = SocketTransport(timeout_s=0.3, keeps_connections=True)
        async with serve(answer) as server:
            await transport.open(1, server.url)
            for body, error in ((None, None), ({"stall": True}, httpx.ReadTimeout)):
                arrivals, at_ns = Arrivals(), monotonic_ns() + 5 * EARLY_NS
                try:
                    await post(transport, server.url, arrivals, at_ns, body)
                except httpx.ReadTimeout:
                    assert error
                    assert arrivals.closed_ns >= at_ns + 300_000_000
                else:
                    assert not error
                    arrivals.settle()
                assert at_ns <= arrivals.sent_ns <= arrivals.closed_ns
                assert arrivals.connect_ns is None
            assert server.connections == 1
        await transport.aclose()

    asyncio.run(scenario())


def test_a_connection_that_is_lost_before_its_time_is_replaced_unseen(serve, wire) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.stream("a"))
        await writer.drain()
        if not body:
            await closing.wait()
            writer.close()

    async def scenario() -> None:
        nonlocal closing
        closing = asyncio.Event()
        transport = SocketTransport(keeps_connections=True)
        async with serve(answer) as server:
            await post(transport, server.url, Arrivals(), 0)
            asyncio.get_running_loop().call_later(0.02, closing.set)
            arrivals, at_ns = Arrivals(), monotonic_ns() + 3 * EARLY_NS
            await post(transport, server.url, arrivals, at_ns, {"a": 1})
            assert (arrivals.status, arrivals.sent_ns >= at_ns) == (200, True)
            assert (server.connections, server.bodies) == (2, [{}, {"a": 1}])
            assert arrivals.connect_ns > 0
        await transport.aclose()

    closing: asyncio.Event
    asyncio.run(scenario())


def test_a_refusal_comes_not_before_its_time() -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        transport = SocketTransport()
        arrivals, at_ns = Arrivals(), monotonic_ns() + EARLY_NS
        with pytest.raises(httpx.ConnectError, match="refused"):
            await post(transport, f"http://127.0.0.1:{port}/v1", arrivals, at_ns)
        assert arrivals.closed_ns >= at_ns
        assert arrivals.sent_ns is None
        await transport.aclose()

    asyncio.run(scenario())


def test_a_long_request_that_the_socket_does_not_take_at_once_is_sent_whole(serve, wire) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.stream("a"))

    async def scenario() -> None:
        transport = SocketTransport()
        async with serve(answer) as server:
            arrivals, at_ns = Arrivals(), monotonic_ns() + EARLY_NS
            await post(transport, server.url, arrivals, at_ns, {"prompt": "x" * 30_000_000})
            assert arrivals.sent_ns >= at_ns
            assert [len(body["prompt"]) for body in server.bodies] == [30_000_000]
        await transport.aclose()

    asyncio.run(scenario())


def test_a_connection_that_breaks_while_it_is_sent_on_says_so(pair) -> None:
    near, far = pair

    async def scenario() -> None:
        sending, looks = receiver(Heartbeat()), []
        record = sending.add(near, lambda: looks.append(record.error))
        near.shutdown(socket.SHUT_WR)
        sending.send_at(record, b"x", monotonic_ns() + EARLY_NS, False)
        await until(lambda: looks)
        assert record.sent[0] > 0
        assert record.sent[1:] == (0, 32)  # EPIPE
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sending.close()

    asyncio.run(scenario())


def test_under_tls_it_leaves_at_its_time_too(serve, wire, tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(make_certificate(tmp_path))

    async def answer(body, writer) -> None:
        writer.write(wire.stream("a"))

    async def scenario() -> None:
        transport = SocketTransport(verify=False, keeps_connections=True)
        async with serve(answer, tls=context) as server:
            # on a new connection, whose tickets come while it waits
            for _ in range(2):
                arrivals, at_ns = Arrivals(), monotonic_ns() + 5 * EARLY_NS
                await post(transport, server.url, arrivals, at_ns)
                assert (arrivals.status, arrivals.sent_ns >= at_ns) == (200, True)
            assert server.connections == 1
        await transport.aclose()

    asyncio.run(scenario())
