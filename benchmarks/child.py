"""A command run to its end: what it cost."""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Usage:
    """CPU, user and system, with that of its own children; peak resident memory of the process alone, 0 if unknown."""

    cpu_s: float
    peak_mib: float


def run(command: Sequence[str], output: Path, cwd: Path | None = None) -> Usage:
    """Run a command with its stdout in `output`. Raises RuntimeError if it failed."""
    errors = output.with_name(f"{output.name}.stderr")
    with output.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=cwd)
    try:
        usage = _follow(process)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode:
        said = (errors.read_text() + output.read_text(errors="replace")).strip()[-1000:]
        raise RuntimeError(f"{' '.join(command)} exited {process.returncode}: {said}")
    return usage


def _follow(process: subprocess.Popen[bytes]) -> Usage:
    peak_mib = 0.0
    while True:
        # ru_maxrss of a child has the parent's memory in it, from before the exec: ask while it lives
        peak_mib = max(peak_mib, _peak_mib(process.pid))
        time.sleep(_LOOK_EVERY_S)
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            process.returncode = os.waitstatus_to_exitcode(status)
            return Usage(usage.ru_utime + usage.ru_stime, peak_mib)


def _peak_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)
