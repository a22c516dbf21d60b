"""Kernel receive stamps of a socket (Linux SO_TIMESTAMPING) as monotonic nanoseconds."""

import contextlib
import platform
import socket
import struct
import sys
from collections.abc import Callable
from operator import sub

from loadgen.arrivals import Arrivals, Read
from loadgen.heartbeat import Heartbeat

# <asm-generic/socket.h> and <linux/net_tstamp.h>; Python's socket module has no names for them
_SO_TIMESTAMPING = 37
_RX_SOFTWARE, _SOFTWARE = 1 << 3, 1 << 4
_STAMPS = struct.Struct("=qq32x")  # three timespecs, the first is the software stamp
_SUPPORTED = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
"""Whether the system has receive stamps."""

ANCILLARY_BYTES = socket.CMSG_SPACE(_STAMPS.size) if _SUPPORTED else 0

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

    def received_ns(self, read: Read) -> int:
        """When a read was received, as `settle` will say of it where nothing is wrong with its stamp."""
        _, ancillary, now = read
        kernel = self._kernel_ns(ancillary, now)
        return kernel if kernel is not None and 0 <= now - kernel <= SLACK_NS else now

    def settle(self, arrivals: Arrivals) -> None:
        """Stamp the reads of `arrivals` that have no stamp yet.

        In one go after the response: what is done for each read while others wait must be little.
        """
        reads = arrivals.reads[len(arrivals.stamps) :]
        if not reads:
            return
        floor = arrivals.stamps[-1] if arrivals.stamps else arrivals.sent_ns or 0
        times = [now for _, _, now in reads]
        arrivals.late += self._beat.late(times)
        stamps = self._plain(reads, times, floor)
        if stamps is None:
            for read in reads:
                floor = self._careful(arrivals, read, floor)
                arrivals.stamps.append(floor)
        else:
            arrivals.stamps += stamps
        if arrivals.headers_read is not None:
            arrivals.headers_ns = arrivals.stamps[arrivals.headers_read]
        arrivals.closed_ns = max(arrivals.closed_ns or 0, arrivals.stamps[-1])

    def _plain(self, reads: list[Read], times: list[int], floor: int) -> list[int] | None:
        """Kernel stamps where every read has a possible one, as nearly always; null otherwise."""
        offset = self._beat.wall_minus_mono(times[0])
        if offset is None:
            return None
        try:
            raw = b"".join([ancillary[0][2] for _, ancillary, _ in reads])
        except IndexError:
            return None
        if len(raw) != len(reads) * _STAMPS.size:
            return None
        stamps = [seconds * 1_000_000_000 + nanoseconds - offset for seconds, nanoseconds in _STAMPS.iter_unpack(raw)]
        lags = list(map(sub, times, stamps))
        if min(lags) < 0 or max(lags) > SLACK_NS or stamps[0] < floor or stamps != sorted(stamps):
            return None
        if self.on_lag is not None:
            for lag in lags[::_LAG_SAMPLE]:
                self.on_lag(lag)
        return stamps

    def _careful(self, arrivals: Arrivals, read: Read, floor: int) -> int:
        """Stamp of one read whose kernel stamp may be missing or impossible."""
        _, ancillary, now = read
        kernel = self._kernel_ns(ancillary, now)
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
        return min(max(kernel, floor), now)

    def _kernel_ns(self, ancillary: list[tuple[int, int, bytes]], now: int) -> int | None:
        if not ancillary or ancillary[0][1] != _SO_TIMESTAMPING or len(ancillary[0][2]) != _STAMPS.size:
            return None
        seconds, nanoseconds = _STAMPS.unpack(ancillary[0][2])
        if not seconds:
            return None
        return int(seconds * 1_000_000_000 + nanoseconds - self._beat.wall_minus_mono_at(now))
