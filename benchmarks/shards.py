"""Our load generator as one real worker process, with everything that it does on a night."""

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.child import Usage, run
from loadgen.plan import LevelPlan, plan_run, shard_specs
from loadgen.spec import PromptScale, Shape, ShardSpec, StopRules
from schemas.catalog.endpoints import Endpoint
from schemas.catalog.loads import Load
from schemas.catalog.workloads import Workload

INPUT_TOKENS = 64
_PATIENCE_S = 120.0
_LONGEST_S = 1800.0


@dataclass(frozen=True)
class Worked:
    """What a worker left behind: its parts, its `done` event, its cost."""

    parts: tuple[Path, ...]
    done: dict[str, Any]
    usage: Usage


@dataclass(frozen=True)
class Level:
    """A level of a fixed number of requests, built before the first is sent; or built and not sent at all."""

    shape: Shape
    requests: int
    output_tokens: int
    warmup: int = 0
    sends: bool = True


def work(url: str, level: Level, folder: Path) -> Worked:
    """Run a level. Raises RuntimeError where the worker failed, or not all of its requests went well."""
    _spec(url, level, folder).write(folder / "spec.json")
    events = folder / "events.jsonl"
    usage = run([sys.executable, "-m", "loadgen", str(folder / "spec.json")], events)
    done = json.loads(events.read_text().splitlines()[-1])
    wanted = {"ok": level.warmup + level.requests} if level.sends else {}
    if done["outcomes"] != wanted:
        raise RuntimeError(
            f"expected {wanted}, found {done['outcomes']}: {done['first_failure'] or 'not all were sent'}"
        )
    return Worked(tuple(map(Path, done["parts"])), done, usage)


def _spec(url: str, level: Level, folder: Path) -> ShardSpec:
    plan = plan_run(
        suite="benchmark",
        names=("reference", "benchmark", "benchmark"),
        endpoint=Endpoint(url=url, model="reference", timeout_s=_PATIENCE_S, verify_tls=False),
        workload=Workload(input_tokens=INPUT_TOKENS, output_tokens=level.output_tokens),
        load=Load(concurrency=[level.shape.concurrency or 1], requests=level.requests),
        night=datetime.now(UTC),
    )
    stop = StopRules(
        requests=level.requests,
        duration_s=None,
        min_requests=level.requests,
        max_duration_s=_LONGEST_S if level.sends else 0.0,
        error_share=0.1,
        over_saturation=False,
    )
    planned = LevelPlan(1, level.shape, stop, level.warmup, shards=1)
    return shard_specs(plan, planned, PromptScale(), folder, keeps_connections=True)[0]
