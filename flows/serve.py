"""`ratecard serve`: a Prefect server, if none is set, and the deployments of `prefect.yaml`, run on this machine.

A server that is away for a while stops nothing: what runs goes on, and the asking for work begins again with it. A
signal ends the asking, lets what runs land what it has, and only then ends the server.
"""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import httpx
from prefect.deployments.runner import DeploymentApplyError
from prefect.exceptions import PrefectHTTPStatusError
from prefect.runner import Runner

from flows.deployments import deployments_file, read_deployments
from flows.prefect_server import Say, prefect_server
from schemas.errors import UsageError
from warehouse.home import Home


async def serve(home: Home, catalog: Path, port: int, say: Say) -> None:
    """Serve until SIGINT or SIGTERM. Raises UsageError: `prefect.yaml` is wrong, or the server cannot be had."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with prefect_server(home, port, stop, say) as url:
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
            f"deployments of {file.absolute()}, catalog {catalog}, home {home.root}; Prefect's UI: "
            f"{url.removesuffix('/api')}; Ctrl-C ends it"
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
