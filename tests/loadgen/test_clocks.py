"""Reads carry the kernel's time of receipt where it can be believed, and a late client is noticed."""

import asyncio
import gc
import socket
import struct
import sys
import threading
import time
import weakref
from collections.abc import Callable
from time import monotonic_ns, time_ns

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen import heartbeat
from loadgen.arrivals import Arrivals
from loadgen.heartbeat import Heartbeat
from loadgen.http1 import ResponseReader
from loadgen.interpret import Exchange, Interpreter
from loadgen.receiver import PlainRecord
from loadgen.redact import Redactor
from loadgen.stamps import ReadClock
from loadgen.transport import SocketTransport

MS = 1_000_000


NO_STAMP = 0


def received(ms_ago: float) -> int:
    """What the kernel says of a read whose last segment it received `ms_ago`."""
    return time_ns() - round(ms_ago * MS)


def stamped(kernel: int, stalled_ms: float = 0) -> tuple[Arrivals, float]:
    """A recorder with one read, and how long before the read its stamp lies (ms)."""
    beat = Heartbeat()
    now = monotonic_ns()
    if stalled_ms:
        beat.note_stall(now - round(stalled_ms * MS), now + 1)
    arrivals = Arrivals(sent_ns=now - 10_000 * MS, table=struct.pack("=3q", 100, now, kernel))
    ReadClock(beat).settle(arrivals)
    return arrivals, (now - arrivals.stamps[0]) / MS


def test_a_read_is_stamped_when_the_kernel_received_it() -> None:
    arrivals, ms_ago = stamped(received(ms_ago=30))
    assert ms_ago == pytest.approx(30, abs=5)
    assert (arrivals.clock_source, arrivals.clock_suspect) == ("kernel", False)


def test_without_a_kernel_stamp_the_time_of_reading_counts() -> None:
    arrivals, ms_ago = stamped(NO_STAMP)
    assert ms_ago == 0
    assert (arrivals.clock_source, arrivals.clock_suspect) == ("user", False)


@pytest.mark.parametrize("ms_ago", [-1000, 1000])
def test_an_impossible_kernel_stamp_is_replaced_and_flagged(ms_ago: float) -> None:
    arrivals, stamp_ms_ago = stamped(received(ms_ago))
    assert stamp_ms_ago == 0
    assert (arrivals.clock_source, arrivals.clock_suspect) == ("user", True)


def test_an_old_kernel_stamp_is_believed_after_a_stall_of_the_loop() -> None:
    arrivals, ms_ago = stamped(received(ms_ago=1000), stalled_ms=1500)
    assert ms_ago == pytest.approx(1000, abs=5)
    assert arrivals.late == [True]
    assert not arrivals.clock_suspect


def test_stamps_of_one_response_never_go_back() -> None:
    arrivals = Arrivals(sent_ns=monotonic_ns())
    clock = ReadClock(Heartbeat())
    for ms_ago in (0, 0.02, 0):
        arrivals.table += struct.pack("=3q", 100, monotonic_ns(), received(ms_ago))
    clock.settle(arrivals)
    assert arrivals.stamps == sorted(arrivals.stamps)


@given(
    st.lists(st.tuples(st.integers(0, 5 * MS), st.integers(1, 8 * MS)), max_size=4),
    st.lists(st.integers(0, 60 * MS), max_size=20),
)
def test_many_reads_are_late_as_each_alone_would_be(stalls: list[tuple[int, int]], times: list[int]) -> None:
    beat = Heartbeat()
    begun = at = monotonic_ns() + 1000 * MS
    for calm_ns, stall_ns in stalls:
        beat.note_stall(at + calm_ns, at + calm_ns + stall_ns)
        at += calm_ns + stall_ns
    beat._calm_ns = at + MS
    times = sorted([*(begun + time for time in times), *beat._stall_starts, *beat._stall_ends, at])
    late = [beat.is_late(time) for time in times]
    assert beat.late(times) == late
    assert not (beat.is_never_late(times[0], times[-1]) and any(late))
    assert beat.is_never_late(at, at + MS)


def test_a_stall_makes_reads_late_until_the_loop_is_calm_again() -> None:
    async def scenario() -> tuple[bool, bool]:
        beat = Heartbeat()
        beat.start()
        await asyncio.sleep(0.02)
        time.sleep(0.1)  # the stall
        await asyncio.sleep(0)
        after_stall = beat.is_late(monotonic_ns())
        deadline = monotonic_ns() + 10_000 * MS
        while (late := beat.is_late(monotonic_ns())) and monotonic_ns() < deadline:
            await asyncio.sleep(0.01)
        beat.stop()
        return after_stall, late

    assert asyncio.run(scenario()) == (True, False)


class Time:
    """An event loop's time in milliseconds, which passes when it is told to; beats come when they are due."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 0
        self._due: list[tuple[int, Callable[[], None]]] = []
        monkeypatch.setattr(heartbeat, "monotonic_ns", lambda: self.now_ns)
        monkeypatch.setattr(heartbeat, "time_ns", lambda: self.now_ns)
        monkeypatch.setattr(heartbeat, "clock_pair", lambda tries: (self.now_ns, self.now_ns))
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: self)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        self._due.append((self.now_ns + round(delay_s * 1e9), callback))

    def pass_ms(self, ms: float) -> None:
        self.now_ns += round(ms * MS)
        due, self._due = self._due, []
        for at_ns, callback in due:
            callback() if at_ns <= self.now_ns else self._due.append((at_ns, callback))


def test_while_all_is_read_again_and_again_the_loop_beats_more_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    time, beat, weights = Time(monkeypatch), Heartbeat(), []
    beat.on_lag = lambda lag_ns, weight: weights.append(weight)
    beat.start()
    for _ in range(1600):
        time.pass_ms(0.1)
        beat.all_read()
    assert weights == [1] * 16 + [8] * 18  # 160 ms
    for _ in range(10):
        time.pass_ms(1)
    assert weights[34:] == [8, 1, 1]


def test_bursts_of_reads_do_not_slow_the_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    time, beat, weights = Time(monkeypatch), Heartbeat(), []
    beat.on_lag = lambda lag_ns, weight: weights.append(weight)
    beat.start()
    for _ in range(20):
        for _ in range(30):
            beat.all_read()
        for _ in range(10):
            time.pass_ms(1)
    assert weights == [1] * 200


def test_what_is_read_after_a_stall_is_late_until_all_is_read() -> None:
    beat = Heartbeat()
    beat.all_read()
    calm = monotonic_ns()
    time.sleep(0.05)
    stalled = monotonic_ns()
    beat.all_read()
    still = beat.is_late(monotonic_ns())
    beat.all_read()
    assert (beat.is_late(calm), beat.is_late(stalled), still) == (False, True, True)
    assert not beat.is_late(monotonic_ns())


@pytest.mark.skipif(sys.platform != "linux", reason="kernel stamps are Linux's")
def test_tokens_that_waited_for_a_stalled_client_are_one_chunk(wire) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    stalls, both_sent = threading.Event(), threading.Event()

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(65536)
            sock.sendall(wire.STREAM_HEAD + wire.chunk(wire.token("a")))
            stalls.wait(20)
            time.sleep(0.1)
            sock.sendall(wire.chunk(wire.token("b")))
            time.sleep(0.1)
            sock.sendall(wire.chunk(wire.token("c")))
            both_sent.set()
            time.sleep(0.3)
            sock.sendall(wire.chunk(wire.finish() + wire.usage(5, 3)) + wire.END)
            sock.recv(1)

    async def scenario(arrivals: Arrivals) -> None:
        transport = SocketTransport()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        request = httpx.Request("POST", url, json={}, extensions={"arrivals": arrivals})
        exchange = asyncio.create_task(transport.handle_async_request(request))
        while arrivals.headers_read is None:  # the first token is there, the second is not
            await asyncio.sleep(0.001)
        stalls.set()
        both_sent.wait(20)  # blocks the loop on purpose
        await exchange
        await transport.aclose()

    thread = threading.Thread(target=serve)
    thread.start()
    arrivals = Arrivals()
    with listener:
        asyncio.run(scenario(arrivals))
    thread.join()

    row = Interpreter({}, 0, Redactor([])).row(Exchange(0, "measure", 5, 3, "", 0, arrivals))
    assert row["merged_reads"] == 1
    assert (row["chunk_tokens"], row["chunk_token_source"]) == ([1, 2], "events")
    assert row["clock_source"] == "kernel"


def test_a_finished_response_is_freed_without_the_collector() -> None:
    gc.disable()
    try:
        reader = ResponseReader(PlainRecord(), Arrivals())
        freed = weakref.ref(reader)
        reader.release()
        del reader
        assert freed() is None
    finally:
        gc.enable()
