"""Sockets are read alike in C and in Python: what came, when, and who is to look."""

import asyncio
import itertools
import os
import shutil
import socket
import struct
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic_ns, time_ns

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen import receiver
from loadgen.chunked import like_chunks, plain_like_chunks
from loadgen.heartbeat import Heartbeat
from loadgen.receiver import Receiver, Record
from loadgen.stamps import ask_kernel_stamps

Kind = Callable[[], Receiver]


@pytest.fixture
def make(receiving: None) -> Kind:
    return lambda: receiver.receiver(Heartbeat())


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as near:
        near.setblocking(False)
        far, _ = listener.accept()
        with far:
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield near, far


def rows(record: Record) -> list[tuple[int, int, int]]:
    return list(struct.iter_unpack("=3q", record.table()))


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


@pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("cc") or not Path(sysconfig.get_path("include"), "Python.h").exists(),
    reason="nothing to compile with",
)
def test_where_there_is_a_compiler_sockets_are_read_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RATECARD_RECEIVER", raising=False)
    assert receiver.is_compiled()
    assert like_chunks is not plain_like_chunks


def test_each_read_is_kept_with_its_end_and_its_times(make: Kind, pair) -> None:
    near, far = pair
    ask_kernel_stamps(near)

    async def scenario() -> None:
        reading, looks = make(), []
        record = reading.add(near, lambda: looks.append(len(record)))
        began = monotonic_ns()
        sent = [b"a", b"bc" * 40_000, b"d"]  # the second is more than one read takes
        for data in sent:
            far.sendall(data)
            await until(lambda data=data: record.wire(0, len(record)).endswith(data))
        table = rows(record)
        ends = [end for end, _, _ in table]
        assert record.wire(0, len(record)) == b"".join(sent)
        assert record.wire(0, 1) == b"a"
        assert [record.wire(n, n + 1) for n in range(len(record))] == [
            record.wire(0, len(record))[start:end] for start, end in itertools.pairwise([0, *ends])
        ]
        assert ends[-1] == 80_002
        assert [began, *(at for _, at, _ in table)] == sorted([began, *(at for _, at, _ in table)])
        wall_minus_mono = time_ns() - monotonic_ns()
        stamps = [stamp - wall_minus_mono for _, _, stamp in table if stamp]
        # the kernel turns stamping on a little after it was first asked
        assert all(began - 5_000_000 <= stamp <= monotonic_ns() + 5_000_000 for stamp in stamps)
        assert looks == sorted(set(looks))
        assert looks[-1] == len(table)
        record.clear()
        assert (len(record), record.table(), record.wire(0, 0)) == (0, b"", b"")
        with pytest.raises(IndexError):
            record.wire(0, 1)
        far.sendall(b"e")
        await until(lambda: len(record) == 1)
        assert (record.wire(0, 1), rows(record)[0][0]) == (b"e", 1)
        reading.close()

    asyncio.run(scenario())


def test_a_stream_is_looked_at_where_it_may_end(make: Kind, pair) -> None:
    near, far = pair

    async def scenario() -> list[bytes]:
        reading, looked = make(), []
        record = reading.add(near, lambda: looked.append(record.wire(len(record) - 1, len(record))))
        record.streaming = True
        for number, data in enumerate([b"5\r\nhello\r\n", b"0\r\n\r\n", b"\n", b"1\r\na\r\n", b"x\r\n\r\n"], 1):
            far.sendall(data)
            await until(lambda number=number: len(record) == number)
        reading.close()
        return looked

    assert asyncio.run(scenario()) == [b"0\r\n\r\n", b"\n", b"x\r\n\r\n"]


def test_the_end_and_a_reset_are_looked_at_even_while_a_stream_goes_on(make: Kind, pair) -> None:
    near, far = pair

    async def scenario(end: Callable[[], None]) -> Record:
        reading, looks = make(), []
        record = reading.add(near, lambda: looks.append(reading.remove(record)))
        record.streaming = True
        end()
        await until(lambda: bool(looks))
        reading.remove(record)  # does no harm
        reading.close()
        return record

    def reset() -> None:
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()

    ended = asyncio.run(scenario(lambda: far.shutdown(socket.SHUT_WR)))
    assert (ended.ended, ended.error) == (True, 0)
    broken = asyncio.run(scenario(reset))
    # once the end of file has been read, a reset is one more
    assert broken.ended or os.strerror(broken.error) == "Connection reset by peer"


def test_a_socket_can_be_read_before_the_loop_comes_to_it(make: Kind, pair) -> None:
    near, far = pair

    async def scenario() -> tuple[bool, bool, bytes]:
        reading = make()
        record = reading.add(near, lambda: None)
        nothing = reading.read(record)
        far.sendall(b"unasked")
        deadline = time.monotonic() + 20
        while not (something := reading.read(record)):
            assert time.monotonic() < deadline
        reading.close()
        return nothing, something, record.wire(0, 1)

    assert asyncio.run(scenario()) == (False, True, b"unasked")


def test_hundreds_of_sockets_are_read_and_one_may_close_another(make: Kind) -> None:
    pairs = [socket.socketpair() for _ in range(300)]

    async def scenario() -> list[bytes]:
        reading = make()
        records: list[Record] = []

        def look(number: int) -> None:
            if number % 2 == 0:
                reading.remove(records[number + 1])  # whose own look may be due already

        records += [reading.add(near, lambda n=n: look(n)) for n, (near, _) in enumerate(pairs)]
        for number, (near, far) in enumerate(pairs):
            near.setblocking(False)
            far.sendall(b"%d" % number)
        await until(lambda: all(len(record) for record in records[::2]))
        reading.close()
        return [record.wire(0, len(record)) for record in records[::2]]

    assert asyncio.run(scenario()) == [b"%d" % number for number in range(0, 300, 2)]
    for near, far in pairs:
        near.close()
        far.close()


def chunk(data: bytes, size: str = "%x") -> bytes:
    return (size % len(data)).encode() + b"\r\n" + data + b"\r\n"


WIRES = st.lists(
    st.builds(chunk, st.sampled_from([b"<a>", b"<>", b"<bb" * 9 + b">", b"[a]", b"<a", b""]), st.sampled_from(["%x", "%X", "%03x", "%x;x=1"]))
    | st.sampled_from([b"\r\n", b"5\r\n<a>\r\n", b"3\r\n<a>\r", b"fffffffff\r\n<a>\r\n", b"0\r\n\r\n", b"g\r\n", b"3\n<a>\r\n"]),
    max_size=8,
).map(b"".join)  # fmt: skip


@pytest.mark.skipif(like_chunks is plain_like_chunks, reason="nothing was compiled here")
@given(WIRES, st.integers(0, 30), st.sampled_from([b"<", b"", b"<bb"]), st.sampled_from([b">", b"", b"b>"]))
def test_chunks_are_read_by_sight_alike(wire: bytes, at: int, before: bytes, after: bytes) -> None:
    assert like_chunks(wire, at, before, after) == plain_like_chunks(wire, at, before, after)


def test_chunks_are_read_by_sight_up_to_the_first_that_differs() -> None:
    wire = chunk(b"<a>") + chunk(b"<" + b"b" * 30 + b">", "%X") + chunk(b"<c>", "%02x") + chunk(b"<d>")
    assert plain_like_chunks(wire, 0, b"<", b">") == ([b"a", b"b" * 30], [8, 46])
    assert plain_like_chunks(wire, 46, b"<", b">") == ([], [])
