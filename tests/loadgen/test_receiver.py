"""Sockets are read alike in C and in Python: what came, when, and who is to look."""

import asyncio
import itertools
import os
import platform
import re
import shutil
import socket
import struct
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from time import monotonic_ns, time_ns

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen import receiver
from loadgen.chunked import like_chunks, like_chunks_in_python
from loadgen.heartbeat import Heartbeat
from loadgen.receiver import Receiver, Record
from loadgen.stamps import ask_kernel_stamps
from tests.loadgen.waiting import until

Kind = Callable[[], Receiver]


@pytest.fixture
def make(receiving: None) -> Kind:
    return lambda: receiver.receiver(Heartbeat())


@pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("cc") or not Path(sysconfig.get_path("include"), "Python.h").exists(),
    reason="nothing to compile with",
)
def test_where_there_is_a_compiler_sockets_are_read_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RATECARD_RECEIVER", raising=False)
    assert receiver.is_compiled()
    assert like_chunks is not like_chunks_in_python


_TURN_NS = """
import ctypes, struct
from loadgen import _receiver
_receiver.Receiver(1, 1)
attributes = ctypes.create_string_buffer(48)
assert not ctypes.CDLL(None).syscall({call}, 0, attributes, 48, 0)
print(struct.unpack_from("=Q", attributes, 24)[0])
"""


@pytest.mark.skipif(
    sys.platform != "linux" or tuple(map(int, re.findall(r"\d+", platform.release())[:2])) < (6, 12),
    reason="this system gives no shorter turns",
)
def test_the_threads_that_read_and_send_ask_for_short_turns() -> None:
    call = {"x86_64": 315, "aarch64": 275}[platform.machine()]  # sched_getattr
    turn_ns = subprocess.run(
        [sys.executable, "-c", _TURN_NS.format(call=call)], capture_output=True, text=True, check=True
    )
    assert int(turn_ns.stdout) == 100_000


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
        await until(lambda: looks[-1:] == [len(record)])
        assert record.wire(0, 1) == b"a"
        pieces = [record.wire(n, n + 1) for n in range(len(record))]
        with pytest.raises(IndexError):
            record.wire(0, len(record) + 1)
        wire, packed = record.take()
        table = list(struct.iter_unpack("=3q", packed))
        ends = [end for end, _, _ in table]
        assert wire == b"".join(sent)
        assert pieces == [wire[start:end] for start, end in itertools.pairwise([0, *ends])]
        assert ends[-1] == 80_002
        assert [began, *(at for _, at, _ in table)] == sorted([began, *(at for _, at, _ in table)])
        wall_minus_mono = time_ns() - monotonic_ns()
        stamps = [stamp - wall_minus_mono for _, _, stamp in table if stamp]
        # the kernel turns stamping on a little after it was first asked
        assert all(began - 5_000_000 <= stamp <= monotonic_ns() + 5_000_000 for stamp in stamps)
        assert looks == sorted(set(looks))
        assert (len(record), record.wire(0, 0), record.take()) == (0, b"", (b"", b""))
        far.sendall(b"e")
        await until(lambda: len(record) == 1)
        wire, packed = record.take()
        assert (wire, struct.unpack("=3q", packed)[0]) == (b"e", 1)
        reading.close()

    asyncio.run(scenario())


def test_a_stream_is_looked_at_where_it_may_end(make: Kind, pair) -> None:
    near, far = pair

    async def scenario() -> list[bytes]:
        reading, looked = make(), []
        record = reading.add(near, lambda: looked.append(record.wire(len(record) - 1, len(record))))
        record.streaming = True
        due = 0
        for number, data in enumerate([b"5\r\nhello\r\n", b"0\r\n\r\n", b"\n", b"1\r\na\r\n", b"x\r\n\r\n"], 1):
            far.sendall(data)
            due += number in (2, 3, 5)
            await until(lambda number=number, due=due: len(record) == number and len(looked) >= due)
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

    async def scenario() -> tuple[bool, bytes]:
        reading = make()
        record = reading.add(near, lambda: None)
        nothing = reading.read(record)
        far.sendall(b"unasked")
        deadline = time.monotonic() + 20
        while not (reading.read(record) or len(record)):
            assert time.monotonic() < deadline
        reading.close()
        return nothing, record.wire(0, 1)

    assert asyncio.run(scenario()) == (False, b"unasked")


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


only_in_c = pytest.mark.parametrize("receiving", ["c"], indirect=True)


@only_in_c
def test_in_c_no_read_waits_for_the_loop(make: Kind, pair) -> None:
    near, far = pair

    async def scenario() -> bytes:
        reading = make()
        record = reading.add(near, lambda: None)
        deadline = time.monotonic() + 20
        for number in range(3):
            far.sendall(b"%d" % number)
            while len(record) == number:  # the loop does not come round meanwhile
                assert time.monotonic() < deadline
                time.sleep(0.001)
        reading.close()
        return record.wire(0, 3)

    assert asyncio.run(scenario()) == b"012"


@only_in_c
def test_in_c_a_process_that_was_stopped_knows(receiving: None) -> None:
    async def scenario() -> float:
        beat = Heartbeat()
        reading = receiver.receiver(beat)
        began = monotonic_ns()
        subprocess.run(["sh", "-c", f"(kill -STOP {os.getpid()}; sleep 0.3; kill -CONT {os.getpid()}) &"], check=True)
        deadline = time.monotonic() + 20
        while (
            longest := max((beat.stalled_ns(at) for at in range(began, monotonic_ns(), 1_000_000)), default=0)
        ) < 0.2e9:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        while beat.is_late(monotonic_ns()):  # until it is calm again
            assert time.monotonic() < deadline
            await asyncio.sleep(0.001)
        reading.close()
        return longest / 1e9

    assert 0.2 <= asyncio.run(scenario()) < 20


@only_in_c
def test_in_c_readers_come_and_go_while_data_comes(make: Kind) -> None:
    """A descriptor is used again at once, by another connection, while the thread still hears of the one before."""

    async def scenario() -> int:
        reading, kept = make(), 0
        for number in range(300):
            near, far = socket.socketpair()
            near.setblocking(False)
            record = reading.add(near, lambda: None)
            far.sendall(b"%d" % number)
            if number % 3 == 0:
                await until(lambda record=record: len(record) > 0)
                kept += record.wire(0, 1) == b"%d" % number
            reading.remove(record)
            near.close()
            far.close()
        reading.close()
        return kept

    assert asyncio.run(scenario()) == 100


def chunk(data: bytes, size: str = "%x") -> bytes:
    return (size % len(data)).encode() + b"\r\n" + data + b"\r\n"


WIRES = st.lists(
    st.builds(chunk, st.sampled_from([b"<a>", b"<>", b"<bb" * 9 + b">", b"[a]", b"<a", b""]), st.sampled_from(["%x", "%X", "%03x", "%x;x=1"]))
    | st.sampled_from([b"\r\n", b"5\r\n<a>\r\n", b"3\r\n<a>\r", b"fffffffff\r\n<a>\r\n", b"0\r\n\r\n", b"g\r\n", b"3\n<a>\r\n"]),
    max_size=8,
).map(b"".join)  # fmt: skip


@pytest.mark.skipif(like_chunks is like_chunks_in_python, reason="nothing was compiled here")
@given(WIRES, st.integers(0, 30), st.sampled_from([b"<", b"", b"<bb"]), st.sampled_from([b">", b"", b"b>"]))
def test_chunks_are_read_by_sight_alike(wire: bytes, at: int, before: bytes, after: bytes) -> None:
    assert like_chunks(wire, at, before, after) == like_chunks_in_python(wire, at, before, after)


def test_chunks_are_read_by_sight_up_to_the_first_that_differs() -> None:
    wire = chunk(b"<a>") + chunk(b"<" + b"b" * 30 + b">", "%X") + chunk(b"<c>", "%02x") + chunk(b"<d>")
    assert like_chunks_in_python(wire, 0, b"<", b">") == ([b"a", b"b" * 30], [8, 46])
    assert like_chunks_in_python(wire, 46, b"<", b">") == ([], [])
