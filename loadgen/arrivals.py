"""What the wire did during one request: stamps and bytes, recorded first and interpreted later."""

from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct

READ = Struct("=3q")
"""A row of `loadgen.receiver.Record.table`."""


@dataclass(slots=True)
class Arrivals:
    """Recorder of one request, handed to the transport as `request.extensions["arrivals"]`.

    It is passed in, so that a failure before the headers leaves its stamps too. Times are `time.monotonic_ns()`.
    Read i was received at `stamps[i]`; `late[i]` says that the event loop had stalled before it, so that it may hold
    what the server sent at different times.

    What was read is in `wire` and `table` (`loadgen.receiver.Record`), of which `settle` makes the stamps and
    `loadgen.body` the body, both when the answer is interpreted; httpx's transport leaves `stamps`, and the `pieces` of
    the body (transfer coding removed, content coding not) with the index of the read that brought each.
    """

    sent_ns: int | None = None
    headers_ns: int | None = None
    closed_ns: int | None = None
    connect_ns: int | None = None  # a duration; null where the connection was open before the request's time
    status: int | None = None
    headers_read: int | None = None  # the read that completed the headers
    interim_responses: int = 0  # 100 Continue and the like, before the response proper
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    wire: bytes = b""
    table: bytes = b""
    stamps: list[int] = field(default_factory=list)
    late: list[bool] = field(default_factory=list)
    pieces: list[tuple[int, bytes]] = field(default_factory=list)
    user_stamps: int = 0  # reads that carry the time of reading, not the kernel's time of receipt
    clock_suspect: bool = False  # a kernel stamp was impossible
    transport: str = "socket"  # or "httpx": through a proxy or over HTTP/2
    in_handshake: bool = False  # TCP is connected for it, TLS is not agreed on
    unsettled: Callable[["Arrivals"], None] | None = None  # what stamps the reads

    def settle(self) -> None:
        """Stamp the reads, if that is still to be done."""
        settle, self.unsettled = self.unsettled, None
        if settle is not None:
            settle(self)

    @property
    def clock_source(self) -> str:
        """`kernel` if every read carries the kernel's time of receipt, else `user`."""
        return "kernel" if self.stamps and not self.user_stamps else "user"

    def header(self, name: bytes) -> str:
        """Value of a response header (name in lower case), empty where it is absent."""
        for key, value in self.headers:
            if key.lower() == name:
                return value.decode("latin-1")
        return ""
