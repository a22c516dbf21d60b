"""Ctrl-C, SIGTERM and `kill -9` in the middle: what was measured is landed, no process and no lock stays, the next run goes."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.flows.conftest import RATECARD, ROOT, environment, marked
from warehouse import manifests
from warehouse.home import Home, endpoint_lock

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes by /proc, which is Linux"),
]


class Command:
    """A `ratecard run` of a user, whose processes can be found by a mark in their environment."""

    def __init__(self, url: str, home: Home) -> None:
        self.mark = uuid.uuid4().hex
        self.home = home
        self.process = subprocess.Popen(
            [*RATECARD, "run", "--no-calibration", "--url", url, "--model", "m", "--endpoint", "e", "--concurrency", "1,2,4", "--requests", "60",
             "--input-tokens", "20", "--output-tokens", "20", "--home", str(home.root)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment() | {"TEST_MARK": self.mark},
            start_new_session=True,
        )  # fmt: skip

    def processes(self) -> dict[int, str]:
        """Command lines of what is alive, by process id."""
        return marked(self.mark)

    def until_second_level(self) -> None:
        """Wait until the first level has landed and the second is under way."""
        folders: list[Path] = []
        while not folders or not list(folders[0].glob("a*-l002-*.tmp")):
            assert self.process.poll() is None, self.output()
            folders = [path for path in self.home.incoming.glob("*") if (path / "level-001.json").exists()]
            time.sleep(0.05)
        time.sleep(0.7)

    def output(self) -> str:
        assert self.process.stdout is not None
        with self.process.stdout:
            return self.process.stdout.read()

    def gone(self, patience_s: float = 60) -> None:
        """Every process of the command has ended."""
        deadline = time.monotonic() + patience_s
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert self.processes() == {}


@pytest.fixture
def command(reference: Callable[..., str], tmp_path: Path) -> Iterator[Command]:
    command = Command(reference(), Home(tmp_path / "home"))
    yield command
    for pid in command.processes():
        os.kill(pid, signal.SIGKILL)
    command.process.wait()
    if command.process.stdout is not None:
        command.process.stdout.close()


def landed(home: Home) -> pl.DataFrame:
    return pl.read_parquet(home.raw / "request_traces/**/*.parquet", hive_partitioning=False)


def test_ctrl_c_lands_what_was_measured_and_builds(command: Command) -> None:
    command.until_second_level()
    command.process.send_signal(signal.SIGINT)
    code = command.process.wait(60)
    output = command.output()
    assert code == 1, output
    assert "stopped on request" in output
    assert "Traceback" not in output
    command.gone()
    [manifest] = manifests.read_all(command.home)
    assert manifest.run["status"] == "interrupted"
    assert [(level["concurrency"], level["status"]) for level in manifest.levels] == [
        (1, "complete"),
        (2, "interrupted"),
    ]
    rows = landed(command.home)
    assert rows.filter((pl.col("level_index") == 1) & (pl.col("outcome") == "ok")).height == 61
    assert rows.filter((pl.col("level_index") == 2) & (pl.col("outcome") == "interrupted")).height in (1, 2)
    assert command.home.warehouse.exists()


WATCHED = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("asked to stop", flush=True))
print("measuring", flush=True)
time.sleep(60)
"""
SUPERVISE = f"""
import subprocess, sys
from flows import supervise
popen = subprocess.Popen
subprocess.Popen = lambda command, **options: popen([command[0], "-c", {WATCHED!r}], **options)
sys.exit(supervise.run_supervised(["run"]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_asks_the_measuring_process_to_stop_and_the_second_ends_it(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", SUPERVISE], stdout=subprocess.PIPE, text=True, cwd=ROOT) as command:
        assert command.stdout is not None and command.stdout.readline() == "measuring\n"
        while not blocks(command.pid, number):
            assert command.poll() is None
        command.send_signal(number)
        assert command.stdout.readline() == "asked to stop\n"
        command.send_signal(number)
        assert command.wait(60) == 1


def blocks(pid: int, number: signal.Signals) -> bool:
    """Whether the signal waits until a thread of the process asks for it."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(status["SigBlk"], 16) >> (number - 1) & 1)


def test_kill_9_of_the_command_leaves_no_process_and_loses_nothing(command: Command) -> None:
    command.until_second_level()
    command.process.kill()
    command.process.wait()
    command.gone()
    recovered(command)


def test_kill_9_of_the_measuring_process_leaves_no_process_and_loses_nothing(command: Command) -> None:
    command.until_second_level()
    [child] = [
        pid for pid, line in command.processes().items() if pid != command.process.pid and " -m flows run " in line
    ]
    os.kill(child, signal.SIGKILL)
    assert command.process.wait(60) == 1
    assert "ended by SIGKILL; what had landed is kept" in command.output()
    command.gone()
    recovered(command)


def recovered(command: Command) -> None:
    """No lock is held, and the next command closes the run with the level that was complete."""
    with endpoint_lock(command.home, "e", "test"):
        pass
    build = subprocess.run(
        [*RATECARD, "build", "--home", str(command.home.root)], capture_output=True, text=True, env=environment()
    )
    assert build.returncode == 0, build.stderr
    [manifest] = manifests.read_all(command.home)
    assert manifest.run["status"] == "interrupted"
    assert manifest.levels[0]["status"] == "complete"
    assert landed(command.home).filter((pl.col("level_index") == 1) & (pl.col("outcome") == "ok")).height == 61
    assert not list(command.home.incoming.iterdir())
