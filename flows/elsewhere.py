"""Runs a shard on another machine: one flow run of a deployment (`shard/shard` of prefect.yaml) each.

The home is a folder that all machines share under the same path: the worker there writes its parts into the run's
folder, and its last word beside them. Shards start together by the wall clock, so the machines' clocks must agree
(NTP). What the endpoint names (`api_key_env`, `proxy_auth_env`) is expected in the environment of each machine.
"""

import asyncio
import contextlib
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from prefect.states import Cancelled, Cancelling

from flows.children import STOP_S, STOPPED_AT_START, Event
from loadgen.spec import ShardSpec
from schemas.errors import UsageError, WorkerError

START_AFTER_S = 20.0
"""Shards begin so long after they are asked for: time for the workers to take them up, and to start a process."""
TAKEN_UP_S = 120.0
"""How long a shard may wait for a worker."""
_POLL_S = 1.0
_LATE_S = 60.0


def last_word(spec: ShardSpec) -> Path:
    """Where a shard that ran elsewhere leaves its `done` event."""
    return Path(spec.part_path).with_suffix(".done.json")


def check_api(deployment: str) -> None:
    """Raise UsageError where no standing Prefect API is set, through which workers could be given `deployment`."""
    if get_current_settings().api.url is None:
        raise UsageError(
            f"run_by: {deployment} needs a Prefect server that all machines reach: start one (prefect server start) and "
            "set PREFECT_API_URL, or leave run_by out to run the shards as processes on this machine"
        )


async def run_elsewhere(deployment: str, stop: asyncio.Event, spec: ShardSpec) -> Event:
    """Run `spec` by `deployment` (FLOW/DEPLOYMENT) and return its `done` event; `stop` cancels the flow run.

    Raises:
        UsageError: there is no such deployment.
        WorkerError: no worker took it up, it ended without a last word, or it did not end.

    """
    async with get_client() as client:
        run_id = await _ask(client, deployment, spec)
        try:
            await _ended(client, run_id, stop, spec)
        except BaseException:
            with contextlib.suppress(httpx.HTTPError):  # what went wrong is told, not this
                await _cancel(client, run_id)
            raise
    word = _read(last_word(spec))
    if word is None and stop.is_set():
        return STOPPED_AT_START
    if word is None:
        raise WorkerError(
            f"shard {spec.shard} ended at {deployment} without leaving {last_word(spec)}: see the log of its flow run. "
            "Is the home a folder that this machine and that one share, under the same path?"
        )
    if word["event"] != "done":
        raise WorkerError(str(word["message"]))
    return word


def _read(path: Path) -> Event | None:
    try:
        word: Event = json.loads(path.read_bytes())
    except OSError:
        return None
    return word


async def _ask(client: PrefectClient, deployment: str, spec: ShardSpec) -> UUID:
    name = f"{spec.identity['run_id']} level {spec.identity['level_index']} shard {spec.shard}"
    try:
        run: Any = await arun_deployment(
            deployment, client=client, parameters={"spec": asdict(spec)}, flow_run_name=name, timeout=0
        )
    except ObjectNotFound:
        raise UsageError(
            f"run_by: the Prefect server has no deployment {deployment!r}: make it with `prefect deploy --all`"
        ) from None
    return UUID(str(run.id))


async def _ended(client: PrefectClient, run_id: UUID, stop: asyncio.Event, spec: ShardSpec) -> None:
    """Wait for a flow run to end, cancelling it once `stop` is set. Raises WorkerError."""
    asked_at = time.monotonic()
    most_s = START_AFTER_S + TAKEN_UP_S + spec.stop.max_duration_s + spec.target.timeout_s + _LATE_S
    stopped_at: float | None = None
    while True:
        state = (await client.read_flow_run(run_id)).state
        if state is not None and state.is_final():
            return
        now = time.monotonic()
        if stop.is_set() and stopped_at is None:
            stopped_at = now
            await _cancel(client, run_id)
        elif stopped_at is not None and now - stopped_at >= STOP_S + _LATE_S:
            return  # its worker is gone
        elif stopped_at is None and _waits(state) and now - asked_at >= TAKEN_UP_S:
            raise WorkerError(
                f"no worker took shard {spec.shard} up within {TAKEN_UP_S:.0f} s: start one on each machine that is to send "
                "load (prefect worker start --pool ratecard --limit 1), as many as there are shards, beside the one that runs the night"
            )
        elif now - asked_at >= most_s:
            raise WorkerError(f"shard {spec.shard} did not end within {most_s:.0f} s, and was cancelled")
        await asyncio.sleep(_POLL_S)


def _waits(state: State[Any] | None) -> bool:
    return state is None or state.is_scheduled() or state.is_pending()


async def _cancel(client: PrefectClient, run_id: UUID) -> None:
    """Its worker ends it and lands what it has; what no worker has begun is over at once."""
    begun = not _waits((await client.read_flow_run(run_id)).state)
    await client.set_flow_run_state(run_id, Cancelling() if begun else Cancelled())
