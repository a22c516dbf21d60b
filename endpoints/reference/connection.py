"""One client connection: HTTP in, and the play of the script that answers it."""

import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from endpoints.reference import stamps
from endpoints.reference.assembler import RequestAssembler
from endpoints.reference.play import Answer, Play, Received
from endpoints.reference.request import ApiError, HttpRequest
from endpoints.reference.script import error
from endpoints.reference.tls import Tls
from endpoints.reference.truth import Truth

_READ_BYTES = 1 << 18


class Connection:
    """Reads requests off one socket, encrypted where there is a `tls`. `respond` answers one or raises ApiError."""

    def __init__(self, sock: socket.socket, respond: Callable[[HttpRequest], Answer], tls: Tls | None = None) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self.tls, self._respond = sock, tls, respond
        self.bytes_written = 0
        self.play: Play | None = None
        self._kernel_stamps = stamps.enable(sock)
        self._sent: list[tuple[int, int]] = []
        self._played: list[Play] = []
        self._requests: deque[Received] = deque()
        self._assembler: RequestAssembler | None = RequestAssembler()

    def read(self) -> bool:
        """Take what the socket has; False when the client closed. Raises OSError."""
        try:
            data, stamp = stamps.receive(self.sock, _READ_BYTES)
        except BlockingIOError:
            return True  # send stamps woke us
        if not data or self._assembler is None:
            return False
        source = "user" if stamp is None else "kernel"
        received_ns = stamp or time.time_ns()
        if self.tls is not None:
            data = self._open(self.tls, data)
        for request, keep_alive in self._assembler.feed(data):
            self._requests.append(Received(request, received_ns, source, keep_alive))
        return True

    def next_play(self) -> Play | None:
        """Return the play that answers the oldest request not yet answered, if there is one."""
        if not self._requests:
            return None
        received = self._requests.popleft()
        try:
            answer = self._respond(received.request)
        except ApiError as problem:
            answer = Answer(error(problem))
        if not received.keep_alive:
            answer = replace(answer, script=replace(answer.script, keep_alive=False))
        self.play = Play(self, received, answer)
        return self.play

    def end_play(self) -> None:
        """Note that the play is over, or was cut: its record waits for `collect`."""
        if self.play is not None:
            self._played.append(self.play)
            self.play = None

    def drain_stamps(self) -> None:
        """Take the kernel's send stamps that wait."""
        if self._kernel_stamps:
            self._sent += stamps.drain_sent(self.sock)

    def collect(self, final: bool = False) -> list[Truth]:
        """Return the records of plays that ended. One whose last token has not left yet waits, unless this is `final`.

        (TCP holds small segments back while the client's kernel delays its acknowledgements.)
        """
        self.drain_stamps()
        final = final or not self._kernel_stamps
        gone = [play for play in self._played if final or play.has_left(self._sent)]
        self._played = [play for play in self._played if play not in gone]
        truths = [truth for play in gone if (truth := play.truth(self._sent)) is not None]
        if self.play is None and not self._played:
            self._sent.clear()
        return truths

    def close(self) -> None:
        """Close the socket."""
        if self.tls is not None:
            with suppress(OSError):  # the client may be gone
                self.sock.send(self.tls.close())
        self.sock.close()
        self._assembler = None  # it refers to itself through its parser, and the collector is off

    def _open(self, tls: Tls, data: bytes) -> bytes:
        try:
            return tls.open(data)
        finally:
            # These are a few kilobytes at most, and nothing else is on its way: the kernel takes them as a whole.
            self.bytes_written += self.sock.send(tls.pending())
