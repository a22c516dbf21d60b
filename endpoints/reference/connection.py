"""One client connection: HTTP in, and the play of the script that answers it."""

import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httptools

from endpoints.reference import stamps
from endpoints.reference.request import ApiError, Generation, HttpRequest
from endpoints.reference.script import Script, error
from endpoints.reference.truth import Truth

_READ_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service says to a request; `generation` is null for answers that are not generated text."""

    script: Script
    generation: Generation | None = None
    tokens_per_chunk: int = 1


@dataclass(frozen=True, slots=True)
class Received:
    """A request with the time that its last byte came (CLOCK_REALTIME ns), and whose stamp that is."""

    request: HttpRequest
    received_ns: int
    stamp: str
    keep_alive: bool


class Play:
    """A script on its way out: which part is next, what has left and when."""

    def __init__(self, connection: "Connection", received: Received, answer: Answer) -> None:
        self.connection, self.script = connection, answer.script
        self.position = 0
        self._received, self._answer = received, answer
        # Deadlines count from the kernel's receive stamp, on the clock that nobody steps.
        self._start_ns = time.monotonic_ns() - max(0, time.time_ns() - received.received_ns)
        self._rest = b""
        self._token_ends: list[int] = []
        self._written_ns: list[int] = []

    @property
    def finished(self) -> bool:
        """All parts are with the kernel."""
        return self.position == len(self.script.parts) and not self._rest

    @property
    def next_due_ns(self) -> int:
        """When the next part is due (CLOCK_MONOTONIC)."""
        return self._start_ns + self.script.offsets_ns[self.position]

    def send_next(self) -> bool:
        """Hand the next part to the kernel; False if it took only some of it. Raises OSError: the client left."""
        part = self.script.parts[self.position]
        connection = self.connection
        connection.bytes_written += len(part)
        if self.position < self.script.token_parts:
            self._token_ends.append(connection.bytes_written)
            self._written_ns.append(time.time_ns())
        self.position += 1
        try:
            sent = connection.sock.send(part)
        except BlockingIOError:
            sent = 0
        if sent == len(part):
            return True
        self._rest = part[sent:]
        return False

    def send_rest(self) -> bool:
        """Go on with a part that the kernel did not take as a whole; True once it has."""
        try:
            self._rest = self._rest[self.connection.sock.send(self._rest) :]
        except BlockingIOError:
            # A send stamp makes the socket look ready: take it, or it will for ever.
            self.connection.drain_stamps()
        return not self._rest

    def has_left(self, sent: Sequence[tuple[int, int]]) -> bool:
        """Whether the last token has its send stamp."""
        return not self._token_ends or (bool(sent) and sent[-1][0] >= self._token_ends[-1] - 1)

    def truth(self, sent: Sequence[tuple[int, int]]) -> Truth | None:
        """Return the record of this play, given the connection's send stamps; null if it was no generated text."""
        generation = self._answer.generation
        if generation is None:
            return None
        left_ns = stamps.match(self._token_ends, sent)
        return Truth(
            request_id=self._received.request.headers.get("x-request-id"),
            prompt_sha256=generation.prompt_sha256,
            prompt_chars=len(generation.prompt),
            tokens_per_chunk=self._answer.tokens_per_chunk,
            received_ns=self._received.received_ns,
            received_stamp=self._received.stamp,
            sent_ns=self._written_ns if left_ns is None else left_ns,
            stamp="user" if left_ns is None else "kernel",
        )


class Connection:
    """Reads requests off one socket. `respond` answers a request or raises ApiError."""

    def __init__(self, sock: socket.socket, respond: Callable[[HttpRequest], Answer]) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self._respond = sock, respond
        self.bytes_written = 0
        self.play: Play | None = None
        self._kernel_stamps = stamps.enable(sock)
        self._sent: list[tuple[int, int]] = []
        self._played: list[Play] = []
        self._requests: deque[Received] = deque()
        self._assembler: _Assembler | None = _Assembler()

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
            script = answer.script
            script = Script(script.parts, script.offsets_ns, script.token_parts, keep_alive=False)
            answer = Answer(script, answer.generation, answer.tokens_per_chunk)
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
        self.sock.close()
        self._assembler = None  # it refers to itself through its parser, and the collector is off


class _Assembler:
    """Makes HttpRequests of bytes (httptools' callbacks)."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._done: list[tuple[HttpRequest, bool]] = []
        self.on_message_begin()

    def feed(self, data: bytes) -> list[tuple[HttpRequest, bool]]:
        """Return the requests that `data` completes, each with its keep-alive; garbage is a request to `*`."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._done.append((HttpRequest("GARBAGE", "*", {}, b""), False))
        done, self._done = self._done, []
        return done

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        path = self._url.decode("latin-1").partition("?")[0]
        request = HttpRequest(method, path, self._headers, bytes(self._body))
        self._done.append((request, self._parser.should_keep_alive()))
