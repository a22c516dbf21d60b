"""Waiting for an instant of the monotonic clock, never shorter: a loop's timers are off by up to a millisecond."""

import asyncio
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

_SHORTEST_S = 0.001
"""Timers are whole milliseconds: a shorter wait would come round at once, again and again."""


async def until(due_ns: int) -> None:
    """Wait until `due_ns` (monotonic)."""
    while (left_ns := due_ns - monotonic_ns()) > 0:
        await asyncio.sleep(pause_s(left_ns))


def when_due(due_ns: int, callback: Callable[..., None], *arguments: Any) -> None:
    """Call back at `due_ns` (monotonic) or soon after."""
    left_ns = due_ns - monotonic_ns()
    if left_ns > 0:
        asyncio.get_running_loop().call_later(pause_s(left_ns), when_due, due_ns, callback, *arguments)
    else:
        callback(*arguments)


def pause_s(left_ns: int) -> float:
    """How long a timer should run to look again."""
    return max(left_ns / 1e9, _SHORTEST_S)
