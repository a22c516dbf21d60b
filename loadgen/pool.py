"""Idle connections, kept for the next request where the server really keeps them."""

import asyncio

from loadgen.connection import Connection

Origin = tuple[str, str, int]
"""Scheme, host and port."""

_TRIAL_S = 0.1


class Pool:
    """Idle connections by origin.

    Some servers (llama.cpp's among them) promise keep-alive and close the connection a moment after each stream. A
    request sent in that moment would fail through no fault of the endpoint, and sending it again would hide failures.
    So the first streams' connections rest for 0.1 s: if the server closes one, none is used again after a stream.
    """

    def __init__(self) -> None:
        self._idle: dict[Origin, list[Connection]] = {}
        self._resting: set[Connection] = set()
        self._keeps: dict[Origin, bool] = {}  # absent: not known yet

    def add(self, origin: Origin, connection: Connection) -> None:
        """Add a connection that is ready for a request."""
        self._idle.setdefault(origin, []).append(connection)

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
        keeps = self._keeps.get(origin) if streamed else True
        if keeps:
            self.add(origin, connection)
        elif keeps is None:
            self._resting.add(connection)
            asyncio.get_running_loop().call_later(_TRIAL_S, self._judge, origin, connection)
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
        self._keeps[origin] = usable and self._keeps.get(origin, True)
        if self._keeps[origin]:
            self.add(origin, connection)
        else:
            connection.close()
