"""The workers of one level on this machine: they begin together, and end together where a rule ends the level."""

import asyncio
from collections.abc import Callable, Collection
from time import monotonic_ns
from typing import Any

PATIENCE_S = 30.0
"""So long those that are ready wait for the others; then they begin, and who comes later is late."""
LEAD_S = 0.1
"""The start is told so long before it is: time for a process that waits to hear of it."""
GIVEN_UP = ("error_share", "over_saturated")
"""Stop reasons of one worker that end the level for all: the rest would be another load."""

Send = Callable[[dict[str, Any]], None]


class Together:
    """Hears the workers of `shards` and tells them what concerns them all.

    Once each is ready or has ended: one instant to begin at, by the monotonic clock that they share. A fixed time from
    the launch would be too early on a busy machine and too long on a quiet one. Later: to stop, because one gave the
    level up, or because each has an interval that is narrow enough.
    """

    def __init__(self, shards: Collection[int]) -> None:
        self._awaited = set(shards)
        self._unsatisfied = set(shards)
        self._send: dict[int, Send] = {}
        self._start: dict[str, Any] | None = None
        self._is_stopped = False
        self._patience: asyncio.TimerHandle | None = None
        self._begun = asyncio.Event()

    def heard(self, event: dict[str, Any], send: Send) -> None:
        """Take an event of a worker, to which `send` sends."""
        if event["event"] == "ready":
            self._ready(event["shard"], send)
        elif event["event"] == "progress" and event["stop_reason"] in GIVEN_UP:
            self._stop(event["stop_reason"])
        elif event["event"] == "progress" and event["satisfied"]:
            self._satisfied(event["shard"])

    def gone(self, shard: int) -> None:
        """A shard has ended: it is not waited for any longer, and not told anything."""
        self._send.pop(shard, None)
        self._satisfied(shard)
        self._came(shard)

    async def wait(self) -> None:
        """Wait until the workers begin."""
        await self._begun.wait()

    def _ready(self, shard: int, send: Send) -> None:
        self._send[shard] = send
        if self._start is not None:
            send(self._start)
            return
        if self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(PATIENCE_S, self._begin)
        self._came(shard)

    def _came(self, shard: int) -> None:
        self._awaited.discard(shard)
        if not self._awaited and self._send and self._start is None:
            self._begin()

    def _begin(self) -> None:
        if self._patience:
            self._patience.cancel()
        self._start = {"start_ns": monotonic_ns() + int(LEAD_S * 1e9)}
        self._tell(self._start)
        asyncio.get_running_loop().call_later(LEAD_S, self._begun.set)

    def _satisfied(self, shard: int) -> None:
        self._unsatisfied.discard(shard)
        if not self._unsatisfied:
            self._stop("confidence")

    def _stop(self, reason: str) -> None:
        if not self._is_stopped:
            self._is_stopped = True
            self._tell({"stop": reason})

    def _tell(self, message: dict[str, Any]) -> None:
        for send in self._send.values():
            send(message)
