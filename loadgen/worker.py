"""Runs one shard in this process: spec in, part and closing event out."""

import asyncio
import contextlib
import os
import resource
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from time import monotonic_ns, time_ns
from typing import Any

import httpx

from loadgen import CLIENT_VERSION
from loadgen.interpret import Interpreter
from loadgen.jobs import JobQueue
from loadgen.level import Level
from loadgen.redact import Redactor
from loadgen.spec import ShardSpec
from loadgen.transport import SocketTransport
from schemas.columns import REQUEST_TRACES, TRACE_SCHEMA_VERSION
from schemas.errors import SpecError

_PROGRESS_S = 1.0
_SPARE_FILES = 64

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Epoch:
    """The instant that a shard's times count from: on the monotonic clock, and in UTC to an exact microsecond."""

    monotonic_ns: int
    wall_at: datetime

    @classmethod
    def now(cls) -> "Epoch":
        """Pair the two clocks, as closely as a few tries allow."""
        pairs = [(monotonic_ns(), time_ns(), monotonic_ns()) for _ in range(9)]
        before, wall, after = min(pairs, key=lambda pair: pair[2] - pair[0])
        wall_us, remainder_ns = divmod(wall, 1000)
        seconds, microseconds = divmod(wall_us, 1_000_000)
        wall_at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds, tzinfo=None)
        return cls((before + after) // 2 - remainder_ns, wall_at)


async def run_shard(spec: ShardSpec, emit: Emit, on_start: Callable[[Level], None]) -> dict[str, Any]:
    """Run a shard, write its part and return the `done` event; `emit` gets the progress events meanwhile.

    `on_start` is handed the level before anything is sent, to be able to interrupt it. Raises SpecError, PartError.
    """
    from loadgen.parts import PartWriter  # pyarrow is slow to import and of no use to `import loadgen`

    headers = _headers(spec)
    epoch = Epoch.now()
    interpreter = Interpreter(_constants(spec, epoch), epoch.monotonic_ns, Redactor.of_headers(headers, _key(spec)))
    transport = SocketTransport(
        timeout_s=spec.target.timeout_s,
        connect_timeout_s=spec.target.connect_timeout_s,
        verify=spec.target.verify_tls,
    )
    client = httpx.AsyncClient(transport=transport, headers=headers, trust_env=False)
    jobs = JobQueue(spec, client)
    _allow_files(spec.concurrency + _SPARE_FILES)
    part = PartWriter(Path(spec.part_path))
    try:
        level = Level(spec, transport, jobs, interpreter, part.add)
        on_start(level)
        progress = asyncio.create_task(_report(spec, level, jobs, emit))
        try:
            await level.run()
        finally:
            progress.cancel()
            await client.aclose()
        part.close()
    except BaseException:
        part.discard()
        raise
    emit(_progress(spec, level, jobs))
    return _done(level, transport, part)


def _headers(spec: ShardSpec) -> dict[str, str]:
    # identity: a server that compresses its stream bundles tokens
    headers = {"accept-encoding": "identity", "user-agent": f"ratecard/{CLIENT_VERSION}", **spec.target.headers}
    key = _key(spec)
    return headers | {"authorization": f"Bearer {key}"} if key else headers


def _key(spec: ShardSpec) -> str:
    name = spec.target.api_key_env
    if name is None:
        return ""
    key = os.environ.get(name, "").strip()
    if not key:
        raise SpecError(f"the endpoint's API key is expected in the environment variable {name}, which is not set")
    return key


def _constants(spec: ShardSpec, epoch: Epoch) -> dict[str, Any]:
    """The columns that all rows of a shard share. Raises SpecError where the identity does not fit the contract."""
    columns = {column.name for column in REQUEST_TRACES.columns}
    unknown = sorted(set(spec.identity) - columns)
    if unknown:
        raise SpecError(f"identity has {', '.join(unknown)}: no such column in {REQUEST_TRACES.name}")
    constants = {
        "concurrency": None,
        "request_rate": None,
        "model": spec.target.model,
        "api": spec.target.api,
        "client_version": CLIENT_VERSION,
        "schema_version": TRACE_SCHEMA_VERSION,
        **spec.identity,
        "shard": spec.shard,
        "epoch_wall_at": epoch.wall_at,
    }
    names = ("run_id", "attempt", "suite", "endpoint", "workload", "load", "run_date", "level_index", "load_kind")
    missing = [name for name in (*names, "config_hash") if constants.get(name) is None]
    if missing:
        raise SpecError(f"identity lacks {', '.join(missing)}")
    return constants | {"run_date": date.fromisoformat(str(constants["run_date"]))}


def _allow_files(needed: int) -> None:
    """Raise the limit of open files to the hard limit where a connection a slot needs it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _report(spec: ShardSpec, level: Level, jobs: JobQueue, emit: Emit) -> None:
    while True:
        await asyncio.sleep(_PROGRESS_S)
        emit(_progress(spec, level, jobs))


def _progress(spec: ShardSpec, level: Level, jobs: JobQueue) -> dict[str, Any]:
    return {
        "event": "progress",
        "phase": spec.phase if level.measuring or spec.phase == "probe" else "warmup",
        "sent": level.sent,
        "done": level.tally.done,
        "failed": level.tally.failed,
        "planned": jobs.limit,
        "elapsed_s": round((monotonic_ns() - level.started_ns) / 1e9, 3),
        "output_tokens": level.tally.output_tokens,
    }


def _done(level: Level, transport: SocketTransport, part: Any) -> dict[str, Any]:
    tally = level.tally
    return {
        "event": "done",
        "part": str(part.path),
        "rows": part.rows,
        "outcomes": dict(tally.outcomes),
        "interrupted": level.interrupted,
        "stopped_early": level.stopped_early,
        "first_failure": tally.first_failure,
        "probe": tally.probe or None,
        "health": {
            "cpu_share": round(level.cpu_share, 4),
            "loop_lag_p99_ms": transport.beat.lag_p99_ms(),
            "merged_reads": tally.merged_reads,
            "late_sends": tally.late_sends,
            "connections_opened": transport.connections_opened,
            "clock_sources": dict(tally.clock_sources),
        },
    }
