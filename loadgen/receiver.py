"""Reads the sockets of a transport as they become readable, and keeps what came, when it was read and received.

What is to leave at a certain time is sent from here, too. On Linux `_receiver.c` does it, in a thread of its own; where that could not be compiled, or with
RATECARD_RECEIVER=python, the event loop does the same in Python.
"""

import asyncio
import os
import socket
from array import array
from collections.abc import Callable
from time import monotonic_ns
from typing import Any, Protocol

from loadgen.due import when_due
from loadgen.heartbeat import BEAT_NS, LATE_NS, Heartbeat
from loadgen.stamps import ANCILLARY_BYTES, received_ns

try:
    from loadgen import _receiver
except ImportError:
    _receiver = None  # type: ignore[assignment]

_READ_BYTES = 65536
_MAY_END = b"\r\n\r\n"


class Record(Protocol):
    """The reads of one connection since they were last taken, which is before each request. It may grow at any time.

    While `streaming` it is looked at only when the response may be complete: with a read that ends in CRLFCRLF, or is
    too short to tell.
    """

    streaming: bool

    @property
    def ended(self) -> bool:
        """Whether the other side has closed."""

    @property
    def error(self) -> int:
        """What broke the connection (errno), 0 for nothing."""

    @property
    def sent(self) -> tuple[int, int, int]:
        """Of the last `Receiver.send_at`: when it was sent (monotonic ns, 0: not yet), bytes that the socket took, errno."""

    def __len__(self) -> int:
        """Number of reads."""

    def wire(self, first: int, last: int, /) -> bytes:
        """Bytes of the reads `first` up to, but not including, `last`. Raises IndexError."""

    def take(self) -> tuple[bytes, bytes]:
        """All bytes and the table of the reads, which are forgotten; nothing streams any more.

        Three int64 a read: where it ends in the bytes, when it was read (monotonic ns), and the kernel's stamp, which
        is wall-clock nanoseconds, 0 where there is none.
        """


class PlainRecord:
    """A record that is filled by `add`."""

    def __init__(self) -> None:
        self.streaming = self.ended = False
        self.error = 0
        self.sent = 0, 0, 0
        self._reads: list[bytes] = []
        self._size = 0
        self._table = array("q")

    def add(self, data: bytes, read_at: int, received: int) -> bool:
        """Take the next read: bytes, when it was read, the kernel's stamp. Whether somebody should look at it."""
        self._reads.append(data)
        self._size += len(data)
        self._table.extend((self._size, read_at, received))
        return not self.streaming or data.endswith(_MAY_END) or len(data) < len(_MAY_END)

    def __len__(self) -> int:
        return len(self._reads)

    def wire(self, first: int, last: int, /) -> bytes:
        """As `Record` says."""
        if not 0 <= first <= last <= len(self._reads):
            raise IndexError(f"reads {first} to {last} of {len(self._reads)}")
        return b"".join(self._reads[first:last])

    def take(self) -> tuple[bytes, bytes]:
        """As `Record` says."""
        taken = b"".join(self._reads), self._table.tobytes()
        self.streaming = False
        self._reads.clear()
        self._size = 0
        del self._table[:]
        return taken


class Receiver(Protocol):
    """Reads sockets on the running event loop until `close`."""

    def add(self, sock: socket.socket, look: Callable[[], None]) -> Record:
        """Read `sock` from now on; `look` is called when somebody should look at the record."""

    def remove(self, record: Any) -> None:
        """Read its socket no more, if it is read; to be called before the socket is closed."""

    def read(self, record: Any) -> bool:
        """Read its socket now, if it has something; whether somebody should look at the record."""

    def send_at(self, record: Any, request: bytes, at_ns: int, alone: bool, /) -> None:
        """Send at `at_ns` (monotonic), `alone` only if nothing has come since `record` was taken, and have a look then.

        Nothing is sent on a connection that has ended or was removed. `record.sent` says what became of it: the socket
        may not have taken all. Raises ValueError if the record was removed.
        """

    def close(self) -> None:
        """Read nothing more."""


class CompiledReceiver:
    """A thread in C reads all sockets and sends; the loop hears when somebody should look. Neither waits for the loop."""

    def __init__(self, beat: Heartbeat) -> None:
        self._thread = _receiver.Receiver(BEAT_NS, LATE_NS)
        self.remove, self.read, self.send_at = self._thread.remove, self._thread.read, self._thread.send_at
        beat.follow(self._thread.signs)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._thread.fileno(), self._on_due)

    def add(self, sock: socket.socket, look: Callable[[], None]) -> Record:
        """As `Receiver` says."""
        return self._thread.add(sock.fileno(), look)

    def close(self) -> None:
        """As `Receiver` says."""
        self._loop.remove_reader(self._thread.fileno())
        self._thread.close()

    def _on_due(self) -> None:
        for look in self._thread.due():
            look()


class PlainReceiver:
    """One reader of the event loop and one recvmsg in Python for each socket."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._socks: dict[PlainRecord, socket.socket] = {}
        self._looks: dict[PlainRecord, Callable[[], None]] = {}

    def add(self, sock: socket.socket, look: Callable[[], None]) -> Record:
        """As `Receiver` says."""
        record = PlainRecord()
        self._socks[record], self._looks[record] = sock, look

        def on_readable() -> None:
            # until nothing is left: uvloop watches no longer once it has seen an error, which data may stand before
            before, wanted = -1, False
            while before < len(record):
                before = len(record)
                wanted = self.read(record) or wanted
            if wanted:
                look()

        self._loop.add_reader(sock.fileno(), on_readable)
        return record

    def remove(self, record: Any) -> None:
        """As `Receiver` says."""
        if sock := self._socks.pop(record, None):
            del self._looks[record]
            self._loop.remove_reader(sock.fileno())

    def read(self, record: Any) -> bool:
        """As `Receiver` says."""
        try:
            data, ancillary, _, _ = self._socks[record].recvmsg(_READ_BYTES, ANCILLARY_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            record.error = error.errno or -1
            return True
        now = monotonic_ns()
        if not data:
            record.ended = True
            return True
        took: bool = record.add(data, now, received_ns(ancillary[0][2]) if ancillary else 0)
        return took

    def send_at(self, record: Any, request: bytes, at_ns: int, alone: bool, /) -> None:
        """As `Receiver` says."""
        if record not in self._socks:
            raise ValueError("not a record of this receiver, or removed")
        record.sent = 0, 0, 0
        when_due(at_ns, self._send, record, request, alone)

    def _send(self, record: Any, request: bytes, alone: bool) -> None:
        if record not in self._socks:
            return
        self.read(record)
        if not (record.ended or record.error or (alone and len(record))):
            now = monotonic_ns()
            try:
                record.sent = now, self._socks[record].send(request), 0
            except (BlockingIOError, InterruptedError):
                record.sent = now, 0, 0
            except OSError as error:
                record.sent = now, 0, error.errno or -1
        self._looks[record]()

    def close(self) -> None:
        """As `Receiver` says."""
        for record in list(self._socks):
            self.remove(record)


def is_compiled() -> bool:
    """Whether sockets are read in C."""
    return _receiver is not None and os.environ.get("RATECARD_RECEIVER", "") != "python"


def receiver(beat: Heartbeat) -> Receiver:
    """A receiver for the running event loop; `beat` hears from it whether reads had to wait."""
    return CompiledReceiver(beat) if is_compiled() else PlainReceiver()
