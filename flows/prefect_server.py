"""A Prefect server for `ratecard serve`: the one that is set, or one of our own, which is started again when it ends."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.prefect_api import reach_prefect
from schemas.errors import UsageError
from warehouse.home import Home

Say = Callable[[str], None]
START_S = 120.0
"""Longest wait for a server of our own."""
_LONGEST_PAUSE_S = 60.0
_SERVER_SETTINGS = {
    # in a file: a slot whose holder died in the same power cut as the server comes free again
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}


@asynccontextmanager
async def prefect_server(home: Home, port: int, stop: asyncio.Event, say: Say) -> AsyncIterator[str]:
    """URL of the Prefect API: the one that is set, or that of a server started here, which is kept alive."""
    given = await asyncio.to_thread(reach_prefect)
    if given is not None:
        yield given
        return
    url, log = f"http://127.0.0.1:{port}/api", home.logs / "prefect-server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if await _answers(url):
        raise UsageError(
            f"a server is running at {url} already: PREFECT_API_URL={url} ratecard serve uses it, --port starts another"
        )
    server = _Server(port, log)
    await server.start()
    keeper: asyncio.Task[None] | None = None
    try:
        await _until_healthy(url, server, stop)
        keeper = asyncio.create_task(server.keep(say))
        with temporary_settings({PREFECT_API_URL: url}):
            yield url
    finally:
        if keeper is not None:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper
        await server.end()


class _Server:
    """A Prefect server of our own."""

    def __init__(self, port: int, log: Path) -> None:
        self.port, self.log = port, log
        self.process: Process | None = None

    async def start(self) -> Process:
        with self.log.open("ab") as file:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port),
                stdin=asyncio.subprocess.DEVNULL, stdout=file, stderr=file, env=_SERVER_SETTINGS | os.environ,
            )  # fmt: skip
        return self.process

    async def keep(self, say: Say) -> None:
        """Start it again whenever it has ended."""
        pause_s, process = 1.0, self.process
        while process is not None:
            code = await process.wait()
            say(f"Prefect's server ended with {code} (see {self.log}); starting it again in {pause_s:.0f} s")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            process = await self.start()

    async def end(self) -> None:
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), 30)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    def has_ended(self) -> bool:
        return self.process is not None and self.process.returncode is not None


async def _until_healthy(url: str, server: _Server, stop: asyncio.Event) -> None:
    deadline = asyncio.get_running_loop().time() + START_S
    while not await _answers(url):
        if server.has_ended() or asyncio.get_running_loop().time() >= deadline:
            raise UsageError(f"Prefect's server did not start; the end of {server.log}:\n{_tail(server.log)}")
        if stop.is_set():
            raise UsageError("stopped before Prefect's server was up")
        await asyncio.sleep(0.3)


async def _answers(url: str) -> bool:
    # asked again and again over plain HTTP: no certificates are read, which would take longer than the answer
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        try:
            return (await client.get(f"{url}/health", timeout=5)).is_success
        except httpx.HTTPError:
            return False


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
