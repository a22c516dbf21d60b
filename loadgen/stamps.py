"""Kernel receive stamps of a socket (Linux SO_TIMESTAMPING) as monotonic nanoseconds."""

import contextlib
import platform
import socket
import struct
import sys
from collections.abc import Callable
from operator import sub

import numpy as np

from loadgen.arrivals import Arrivals
from loadgen.heartbeat import Heartbeat

# <asm-generic/socket.h> and <linux/net_tstamp.h>; Python's socket module has no names for them
_SO_TIMESTAMPING = 37
_RX_SOFTWARE, _SOFTWARE = 1 << 3, 1 << 4
_STAMPS = struct.Struct("=qq32x")  # three timespecs, the first is the software stamp
_SUPPORTED = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
"""Whether the system has receive stamps."""

ANCILLARY_BYTES = socket.CMSG_SPACE(_STAMPS.size) if _SUPPORTED else 0
NO_STAMP = bytes(_STAMPS.size)
"""Stands for the stamp of a read to which the kernel gave none."""

SLACK_NS = 50_000_000
_PREEMPTED_NS = 50_000
_LAG_SAMPLE = 16


def ask_kernel_stamps(sock: socket.socket) -> None:
    """Ask for receive stamps; where the system has none, reads carry the time of reading."""
    if _SUPPORTED:
        with contextlib.suppress(OSError):  # a sandboxed kernel may refuse; clock_source says so on the row
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _RX_SOFTWARE | _SOFTWARE)


class ReadClock:
    """Stamps reads with the kernel's time of receipt, on the monotonic clock."""

    def __init__(self, beat: Heartbeat) -> None:
        self._beat = beat
        self.on_lag: Callable[[int], None] | None = None  # called with the lag of every 16th read (ns)

    def received_ns(self, arrivals: Arrivals) -> int:
        """When the last read was received, as `settle` will say of it where nothing is wrong with its stamp."""
        now = arrivals.read_at[-1]
        kernel = self._kernel_ns(_STAMPS.unpack_from(_timespecs(arrivals), -_STAMPS.size), now)
        return kernel if kernel is not None and 0 <= now - kernel <= SLACK_NS else now

    def settle(self, arrivals: Arrivals) -> None:
        """Stamp the reads of `arrivals`.

        In one go after the response: what is done for each read while others wait must be little.
        """
        times = arrivals.read_at
        if not times:
            return
        arrivals.late = self._beat.late(times)
        arrivals.stamps = self._plain(arrivals) or self._careful(arrivals)
        if arrivals.headers_read is not None:
            arrivals.headers_ns = arrivals.stamps[arrivals.headers_read]
        arrivals.closed_ns = max(arrivals.closed_ns or 0, arrivals.stamps[-1])

    def _plain(self, arrivals: Arrivals) -> list[int] | None:
        """Kernel stamps where every read has a possible one, as nearly always; null otherwise."""
        times = arrivals.read_at
        offset = self._beat.wall_minus_mono(times[0])
        if offset is None:
            return None
        words = np.frombuffer(_timespecs(arrivals), np.int64).reshape(len(times), -1)
        stamps: list[int] = (words[:, 0] * 1_000_000_000 + (words[:, 1] - offset)).tolist()
        lags = list(map(sub, times, stamps))
        if min(lags) < 0 or max(lags) > SLACK_NS or stamps[0] < (arrivals.sent_ns or 0) or stamps != sorted(stamps):
            return None
        if self.on_lag is not None:
            for lag in lags[::_LAG_SAMPLE]:
                self.on_lag(lag)
        return stamps

    def _careful(self, arrivals: Arrivals) -> list[int]:
        """Stamps of reads whose kernel stamps may be missing or impossible."""
        stamps, floor = [], arrivals.sent_ns or 0
        for words, now in zip(_STAMPS.iter_unpack(_timespecs(arrivals)), arrivals.read_at, strict=True):
            kernel = self._kernel_ns(words, now)
            if kernel is None:
                arrivals.user_stamps += 1
                kernel = now
            elif (
                not -_PREEMPTED_NS <= now - kernel <= self._beat.stalled_ns(now) + SLACK_NS
                or kernel < floor - _PREEMPTED_NS
            ):
                arrivals.user_stamps += 1
                arrivals.clock_suspect = True
                kernel = now
            floor = min(max(kernel, floor), now)
            stamps.append(floor)
        return stamps

    def _kernel_ns(self, timespec: tuple[int, int], now: int) -> int | None:
        seconds, nanoseconds = timespec
        return seconds * 1_000_000_000 + nanoseconds - self._beat.wall_minus_mono_at(now) if seconds else None


def _timespecs(arrivals: Arrivals) -> bytes | bytearray:
    """The stamps of the reads as the kernel writes them."""
    reads = len(arrivals.read_at)
    if len(arrivals.received) != reads * _STAMPS.size:  # not the message that was asked for
        return NO_STAMP * reads
    return arrivals.received
