"""Kernel receive stamps of a socket (Linux SO_TIMESTAMPING) as monotonic nanoseconds."""

import contextlib
import platform
import socket
import struct
import sys
from collections.abc import Callable

from loadgen.arrivals import READ, Arrivals
from loadgen.heartbeat import Heartbeat
from loadgen.reads import plain_stamps

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


def received_ns(stamps: bytes) -> int:
    """The kernel's stamp in a read's ancillary data, as wall-clock nanoseconds; 0 where there is none."""
    if len(stamps) != _STAMPS.size:  # not the message that was asked for
        return 0
    seconds, nanoseconds = _STAMPS.unpack(stamps)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


class ReadClock:
    """Stamps reads with the kernel's time of receipt, on the monotonic clock."""

    def __init__(self, beat: Heartbeat) -> None:
        self._beat = beat
        self.on_lag: Callable[[int], None] | None = None  # called with the lag of every 16th read (ns)

    def received_ns(self, arrivals: Arrivals) -> int:
        """When the last read was received, as `settle` will say of it where nothing is wrong with its stamp."""
        _, now, received = READ.unpack_from(arrivals.table, len(arrivals.table) - READ.size)
        kernel = self._kernel_ns(received, now)
        return kernel if kernel is not None and 0 <= now - kernel <= SLACK_NS else now

    def settle(self, arrivals: Arrivals) -> None:
        """Stamp the reads of `arrivals`.

        In one go after the response: what is done for each read while others wait must be little.
        """
        if not arrivals.table:
            return
        _, begun, _ = READ.unpack_from(arrivals.table)
        _, ended, _ = READ.unpack_from(arrivals.table, len(arrivals.table) - READ.size)
        reads = len(arrivals.table) // READ.size
        if self._beat.is_never_late(begun, ended):
            arrivals.late = [False] * reads
        else:
            arrivals.late = self._beat.late([read_at for _, read_at, _ in READ.iter_unpack(arrivals.table)])
        arrivals.stamps = self._plain(arrivals, begun) or self._careful(arrivals)
        if arrivals.headers_read is not None:
            arrivals.headers_ns = arrivals.stamps[arrivals.headers_read]
        arrivals.closed_ns = max(arrivals.closed_ns or 0, arrivals.stamps[-1])

    def _plain(self, arrivals: Arrivals, begun_ns: int) -> list[int] | None:
        """Kernel stamps where every read has a possible one, as nearly always; null otherwise."""
        offset = self._beat.wall_minus_mono(begun_ns)
        if offset is None:
            return None
        stamps = plain_stamps(arrivals.table, offset, arrivals.sent_ns or 0, SLACK_NS)
        if stamps and self.on_lag is not None:
            for number in range(0, len(stamps), _LAG_SAMPLE):
                _, read_at, _ = READ.unpack_from(arrivals.table, number * READ.size)
                self.on_lag(read_at - stamps[number])
        return stamps

    def _careful(self, arrivals: Arrivals) -> list[int]:
        """Stamps of reads whose kernel stamps may be missing or impossible."""
        stamps, floor = [], arrivals.sent_ns or 0
        for _, now, stamp in READ.iter_unpack(arrivals.table):
            kernel = self._kernel_ns(stamp, now)
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

    def _kernel_ns(self, received: int, now: int) -> int | None:
        return received - self._beat.wall_minus_mono_at(now) if received else None
