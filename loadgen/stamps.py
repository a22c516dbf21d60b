"""Kernel receive stamps of a socket (Linux SO_TIMESTAMPING) as monotonic nanoseconds."""

import contextlib
import platform
import socket
import struct
import sys
from time import monotonic_ns, time_ns

from loadgen.arrivals import Arrivals
from loadgen.heartbeat import Heartbeat

# <asm-generic/socket.h> and <linux/net_tstamp.h>; Python's socket module has no names for them
_SO_TIMESTAMPING = 37
_RX_SOFTWARE, _SOFTWARE = 1 << 3, 1 << 4
_TIMESPEC = struct.Struct("=qq")
_SUPPORTED = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")

ANCILLARY_BYTES = socket.CMSG_SPACE(48) if _SUPPORTED else 0  # three timespecs, the first is the software stamp

SLACK_NS = 50_000_000
_PREEMPTED_NS = 50_000


def ask_kernel_stamps(sock: socket.socket) -> None:
    """Ask for receive stamps; where the system has none, reads carry the time of reading."""
    if _SUPPORTED:
        with contextlib.suppress(OSError):  # a sandboxed kernel may refuse; clock_source says so on the row
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _RX_SOFTWARE | _SOFTWARE)


class ReadClock:
    """Stamps reads with the kernel's time of receipt, on the monotonic clock."""

    def __init__(self, beat: Heartbeat) -> None:
        self._beat = beat
        self._wall_minus_mono = time_ns() - monotonic_ns()

    def stamp(self, arrivals: Arrivals, ancillary: list[tuple[int, int, bytes]], now: int) -> None:
        """Add the stamp of a read made at `now` (monotonic ns) with these control messages."""
        stalled = now - self._beat.calm_ns
        arrivals.late.append(self._beat.is_late(now))
        floor = arrivals.stamps[-1] if arrivals.stamps else arrivals.sent_ns or 0
        kernel = self._kernel_ns(ancillary, now)
        if kernel is None:
            arrivals.user_stamps += 1
            kernel = now
        elif not -_PREEMPTED_NS <= now - kernel <= stalled + SLACK_NS or kernel < floor - _PREEMPTED_NS:
            arrivals.user_stamps += 1
            arrivals.clock_suspect = True
            kernel = now
        arrivals.stamps.append(min(max(kernel, floor), now))

    def _kernel_ns(self, ancillary: list[tuple[int, int, bytes]], now: int) -> int | None:
        if not ancillary or ancillary[0][1] != _SO_TIMESTAMPING:
            return None
        seconds, nanoseconds = _TIMESPEC.unpack_from(ancillary[0][2])
        if not seconds:
            return None
        offset = time_ns() - now
        if not -_PREEMPTED_NS < offset - self._wall_minus_mono < _PREEMPTED_NS:
            # the process lost its core between the two clocks, or the wall clock moved: take a pair again
            offset = time_ns() - monotonic_ns()
        self._wall_minus_mono = offset
        return int(seconds * 1_000_000_000 + nanoseconds - offset)
