"""What `ratecard doctor` finds out about time on this machine: wall clock, NTP, kernel stamps."""

import ctypes
import socket
import sys
import time
from collections.abc import Iterator

from flows.checks import Check
from loadgen.clock_pair import clock_pair
from loadgen.stamps import ANCILLARY_BYTES, ask_kernel_stamps

WATCH_S, STEP_MS = 0.5, 1.0
STAMP_TRIES = 25
_TIME_ERROR = 5  # adjtimex: not synchronised


def clock_checks() -> Iterator[Check]:
    """Clocks and stamps, in the order of the table; takes about a second."""
    yield _wall_clock()
    yield _time_service()
    yield _kernel_stamps()


def _wall_clock() -> Check:
    before = _wall_minus_monotonic_ns()
    time.sleep(WATCH_S)
    moved_ms = (_wall_minus_monotonic_ns() - before) / 1e6
    found = f"moved {moved_ms:+.3f} ms against the monotonic clock in {WATCH_S:g} s"
    if abs(moved_ms) > STEP_MS:
        return Check(
            "wall clock",
            "warning",
            found,
            "something sets the clock: see to it before measuring, stamps are marked suspect meanwhile",
        )
    return Check("wall clock", "ok", found)


def _wall_minus_monotonic_ns() -> int:
    mono, wall = clock_pair(9)
    return wall - mono


def _time_service() -> Check:
    state = _adjtimex()
    if state is None:
        return Check("time service", "warning", "unknown", "see that the clock is kept by NTP: nights are named by it")
    if state == _TIME_ERROR:
        return Check(
            "time service",
            "warning",
            "the kernel says that the clock is not synchronised",
            "start an NTP service (chrony, systemd-timesyncd)",
        )
    return Check("time service", "ok", "the clock is synchronised")


def _adjtimex() -> int | None:
    """The kernel's clock state; null where it cannot be asked."""
    try:
        answer: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))  # all zero: only asks
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer


def _kernel_stamps() -> Check:
    if kernel_stamps_arrive():
        return Check("kernel stamps", "ok", "the kernel stamps what sockets receive")
    why = "" if sys.platform == "linux" else " (Linux has them)"
    return Check(
        "kernel stamps", "warning", f"sockets receive without stamps{why}",
        "nothing: arrivals carry the time of reading instead, true while the client is not busy (clock_source = user)",
    )  # fmt: skip


def kernel_stamps_arrive() -> bool:
    """Whether bytes over a loopback TCP connection come with the kernel's receive time."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as near:
        far, _ = listener.accept()
        with far:
            near.settimeout(1.0)
            ask_kernel_stamps(near)
            for _ in range(STAMP_TRIES):  # the kernel turns stamping on a little after it was asked
                far.send(b"x")
                if near.recvmsg(1, ANCILLARY_BYTES)[1]:
                    return True
                time.sleep(0.02)
    return False
