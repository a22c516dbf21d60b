"""A common start of the workers of one level on this machine."""

import asyncio
from collections.abc import Callable, Collection
from time import monotonic_ns

PATIENCE_S = 30.0
"""So long those that are ready wait for the others; then they begin, and who comes later is late."""
LEAD_S = 0.1
"""The start is told so long before it is: time for a process that waits to hear of it."""


class CommonStart:
    """Tells `shards` one instant to begin at, by the monotonic clock that they share, once each is ready or has ended.

    A fixed time from the launch would be too early on a busy machine and too long on a quiet one.
    """

    def __init__(self, shards: Collection[int]) -> None:
        self._awaited = set(shards)
        self._tell: list[Callable[[int], None]] = []
        self._start_ns: int | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._begun = asyncio.Event()

    def ready(self, shard: int, tell: Callable[[int], None]) -> None:
        """A shard is ready; `tell` gets the start (monotonic ns) once it is known."""
        if self._start_ns is not None:
            tell(self._start_ns)
            return
        self._tell.append(tell)
        if self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(PATIENCE_S, self._begin)
        self.gone(shard)

    def gone(self, shard: int) -> None:
        """A shard is not waited for any longer."""
        self._awaited.discard(shard)
        if not self._awaited and self._tell and self._start_ns is None:
            self._begin()

    async def wait(self) -> None:
        """Wait until the workers begin."""
        await self._begun.wait()

    def _begin(self) -> None:
        if self._patience:
            self._patience.cancel()
        self._start_ns = monotonic_ns() + int(LEAD_S * 1e9)
        for tell in self._tell:
            tell(self._start_ns)
        asyncio.get_running_loop().call_later(LEAD_S, self._begun.set)
