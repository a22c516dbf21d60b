"""Work that can wait a little, a few pieces each time the event loop comes round: reading the sockets goes first."""

import asyncio
from collections import deque
from collections.abc import Callable

_AT_ONCE = 4
"""Pieces between two looks at the sockets. Each ends a response and lets the next request go: some 0.2 ms."""


class Turns:
    """A queue of calls. Hundreds of answers that end together must not keep the tokens of the others waiting."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._comes_round = False

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, call: Callable[[], None]) -> None:
        """Make `call` when its turn comes."""
        self._waiting.append(call)
        self._again()

    def _again(self) -> None:
        if self._waiting and not self._comes_round:
            self._comes_round = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._comes_round = False
        due = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
        self._again()
        for call in due:
            call()
