"""Reading in C (`_receiver.c`); absent where nothing could be compiled, see `loadgen.receiver`."""

from collections.abc import Callable
from typing import final

@final
class Record:
    """The reads of one connection since it was last cleared, as `loadgen.receiver.Record` says."""

    streaming: bool
    @property
    def ended(self) -> bool: ...
    @property
    def error(self) -> int: ...
    def __len__(self) -> int: ...
    def wire(self, first: int, last: int, /) -> bytes: ...
    def table(self) -> bytes: ...
    def clear(self) -> None: ...

class Receiver:
    """An epoll of sockets. Methods raise MemoryError and OSError, `read` ValueError for a record that was removed."""

    @property
    def caught_up(self) -> bool:
        """Whether the last `read_ready` came to all sockets that had something."""
    def fileno(self) -> int:
        """Readable while one of the sockets is."""
    def add(self, fd: int, look: Callable[[], None], /) -> Record:
        """Read this socket from now on; `look` is handed out when somebody should look at the record."""
    def remove(self, record: Record, /) -> None:
        """Read its socket no more, if it is read; to be called before the socket is closed."""
    def read(self, record: Record, /) -> bool:
        """Read this socket once, if it has something; whether somebody should look at the record."""
    def read_ready(self) -> list[Callable[[], None]]:
        """Read every socket that has something, once; the `look` of each that somebody should look at."""
    def close(self) -> None:
        """Let go of all sockets."""
