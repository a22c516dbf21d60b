"""Reading in C (`_receiver.c`); absent where nothing could be compiled, see `loadgen.receiver`."""

from collections.abc import Callable
from typing import final

@final
class Record:
    """The reads of one connection since they were last taken, as `loadgen.receiver.Record` says."""

    streaming: bool
    @property
    def ended(self) -> bool: ...
    @property
    def error(self) -> int: ...
    @property
    def sent(self) -> tuple[int, int, int]: ...
    def __len__(self) -> int: ...
    def wire(self, first: int, last: int, /) -> bytes: ...
    def take(self) -> tuple[bytes, bytes]: ...

class Receiver:
    """A thread that reads sockets, and sends what has its time, until `close`. Raises OSError, also from `add`; MemoryError."""

    def __init__(self, beat_ns: int, late_ns: int, /) -> None:
        """Wake at least once a beat; a wake that is late by more than `late_ns` is a stall.

        The calling thread asks the scheduler for short turns, too (docs/adr/0039).
        """
    def fileno(self) -> int:
        """Readable while somebody should look at a record."""
    def add(self, fd: int, look: Callable[[], None], /) -> Record:
        """Read this socket from now on; `look` is handed out when somebody should look at the record."""
    def remove(self, record: Record, /) -> None:
        """Read its socket no more, if it is read; to be called before the socket is closed."""
    def read(self, record: Record, /) -> bool:
        """Read this socket now, if it has something; whether somebody should look. ValueError if it was removed."""
    def send_at(self, record: Record, request: bytes, at_ns: int, alone: bool, /) -> None:
        """Send at `at_ns` (monotonic) what `take` lets go of; `alone`: only if nothing has come since the last `take`.

        Nothing is sent on a connection that has ended or was removed. Somebody should look then, whatever became of it.
        ValueError if the record was removed or has a request to send.
        """
    def due(self) -> list[Callable[[], None]]:
        """The `look` of each record that somebody should look at and that was not handed out since."""
    def signs(self) -> tuple[int, bytes]:
        """When all that had come was last read in time, and the stalls since the last call (`Heartbeat.follow`)."""
    def close(self) -> None:
        """End the thread and let go of all sockets."""
