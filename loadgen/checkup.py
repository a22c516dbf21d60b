"""Watches a level's own client: a row of `raw.client_health` each second, beside the traces."""

import asyncio
import math
from itertools import count
from pathlib import Path
from time import monotonic_ns

from loadgen.health import Counts, HealthSampler, health_path, median_tcp_rtt_ms
from loadgen.level import Level
from loadgen.spec import ShardSpec
from loadgen.wire import Transport
from schemas.columns import CLIENT_HEALTH
from schemas.errors import PartError

_EVERY_NS = 1_000_000_000


async def record_health(spec: ShardSpec, level: Level, transport: Transport) -> None:
    """Sample from the level's start until cancelled; then the part is written, its last row of less than a second.

    Raises PartError, which is no reason to lose a level.
    """
    from loadgen.parts import PartWriter  # pyarrow is slow to import and of no use to `import loadgen`

    await level.begun.wait()
    sampler = HealthSampler(spec.identity, spec.shard, level.started_ns)
    transport.watch_lags(sampler.loop_lags.add, sampler.read_lags.add)
    part = PartWriter(health_path(Path(spec.part_path)), CLIENT_HEALTH, seconds_per_part=math.inf)
    try:
        for second in count(1):
            due_ns = level.started_ns + second * _EVERY_NS
            await asyncio.sleep(max(0, due_ns - monotonic_ns()) / 1e9)
            part.add(_row(sampler, level, transport))
    finally:
        try:
            part.add(_row(sampler, level, transport))
            part.close()
        except PartError:
            part.discard()


def _row(sampler: HealthSampler, level: Level, transport: Transport) -> dict[str, object]:
    tally, sockets = level.tally, transport.open_sockets()
    counts = Counts(
        in_flight=level.in_flight,
        sent=level.sent,
        done=tally.done,
        late_sends=tally.late_sends,
        reads=tally.reads,
        merged_reads=tally.merged_reads,
        connections_open=len(sockets),
        connections_opened=transport.connections_opened,
        requests_on_reused=tally.on_reused,
    )
    return sampler.sample(counts, median_tcp_rtt_ms(sockets))
