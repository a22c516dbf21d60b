"""From exchanges to rows, off the path of sending: interpreted one at a time, counted, and handed on."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from loadgen.interpret import Exchange, Interpreter
from loadgen.jobs import Job
from loadgen.tally import Tally

_BEHIND = 512
"""So many answers may wait while there is something to send; with more, or with nothing to do, they are read."""
_GIVE_WAY_S = 0.001


class Ledger:
    """Keeps the finished exchanges of a level until `interpret` comes to them, one between two turns of the loop.

    `keep` is handed each row. What it raises goes to whoever asked for the row to be kept. While `is_busy`, requests
    wait to be sent, and that goes first.
    """

    def __init__(
        self,
        interpreter: Interpreter,
        tally: Tally,
        keep: Callable[[dict[str, Any]], None],
        is_busy: Callable[[], bool],
    ) -> None:
        self._interpreter = interpreter
        self._tally = tally
        self._keep = keep
        self._is_busy = is_busy
        self._finished: deque[tuple[Job, Exchange]] = deque()
        self._any = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Answers that are complete and wait for their interpretation."""
        return len(self._finished)

    def add_later(self, job: Job, exchange: Exchange) -> None:
        """Take an exchange that may wait for its interpretation."""
        self._finished.append((job, exchange))
        self._any.set()

    def add(self, job: Job, exchange: Exchange) -> tuple[dict[str, Any], str | None]:
        """Interpret an exchange at once: its row, and the text of its answer."""
        row, text = self._interpreter.read(exchange)
        self._tally.add(row, job.prompt_chars, job.local_tokens)
        self._keep(row)
        return row, text

    async def interpret(self) -> None:
        """Interpret what comes, until cancelled."""
        while True:
            while self._finished:
                if self._is_busy() and len(self._finished) < _BEHIND:
                    await asyncio.sleep(_GIVE_WAY_S)
                    continue
                self.add(*self._finished.popleft())
                await asyncio.sleep(0)
            self._any.clear()
            await self._any.wait()

    def interpret_rest(self) -> None:
        """Interpret all that is left."""
        while self._finished:
            self.add(*self._finished.popleft())
