"""The flow of one shard on one machine: `shard/shard` on a work pool, one worker a machine.

`flows.elsewhere` asks for it. The home must be a folder that the machines share under the same path, and their clocks
must agree.
"""

import asyncio
import json
import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prefect import flow
from rich.console import Console

from flows.children import Event, run_worker
from flows.elsewhere import last_word
from flows.night import stop_on_signal
from flows.progress import Progress
from loadgen.spec import ShardSpec
from schemas.errors import RatecardError, WorkerError
from warehouse.files import write_bytes

_LOOK_S = 1.0


@flow(name="shard", persist_result=False)
async def shard(spec: dict[str, Any]) -> Event:
    """Run the shard of `spec` (`loadgen.spec.ShardSpec` as JSON) in a worker process; returns its `done` event, with the `machine`.

    Its parts, and the event, lie where the spec says. A cancellation makes the worker write what it has; so does the
    end of the run, in case the flow that asked was killed.

    Raises:
        WorkerError: the worker could not do its work, or the run's folder is not on this machine.

    """
    asked = ShardSpec.of(spec)
    folder = Path(asked.part_path).parent
    if not folder.is_dir():
        raise WorkerError(f"{folder} is not there: the home must be shared by all machines, under the same path")
    with stop_on_signal(Progress(Console(stderr=True))) as stop:
        watching = asyncio.create_task(_stop_when_gone(folder, stop))
        try:
            word = await _run(asked, stop)
        except RatecardError as error:
            _leave(asked, {"event": "error", "message": str(error)})
            raise
        finally:
            watching.cancel()
    word |= {"machine": socket.gethostname()}
    _leave(asked, word)
    return word


async def _run(asked: ShardSpec, stop: asyncio.Event) -> Event:
    with TemporaryDirectory(prefix="ratecard-shard-") as own:
        path = Path(own) / "spec.json"
        asked.write(path)
        with Progress(Console(stderr=True)).level(f"shard {asked.shard}") as tell:
            return await run_worker(path, None, stop, lambda event: tell(asked.shard, event))


async def _stop_when_gone(folder: Path, stop: asyncio.Event) -> None:
    """The lock of the endpoint ends with the flow that asked; the next run clears its folder away, and loads it too."""
    while folder.is_dir():
        await asyncio.sleep(_LOOK_S)
    stop.set()


def _leave(asked: ShardSpec, word: Event) -> None:
    path = last_word(asked)
    if path.parent.is_dir():
        write_bytes(path, json.dumps(word).encode())
