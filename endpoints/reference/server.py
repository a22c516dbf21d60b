"""Plays scripts on time: one thread, non-blocking sockets, absolute deadlines, all due parts in one turn of the loop.

No asyncio: libuv and epoll round timers to a millisecond, and a callback object a token would cost more than the write.
"""

import heapq
import select
import selectors
import signal
import socket
import time
from collections.abc import Callable

from endpoints.reference import stamps
from endpoints.reference.capacity import Capacity
from endpoints.reference.connection import Connection
from endpoints.reference.play import Play
from endpoints.reference.truth import TruthLog

_BACKLOG = 4096
_DRAIN_EVERY = 64  # parts; the kernel's queue of send stamps holds a few hundred


class Server:
    """Serves `listener` (a bound socket) until `stop`; `connect` makes the Connection of a new socket."""

    def __init__(
        self,
        listener: socket.socket,
        connect: Callable[[socket.socket], Connection],
        capacity: Capacity,
        log: TruthLog,
    ) -> None:
        self._listener, self._connect, self._capacity, self._log = listener, connect, capacity, log
        self._selector = selectors.DefaultSelector()
        self._due: list[tuple[int, int, Play]] = []
        self._connections: set[Connection] = set()
        self._plays = 0
        self._stopping = self._flushing = False
        listener.setblocking(False)
        stamps.enable_listener(listener)
        listener.listen(_BACKLOG)
        self._selector.register(listener, selectors.EVENT_READ, None)
        self._wake_on_signals()

    def stop(self) -> None:
        """End `run` at the next turn of the loop; may be called by a signal handler."""
        self._stopping = True

    def flush_log(self) -> None:
        """Write the log at the next turn of the loop; may be called by a signal handler."""
        self._flushing = True

    def run(self) -> None:
        """Serve until stopped; streams that are open then are cut and logged as far as they got."""
        while not self._stopping:
            self._play_due()
            # select() takes microseconds where epoll takes milliseconds; the selector's own descriptor stands for all.
            select.select([self._selector.fileno()], [], [], self._timeout_s())
            for key, _ in self._selector.select(0):
                if key.data is None:
                    self._accept()
                elif isinstance(key.data, Connection):
                    self._serve(key.data)
                else:
                    key.data()
                self._play_due()  # a crowd of new requests must not make tokens late
            if self._flushing:
                self._flushing = False
                self._log.flush()
        for connection in self._connections:
            connection.end_play()
            self._record(connection, final=True)
        self._log.flush()

    def _timeout_s(self) -> float | None:
        if not self._due:
            return None
        return max(0.0, (self._due[0][0] - time.monotonic_ns()) / 1e9)

    def _play_due(self) -> None:
        now, due = time.monotonic_ns(), self._due
        while due and due[0][0] <= now:
            _, order, play = due[0]
            try:
                blocked = not play.send_next()
            except OSError:  # the client left
                heapq.heappop(due)
                self._end(play.connection, keep=False)
                continue
            if blocked:
                heapq.heappop(due)
                self._selector.register(play.connection.sock, selectors.EVENT_WRITE, play.connection)
            elif play.finished:
                heapq.heappop(due)
                self._end(play.connection, keep=play.script.keep_alive)
            else:
                if (play.position + order) % _DRAIN_EVERY == 0:  # not all streams in the same turn
                    play.connection.drain_stamps()
                heapq.heapreplace(due, (play.next_due_ns, order, play))

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:  # nobody waits any more
                return
            connection = self._connect(sock)
            self._connections.add(connection)
            self._selector.register(sock, selectors.EVENT_READ, connection)

    def _serve(self, connection: Connection) -> None:
        """Go on with a play that waited to write, or read what came."""
        play = connection.play
        if connection not in self._connections:
            return  # dropped since the selector spoke
        try:
            if play is not None and play not in self._capacity.waiting:
                # A play that is not blocked got its slot since the selector spoke.
                if play.blocked and play.send_rest():
                    self._selector.unregister(connection.sock)
                    self._resume(play)
                return
            alive = connection.read()
        except OSError:
            alive = False
        if alive:
            if play is None:
                self._begin(connection)
            self._record(connection)
        else:
            self._selector.unregister(connection.sock)
            self._drop(connection)

    def _begin(self, connection: Connection) -> None:
        play = connection.next_play()
        if play is None:
            return
        if play.finished:  # silence: keep reading, to see the client go
            connection.end_play()
            return
        if play.generates and not self._capacity.enter(play):
            return  # it waits: keep reading, to see the client go
        self._start(play)

    def _start(self, play: Play) -> None:
        # Not watched while it plays: each send stamp would wake the loop through the socket's error queue.
        self._selector.unregister(play.connection.sock)
        self._resume(play)

    def _resume(self, play: Play) -> None:
        if play.finished:
            self._end(play.connection, keep=play.script.keep_alive)
            return
        self._plays += 1
        heapq.heappush(self._due, (play.next_due_ns, self._plays, play))

    def _end(self, connection: Connection, keep: bool) -> None:
        """End a play. Its record is made when the loop comes round: the waiting send stamps make the socket ready."""
        self._leave(connection)
        if not keep:
            self._drop(connection)
            return
        self._selector.register(connection.sock, selectors.EVENT_READ, connection)
        self._begin(connection)

    def _leave(self, connection: Connection) -> None:
        """Note that the connection's play, if there is one, is over; who waited for its slot begins."""
        play = connection.play
        connection.end_play()
        if play is None or not play.generates:
            return
        following = self._capacity.leave(play)
        if following is not None:
            following.begin_now()
            self._start(following)

    def _drop(self, connection: Connection) -> None:
        self._leave(connection)
        self._record(connection, final=True)
        self._connections.discard(connection)
        connection.close()

    def _record(self, connection: Connection, final: bool = False) -> None:
        for truth in connection.collect(final):
            self._log.add(truth)

    def _wake_on_signals(self) -> None:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno())
        self._wakers = (reader, writer)
        self._selector.register(reader, selectors.EVENT_READ, lambda: reader.recv(4096))
