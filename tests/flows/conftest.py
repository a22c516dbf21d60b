"""A Prefect API for the flows that run in this process, the reference endpoint, and the command as a user calls it."""

import gc
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RATECARD = [sys.executable, "-m", "flows"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Prefect's own clients leave sockets to the garbage collector."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(
                pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
            )


@pytest.fixture(autouse=True, scope="module")
def no_sockets_left() -> Iterator[None]:
    """They are collected here, and not in a test of another room."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[None]:
    """One temporary Prefect server for all tests of this process."""
    from flows.settings import quiet_prefect

    quiet_prefect()
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@asynccontextmanager
async def prefect_at(api_url: str) -> AsyncIterator[None]:
    """In the block, Prefect in this process talks to the server at `api_url`.

    Its threads for events and slots keep the server that they met first: those of before are ended, and so are the
    block's, or later tests would wait for a server that is gone.
    """
    from prefect.concurrency.services import ConcurrencySlotAcquisitionService as Slots
    from prefect.concurrency.services import ConcurrencySlotAcquisitionWithLeaseService as Leases
    from prefect.events.worker import EventsWorker
    from prefect.settings import PREFECT_API_URL, temporary_settings

    async def end_threads() -> None:
        for service in (EventsWorker, Slots, Leases):
            await service.drain_all(timeout=30)  # type: ignore[misc]

    await end_threads()
    try:
        with temporary_settings({PREFECT_API_URL: api_url}):
            yield
    finally:
        await end_threads()


@contextmanager
def child(*arguments: str) -> Iterator[dict[str, Any]]:
    """`python -m ARGUMENTS` until the end of the block; yields its `ready` event."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments, "--stop-on-stdin-eof"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        for line in process.stdout:
            event = json.loads(line)
            assert event["event"] != "error", event
            if event["event"] == "ready":
                yield event
                break
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


@pytest.fixture
def reference(request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """`reference("--no-usage")` starts a quick reference endpoint with these options and returns its URL."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(
            child("endpoints.reference", "--ttft-ms", "20", "--itl-ms", "2", *options)
        )["url"]


@pytest.fixture
def ratecard(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`ratecard("sql", "select 1")` as a user calls it, in an empty folder."""
    return partial(run_ratecard, tmp_path)


def run_ratecard(folder: Path, *arguments: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
    """`ratecard ARGUMENTS` as a user calls it in `folder`; a load is not preceded by a calibration."""
    if arguments[0] in ("run", "demo") and "--calibration" not in arguments:
        arguments = (*arguments, "--no-calibration")
    return subprocess.run(
        [*RATECARD, *arguments], capture_output=True, text=True, cwd=folder, timeout=timeout_s, env=environment()
    )


def environment() -> dict[str, str]:
    """Of a user who has set nothing for Prefect or Ratecard, and whose Prefect home is his own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "RATECARD_"))}
    return kept | {"PYTHONSAFEPATH": "1"}


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def marked(mark: str) -> dict[int, str]:
    """Command lines of the processes with `mark` in their environment, by process id."""
    found = {}
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and mark.encode() in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found
