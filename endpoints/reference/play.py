"""A script on its way out, and its record."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from endpoints.reference import stamps
from endpoints.reference.request import Generation, HttpRequest
from endpoints.reference.script import Script
from endpoints.reference.truth import Truth

if TYPE_CHECKING:
    from endpoints.reference.connection import Connection


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service says to a request; `generation` is null for answers that are not generated text.

    `tokens` is how many a whole answer has, `fault` the kind of what is wrong with it.
    """

    script: Script
    generation: Generation | None = None
    tokens: int = 0
    tokens_per_chunk: int = 1
    fault: str | None = None


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

    def begin_now(self) -> None:
        """Count deadlines from now on: the request had to wait."""
        self._start_ns = time.monotonic_ns()

    @property
    def generates(self) -> bool:
        """Whether this is generated text, and not an error or a list."""
        return self._answer.generation is not None

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt; 0 without one."""
        return 0 if self._answer.generation is None else self._answer.generation.prompt_tokens

    @property
    def tokens_sent(self) -> int:
        """How many tokens have left so far."""
        return min(len(self._token_ends) * self._answer.tokens_per_chunk, self._answer.tokens)

    @property
    def finish_reason(self) -> str:
        """Why the play ended, in vLLM's words."""
        if not self.finished or self.tokens_sent < self._answer.tokens:
            return "abort"
        return "length" if self._answer.tokens else "stop"

    @property
    def finished(self) -> bool:
        """All parts are with the kernel."""
        return self.position == len(self.script.parts) and not self._rest

    @property
    def blocked(self) -> bool:
        """The kernel has not taken all of the last part."""
        return bool(self._rest)

    @property
    def next_due_ns(self) -> int:
        """When the next part is due (CLOCK_MONOTONIC)."""
        return self._start_ns + self.script.offsets_ns[self.position]

    def send_next(self) -> bool:
        """Hand the next part to the kernel; False if it took only some of it. Raises OSError: the client left."""
        part = self.script.parts[self.position]
        connection = self.connection
        if connection.tls is not None:
            part = connection.tls.seal(part)
        connection.bytes_written += len(part)
        if self.position in self.script.tokens:
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
            fault=self._answer.fault,
        )
