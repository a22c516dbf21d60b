"""Reads carry the kernel's time of receipt where it can be believed, and a late client is noticed."""

import asyncio
import gc
import socket
import struct
import sys
import threading
import time
import weakref
from array import array
from time import monotonic_ns, time_ns

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.arrivals import Arrivals
from loadgen.heartbeat import Heartbeat
from loadgen.http1 import ResponseReader
from loadgen.interpret import Exchange, Interpreter
from loadgen.receiver import PlainRecord, is_compiled
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


def test_where_a_thread_reads_its_signs_say_what_is_late() -> None:
    stalls = [array("q", [100 * MS, 150 * MS]), array("q")]
    beat = Heartbeat()
    beat.follow(lambda: (200 * MS, stalls.pop(0).tobytes() if stalls else b""))
    assert beat.late([99 * MS, 101 * MS, 103 * MS, 149 * MS, 150 * MS, 201 * MS, 203 * MS]) == [
        False, False, True, True, False, False, True,
    ]  # fmt: skip
    assert (beat.is_late(149 * MS), beat.stalled_ns(140 * MS)) == (True, 40 * MS)


@pytest.mark.parametrize(("follows", "weight"), [(False, 1), (True, 8)])
def test_the_loop_beats_more_slowly_where_reads_do_not_wait_for_it(follows: bool, weight: int) -> None:
    async def scenario() -> list[int]:
        beat, weights = Heartbeat(), []
        beat.on_lag = lambda lag_ns, weight: weights.append(weight)
        if follows:
            beat.follow(lambda: (monotonic_ns(), b""))
        beat.start()
        while len(weights) < 3:
            await asyncio.sleep(0.001)
        beat.stop()
        return weights

    assert set(asyncio.run(scenario())) == {weight}


@pytest.mark.skipif(sys.platform != "linux", reason="kernel stamps are Linux's")
def test_tokens_wait_for_a_stalled_loop_only_where_that_reads_them(wire, receiving: None) -> None:
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
    assert row["clock_source"] == "kernel"
    if is_compiled():
        assert (row["merged_reads"], row["token_chunks"]) == (0, 3)
    else:
        assert (row["merged_reads"], row["token_chunks"]) == (1, 2)
        assert (row["chunk_tokens"], row["chunk_token_source"]) == ([1, 2], "events")


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
