"""`ratecard serve`: a Prefect server, if none is set, and the deployments of `prefect.yaml`, run on this machine.

A server that is away for a while stops nothing: what runs goes on, and the asking for work begins again with it. A
signal ends the asking, lets what runs land what it has, and only then ends the server.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
from prefect.deployments.runner import DeploymentApplyError
from prefect.exceptions import PrefectHTTPStatusError
from prefect.runner import Runner
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.deployments import deployments_file, read_deployments
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


async def serve(home: Home, port: int, say: Say) -> None:
    """Serve until SIGINT or SIGTERM. Raises UsageError: `prefect.yaml` is wrong, or the server cannot be had."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _api(home, port, stop, say) as url:
        file = deployments_file()
        runner = _Runner(stop, say)
        for deployment in await read_deployments(file):
            deployment.work_pool_name = deployment.work_queue_name = None  # also where it was on a pool before
            try:
                await runner.aadd_deployment(deployment)
            except DeploymentApplyError as error:
                raise UsageError(f"{file}: {deployment.name}: {_refusal(error)}") from error
            crons = ", ".join(str(getattr(s.schedule, "cron", s.schedule)) for s in deployment.schedules or [])
            say(f"serving {deployment.full_name}" + (f" ({crons})" if crons else ""))
        say(
            f"deployments of {file.absolute()}, home {home.root}; Prefect's UI: {url.removesuffix('/api')}; Ctrl-C ends it"
        )
        await runner.start()


def _refusal(error: DeploymentApplyError) -> str:
    """What the server did not like about a deployment."""
    cause = error.__cause__
    if isinstance(cause, PrefectHTTPStatusError):
        with suppress(ValueError, KeyError, TypeError):
            return "; ".join(detail["msg"] for detail in cause.response.json()["exception_detail"])
    return str(error)


class _Runner(Runner):
    """Prefect's runner, except that a server that is away does not end it, and that it stops as slowly as a night does."""

    def __init__(self, stop: asyncio.Event, say: Say) -> None:
        # schedules stay: a night that fell into a reboot begins late, not never
        super().__init__(name="ratecard-serve", pause_on_shutdown=False, limit=None)
        self._stop, self._say, self._away = stop, say, False
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "_Runner":
        await super().__aenter__()
        poller = self._scheduled_run_poller
        ask = poller._get_and_submit_flow_runs

        async def ask_patiently() -> None:
            try:
                await ask()
            except (httpx.TransportError, PrefectHTTPStatusError) as error:
                self._tell(f"Prefect's server does not answer ({error}); what runs goes on, and it is asked again")
            else:
                self._tell(None)

        poller._get_and_submit_flow_runs = ask_patiently  # type: ignore[method-assign, assignment]
        # after `start`, which has put a handler of its own that ends what runs within 30 s
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        self._watch = asyncio.create_task(self._end_when_asked())
        return self

    def _tell(self, trouble: str | None) -> None:
        if trouble and not self._away:
            self._say(trouble)
        elif self._away and not trouble:
            self._say("Prefect's server answers again")
        self._away = trouble is not None

    async def _end_when_asked(self) -> None:
        await self._stop.wait()
        self._scheduled_run_poller.stopping = True
        processes = self._process_manager
        if running := processes.flow_run_ids():
            self._say(f"stopping: {len(running)} flow runs land what they have")
        told: set[object] = set()
        while running := processes.flow_run_ids():
            for flow_run in running - told:
                told.add(flow_run)
                handle = processes.get(flow_run)
                if handle is not None and handle.pid is not None:
                    with suppress(ProcessLookupError):
                        os.kill(handle.pid, signal.SIGTERM)
            await asyncio.sleep(0.2)
        await self.astop()


@asynccontextmanager
async def _api(home: Home, port: int, stop: asyncio.Event, say: Say) -> AsyncIterator[str]:
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
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return (await client.get(f"{url}/health", timeout=5)).is_success
        except httpx.HTTPError:
            return False


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
