"""Runs one shard in this process: spec in, parts and closing event out."""

import asyncio
import contextlib
import resource
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic_ns
from typing import Any

import httpx

from loadgen import CLIENT_VERSION
from loadgen.checkup import record_health
from loadgen.clock_pair import clock_pair
from loadgen.closed_loop import ClosedLoop
from loadgen.identity import Epoch, row_constants
from loadgen.interpret import Interpreter
from loadgen.jobs import JobQueue
from loadgen.level import Level
from loadgen.open_loop import OpenLoop
from loadgen.redact import Redactor
from loadgen.secrets import Secrets
from loadgen.spec import ShardSpec
from loadgen.supply import has_turns
from loadgen.wire import Transport, transport_for
from schemas.errors import SpecError

_PROGRESS_S = 1.0
_LOOPS = {"closed": ClosedLoop, "open": OpenLoop}

Emit = Callable[[dict[str, Any]], None]
Start = Callable[[], Awaitable[int]]


async def run_shard(
    spec: ShardSpec, emit: Emit, on_start: Callable[[Level], None], common_start: Start | None = None
) -> dict[str, Any]:
    """Run a shard, write its parts and return the `done` event; `emit` gets the progress events meanwhile.

    `on_start` is handed the level before anything is sent, to be able to interrupt it. `common_start` is awaited once all
    is ready and gives the instant to begin at (monotonic ns); without it that is `spec.start_at`. Who gives it also tells the
    level when all shards stop (`Level.is_led`). Raises SpecError, PartError.
    """
    from loadgen.parts import PartWriter  # pyarrow is slow to import and of no use to `import loadgen`

    if spec.shape.kind not in _LOOPS:
        raise SpecError(f"shape.kind is {spec.shape.kind!r}, expected one of {', '.join(_LOOPS)}")
    secrets = Secrets.of(spec.target)
    headers = _headers(spec, secrets.key)
    epoch = Epoch.now()
    redactor = Redactor.of_headers(headers, *secrets.unsayable())
    interpreter = Interpreter(row_constants(spec, epoch), epoch.monotonic_ns, redactor)
    transport = transport_for(spec.target, secrets.proxy_login)
    client = httpx.AsyncClient(transport=transport, headers=headers, trust_env=False)
    jobs = JobQueue(spec, client)
    _allow_files()
    part = PartWriter(Path(spec.part_path))
    try:
        level = _LOOPS[spec.shape.kind](spec, transport, jobs, interpreter, part.add)
        level.is_led = common_start is not None and spec.shards > 1
        on_start(level)
        beside = [
            asyncio.create_task(_report(spec, level, jobs, emit)),
            asyncio.create_task(record_health(spec, level, transport)),
        ]
        try:
            await level.run(common_start or _start_of(spec))
            keeps_connections = await transport.find_out() if spec.phase == "probe" else None
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)  # health that is not written costs no level
            await client.aclose()
        part.close()
    except BaseException:
        part.discard()
        raise
    emit(_progress(spec, level, jobs))
    return _done(spec, level, transport, part) | {
        "keeps_connections": keeps_connections,
        "refused_http2": transport.refused_http2,
    }


def _start_of(spec: ShardSpec) -> Start | None:
    """The wall-clock start of a spec, for shards on several machines; null: at once."""
    start_at = spec.start_at
    if start_at is None:
        return None

    async def start_ns() -> int:
        monotonic, wall = clock_pair(3)
        return monotonic + int(start_at * 1e9) - wall

    return start_ns


def _headers(spec: ShardSpec, key: str) -> dict[str, str]:
    # identity: a server that compresses its stream bundles tokens
    headers = {"accept-encoding": "identity", "user-agent": f"ratecard/{CLIENT_VERSION}", **spec.target.headers}
    return headers | {"authorization": f"Bearer {key}"} if key else headers


def _allow_files() -> None:
    """Raise the limit of open files to the hard limit: an open loop may need any number of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _report(spec: ShardSpec, level: Level, jobs: JobQueue, emit: Emit) -> None:
    while True:
        await asyncio.sleep(_PROGRESS_S)
        emit(_progress(spec, level, jobs))


def _progress(spec: ShardSpec, level: Level, jobs: JobQueue) -> dict[str, Any]:
    return {
        "event": "progress",
        "shard": spec.shard,
        "phase": spec.phase if level.measuring or spec.phase == "probe" else "warmup",
        "sent": level.sent,
        "done": level.tally.done,
        "failed": level.tally.failed,
        "in_flight": level.in_flight,
        "planned": jobs.limit,
        "elapsed_s": round((monotonic_ns() - level.started_ns) / 1e9, 3),
        "output_tokens": level.tally.output_tokens,
        "stop_reason": level.stop_reason,
        "satisfied": level.satisfied,
    }


def _done(spec: ShardSpec, level: Level, transport: Transport, part: Any) -> dict[str, Any]:
    tally = level.tally
    return {
        "event": "done",
        "parts": [str(path) for path in part.paths],
        "rows": part.rows,
        "outcomes": dict(tally.outcomes),
        "interrupted": level.interrupted,
        "stop_reason": level.stop_reason,
        "first_failure": tally.first_failure,
        "probe": tally.probe or None,
        "turns_left_out": level.turns_left_out if has_turns(spec) else None,
        "health": {
            "late_start_ms": round(level.late_ns / 1e6, 3),
            "cpu_share": round(level.cpu_share, 4),
            "loop_lag_p99_ms": transport.beat.lag_p99_ms(),
            "merged_reads": tally.merged_reads,
            "late_sends": tally.late_sends,
            "connections_opened": transport.connections_opened,
            "clock_sources": dict(tally.clock_sources),
        },
    }
