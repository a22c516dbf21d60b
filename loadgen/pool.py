"""Idle connections, kept for the next request where the server really keeps them."""

import asyncio

from loadgen.connection import Connection

Origin = tuple[str, str, int]
"""Scheme, host and port."""

TRIAL_S = 0.1
"""Some servers close a connection a moment after its stream: this is longer than that moment."""


class Pool:
    """Idle connections by origin.

    Some servers (llama.cpp's among them) promise keep-alive and close the connection a moment after each stream. A
    request sent in that moment would fail through no fault of the endpoint, and sending it again would hide failures.
    So the first streams' connections rest for `TRIAL_S`: if the server closes one, none is used again after a stream.
    `keeps` is what is known of the server beforehand, and found out otherwise; null while it is not known.
    """

    def __init__(self, keeps: bool | None = None) -> None:
        self.keeps = keeps
        self._idle: dict[Origin, list[Connection]] = {}
        self._resting: set[Connection] = set()

    def add(self, origin: Origin, connection: Connection) -> None:
        """Add a connection that is ready for a request."""
        self._idle.setdefault(origin, []).append(connection)

    def idle(self, origin: Origin) -> int:
        """How many open connections wait for a request."""
        open_ones = self._idle[origin] = [one for one in self._idle.get(origin, ()) if one.is_open]
        return len(open_ones)

    def take(self, origin: Origin) -> Connection | None:
        """Take a connection that the server has not closed meanwhile: checked now, so that nothing is sent twice."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.is_usable():
                return connection
        return None

    def give_back(self, origin: Origin, connection: Connection, *, streamed: bool) -> None:
        """Keep a connection whose response is complete, if it can carry another request."""
        if not connection.is_open:
            return
        keeps = self.keeps if streamed else True
        if keeps:
            self.add(origin, connection)
        elif keeps is None:
            self._resting.add(connection)
            asyncio.get_running_loop().call_later(TRIAL_S, self._judge, origin, connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close all connections."""
        for connection in (*self._resting, *(one for idle in self._idle.values() for one in idle)):
            connection.close()
        self._resting.clear()
        self._idle.clear()

    def _judge(self, origin: Origin, connection: Connection) -> None:
        if connection not in self._resting:
            return  # the pool was closed
        self._resting.discard(connection)
        usable = connection.is_usable()
        self.keeps = usable and self.keeps is not False
        if self.keeps:
            self.add(origin, connection)
        else:
            connection.close()
