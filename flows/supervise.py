"""Leaves no process behind: the command runs in a child of its own session, watched from both sides.

A flow without a Prefect server starts one (the ephemeral API), beside workers and engines; a `kill -9` would orphan
them. So the command that the user sees is a thin parent. If the parent dies, the child reads the end of a pipe, lands
what it has and ends; if the child dies, the parent ends what is left of the child's process group.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

_PIPE = "RATECARD_PARENT_PIPE"
GRACE_S = 60.0
"""Time to land and build after the parent's death."""


def stay_supervised() -> None:
    """Carry on only in the watched child; the parent ends here with its exit code."""
    if not supervised():
        sys.exit(run_supervised(sys.argv[1:]))


def supervised() -> bool:
    """Whether this process is the watched child; the first call starts watching the parent."""
    descriptor = os.environ.pop(_PIPE, None)
    if descriptor is None:
        return False
    threading.Thread(target=_watch_parent, args=(int(descriptor),), daemon=True).start()
    return True


def _watch_parent(descriptor: int) -> None:
    os.read(descriptor, 1)  # returns only when the parent is gone
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.killpg(0, signal.SIGKILL)


def run_supervised(arguments: Sequence[str]) -> int:
    """Run `ratecard ARGUMENTS` in a child of its own session; returns its exit code (1 if a signal ended it)."""
    read_end, write_end = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-m", "flows", *arguments],
        pass_fds=[read_end],
        start_new_session=True,
        env={**os.environ, _PIPE: str(read_end), "PYTHONSAFEPATH": "1"},
    )
    os.close(read_end)
    _forward_signals(child)
    try:
        code = child.wait()
    finally:
        os.close(write_end)
        _end_group(child.pid)
    if code < 0:
        print(
            f"the measuring process was ended by {signal.Signals(-code).name}; what had landed is kept, "
            "and the next `ratecard run` or `ratecard build` closes the run",
            file=sys.stderr,
        )
    return code if code >= 0 else 1


def _forward_signals(child: subprocess.Popen[bytes]) -> None:
    """The first signal asks the child to stop, the second ends it."""
    numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    # waited for, not handled: Python runs no handler for a signal that comes just before it waits for the child
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def forward() -> None:
        signal.sigwait(numbers)
        child.send_signal(signal.SIGTERM)
        signal.sigwait(numbers)
        child.send_signal(signal.SIGKILL)

    threading.Thread(target=forward, daemon=True, name="signals").start()


def _end_group(leader: int) -> None:
    """End what is left of a process group: a moment to write, then for good."""
    for number, patience_s in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 1.0)):
        try:
            os.killpg(leader, number)
            deadline = time.monotonic() + patience_s
            while time.monotonic() < deadline:
                time.sleep(0.05)
                os.killpg(leader, 0)
        except ProcessLookupError:
            return
