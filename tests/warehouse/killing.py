"""Kills a piece of work before each change that it makes in a folder, as a power cut would: nothing is tidied up."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_CHILD = """
import os, signal, sys
{work}
home, seen = sys.argv[1], 0
EVENTS = {{"os.rename", "os.remove", "os.rmdir", "os.mkdir"}}

def until(events):
    def hook(event, arguments):
        global seen
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (event in EVENTS or writes) and str(arguments[0]).startswith(home + "/"):
            seen += 1
            if seen > events:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

for line in sys.stdin:  # a fork for each death: the imports are paid once
    child = os.fork()
    if child == 0:
        until(int(line))
        work(home)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def deaths(work: str, before: Path, home: Path) -> Iterator[int]:
    """For each event of `work` (code that defines `work(home)`), a copy of `before` at `home` in which it died there.

    Yields the number of events that it lived through; the last `home` is one in which it lived to its end.
    """
    child = subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", _CHILD.format(work=work), str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None and child.stdout is not None
    try:
        for events in range(10_000):
            shutil.rmtree(home, ignore_errors=True)
            shutil.copytree(before, home)
            child.stdin.write(f"{events}\n")
            child.stdin.flush()
            code = int(child.stdout.readline())
            assert code in (0, -9), code
            yield events
            if code == 0:
                return
    finally:
        child.stdin.close()
        child.wait(20)
        child.stdout.close()
