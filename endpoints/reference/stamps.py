"""Kernel time stamps of a TCP socket (Linux SO_TIMESTAMPING): when data came, and when each byte left.

All stamps are CLOCK_REALTIME nanoseconds. Where the system has no such stamps, `enable` says so.
"""

import socket
import struct
import sys
from bisect import bisect_left
from collections.abc import Sequence

SO_TIMESTAMPING = 37
_TX_SOFTWARE, _RX_SOFTWARE, _SOFTWARE, _OPT_ID, _OPT_TSONLY = 1 << 1, 1 << 3, 1 << 4, 1 << 7, 1 << 11
_TIMESPEC = struct.Struct("ll")
_EXTENDED_ERROR = struct.Struct("IBBBBII")  # struct sock_extended_err; its last field is the byte's number
_CONTROL_BYTES = 512
_ERROR_LEVELS = (socket.IPPROTO_IP, 41)  # IP_RECVERR and IPV6_RECVERR carry the byte's number
_TX_QUEUE_BYTES = 1 << 20  # un-drained stamps count as received data: room for a few hundred


def enable_listener(listener: socket.socket) -> bool:
    """Have the kernel stamp what comes before a connection is accepted, too; False where the system cannot."""
    return _set(listener, _RX_SOFTWARE | _SOFTWARE)


def enable(sock: socket.socket) -> bool:
    """Ask for receive and send stamps; False where the system gives none. Bytes are numbered from now on."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _TX_QUEUE_BYTES)
    return _set(sock, _RX_SOFTWARE | _SOFTWARE | _TX_SOFTWARE | _OPT_ID | _OPT_TSONLY)


def _set(sock: socket.socket, flags: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, flags)
    except OSError:
        return False
    return True


def receive(sock: socket.socket, size: int) -> tuple[bytes, int | None]:
    """Read once: the data, and when its last segment came. Raises as `recv` does."""
    data, control, _, _ = sock.recvmsg(size, _CONTROL_BYTES)
    return data, _software_stamp(control)


def drain_sent(sock: socket.socket) -> list[tuple[int, int]]:
    """Take all send stamps that wait: (number of the segment's last byte, when it left), in the order of sending."""
    stamps: list[tuple[int, int]] = []
    while True:
        try:
            _, control, _, _ = sock.recvmsg(0, _CONTROL_BYTES, socket.MSG_ERRQUEUE)
        except OSError:  # nothing left, or the connection is gone
            return stamps
        left_ns = _software_stamp(control)
        for level, _, data in control:
            if level in _ERROR_LEVELS and left_ns is not None:
                stamps.append((_EXTENDED_ERROR.unpack_from(data)[-1], left_ns))


def match(ends: Sequence[int], stamps: Sequence[tuple[int, int]]) -> list[int] | None:
    """Return when each write left, given the number of bytes sent up to its end; None if a stamp is missing.

    Writes that the kernel joined into one segment have one stamp, that of the segment's last byte.
    """
    numbers = [number for number, _ in stamps]
    found = [bisect_left(numbers, end - 1) for end in ends]
    if any(index == len(stamps) for index in found):
        return None
    return [stamps[index][1] for index in found]


def _software_stamp(control: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPING:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            if seconds:
                return int(seconds * 1_000_000_000 + nanoseconds)
    return None
