"""Child processes: load-generator workers and launched engines, their JSON lines, and their end.

Every child holds the read end of a pipe as its standard input: when this process dies, however it dies, the child
reads the end of that pipe and stops by itself.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flows.together import Together
from schemas.errors import EndpointError, WorkerError

Event = dict[str, Any]
STOP_S = 30.0
"""How long a child may take to write what it has and end."""

LINE_LIMIT = 2**20


STOPPED_AT_START: Event = {
    "event": "done", "parts": [], "rows": 0, "outcomes": {}, "interrupted": True, "stop_reason": "interrupted",
    "first_failure": None, "probe": None, "keeps_connections": None, "health": None, "turns_left_out": None,
}  # fmt: skip
"""Of a worker that was asked to stop before it could send anything."""


async def _spawn(arguments: Sequence[str], inherit: Sequence[int]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        "--stop-on-stdin-eof",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=inherit,
        limit=LINE_LIMIT,
        # a folder of the user's named like one of our packages must not shadow it
        # and a child needs no threads for linear algebra, which numpy would start for as many cores as there are
        env={**os.environ, "PYTHONSAFEPATH": "1", "OPENBLAS_NUM_THREADS": "1"},
    )


async def _events(process: asyncio.subprocess.Process) -> AsyncIterator[Event]:
    assert process.stdout is not None
    async for line in process.stdout:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _last_words(errors: "asyncio.Task[bytes]") -> str:
    return (await errors).decode(errors="replace").strip()[-500:]


async def run_worker(
    spec: Path,
    lock: int | None,
    stop: asyncio.Event,
    tell: Callable[[Event], None],
    together: Together | None = None,
) -> Event:
    """Run one shard to its end and return its `done` event; `tell` gets its progress.

    `stop` makes it write what it has and end. `lock` is the endpoint's lock, which the worker holds as long as it
    lives; null on a machine that has not got it. With `together` it gets ready and begins when that says, and stops with
    the others; without, its spec says when.

    Raises:
        WorkerError: it ended without a `done` event.

    """
    waits = ["--wait-for-start"] if together else []
    process = await _spawn(["loadgen", str(spec), *waits], [] if lock is None else [lock])
    assert process.stderr is not None
    errors = asyncio.create_task(process.stderr.read())
    stopper = asyncio.create_task(_stop_when(stop, process))
    last: Event = {}
    try:
        async for event in _events(process):
            last = event
            if together:
                together.heard(event, partial(_send, process))
            tell(event)
        await process.wait()
    finally:
        stopper.cancel()
        await _end(process)
    if last.get("event") not in ("done", "error") and stop.is_set():
        return STOPPED_AT_START
    if last.get("event") != "done":
        said = last.get("message") or await _last_words(errors) or "it said nothing"
        raise WorkerError(f"the load generator {_ended(process.returncode)}: {said}")
    return last


def _send(process: asyncio.subprocess.Process, message: Event) -> None:
    assert process.stdin is not None
    if not process.stdin.is_closing():
        process.stdin.write(json.dumps(message).encode() + b"\n")


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name} (out of memory, or somebody's kill?)"
    return "could not go on" if code == 1 else f"ended with code {code}"


async def _stop_when(stop: asyncio.Event, process: asyncio.subprocess.Process) -> None:
    await stop.wait()
    await _end(process)


@dataclass(frozen=True)
class Engine:
    """A launched engine that is ready."""

    url: str
    model: str
    engine: str
    engine_version: str


@asynccontextmanager
async def launched(
    launch: dict[str, Any], models: Path, log: Path, most_in_flight: int, tell: Callable[[str], None]
) -> AsyncIterator[Engine]:
    """The engine of the catalog's `launch`, for the length of the block. Raises EndpointError: it did not start."""
    arguments = [f"endpoints.{launch['engine']}", "--model-dir", str(models), "--slots", str(launch["slots"])]
    arguments += ["--max-concurrency", str(most_in_flight), "--log", str(log)]
    async with served(arguments, "the local engine", tell) as ready:
        yield Engine(ready["url"], ready["model"], ready["engine"], str(ready["engine_version"]))


@asynccontextmanager
async def served(
    arguments: Sequence[str], what: str, tell: Callable[[str], None] = lambda _: None
) -> AsyncIterator[Event]:
    """A server of ours, `python -m ARGUMENTS`, for the length of the block; yields its `ready` event.

    `tell` gets what it says before. Raises EndpointError, which names it `what`: it did not start.
    """
    process = await _spawn(arguments, [])
    assert process.stderr is not None
    errors = asyncio.create_task(process.stderr.read())
    try:
        yield await _ready(process, errors, what, tell)
    finally:
        await _end(process)


async def _ready(
    process: asyncio.subprocess.Process, errors: "asyncio.Task[bytes]", what: str, tell: Callable[[str], None]
) -> Event:
    async for event in _events(process):
        if event["event"] == "ready":
            return event
        if event["event"] == "error":
            raise EndpointError(f"{what} did not start: {event['message']}")
        tell(str(event.get("message", "")))
    raise EndpointError(f"{what} ended before it was ready: {await _last_words(errors) or 'it said nothing'}")
