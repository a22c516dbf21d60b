"""What our child processes have in common: JSON lines on stdout, and an end when the parent wants one."""

import json
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Events:
    """JSON lines to the parent, on a private copy of stdout.

    Everything else that writes to file descriptor 1 (an engine written in C++, a stray print) goes to `chatter_fd`.
    """

    def __init__(self, chatter_fd: int = 2) -> None:
        self._out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
        os.dup2(chatter_fd, 1)

    def send(self, event: str, **fields: Any) -> None:
        """Write one line `{"event": event, ...}`; a parent that no longer listens is not an error."""
        with suppress(BrokenPipeError):
            self._out.write(json.dumps({"event": event, **fields}) + "\n")


def stop_on_stdin_eof() -> None:
    """Send this process SIGTERM when stdin reaches its end: the parent closed it, or is dead."""

    def wait_for_eof() -> None:
        # Not sys.stdin: its lock, held by this thread for ever, would make the interpreter's exit fail.
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait_for_eof, daemon=True, name="stdin-eof").start()


def on_stop_signals(stop: Callable[[int], None]) -> None:
    """Call `stop(exit_code)` on SIGTERM (0: somebody is done with us) and on SIGINT (130, as shells have it)."""
    signal.signal(signal.SIGTERM, lambda *_: stop(0))
    signal.signal(signal.SIGINT, lambda *_: stop(130))
