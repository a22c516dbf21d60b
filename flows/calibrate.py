"""The client's own error, found out before a night: real workers against the reference endpoint, rising loads.

The endpoint shares this machine with the worker: at a rate that is not held, it may be the endpoint that gave way.
The comparison is `warehouse.calibration`.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from flows.children import run_worker, served
from loadgen.plan import LevelPlan, plan_run, shard_specs
from loadgen.spec import PromptScale, Shape, ShardSpec, StopRules
from schemas.catalog.endpoints import Endpoint
from schemas.catalog.loads import Load
from schemas.catalog.workloads import Workload
from warehouse.calibration import Comparison, compare, logged_by_endpoint, seen_by_client

TTFT_MS, ITL_MS = 100, 20
INPUT_TOKENS, OUTPUT_TOKENS = 64, 48
STREAMS = (64, 256, 512, 1024)
"""Requests in flight at each step; the first is the error bar, the others look for the highest rate that is held."""
FIRST_STEP_ROUNDS = 2
"""Requests a stream at the first step: its percentiles need more of them than the question whether a rate is held."""
PATIENCE_S = 30.0


async def calibrate(folder: Path, stop: asyncio.Event, streams: tuple[int, ...] = STREAMS) -> list[Comparison]:
    """Load the reference endpoint step by step, up to the first that the client does not hold; at least one step.

    Specs, parts and truth are left in `folder`. Empty where `stop` was set before the first step was done.

    Raises:
        RatecardError: endpoint or worker could not do their work; the message says why.

    """
    steps: list[Comparison] = []
    for index, count in enumerate(streams):
        step = folder / f"streams-{count}"
        step.mkdir(parents=True)
        compared = await _step(step, count, count if index else count * FIRST_STEP_ROUNDS, stop)
        if compared is None:
            break
        steps.append(compared)
        if not compared.held:
            break
    return steps


async def _step(folder: Path, streams: int, requests: int, stop: asyncio.Event) -> Comparison | None:
    """One load of `requests` in all; None where it was stopped."""
    log, spec_path = folder / "truth.jsonl", folder / "spec.json"
    timing = ["--ttft-ms", str(TTFT_MS), "--itl-ms", str(ITL_MS)]
    async with served(["endpoints.reference", *timing, "--log", str(log)], "the reference endpoint") as ready:
        _spec(ready["url"], streams, requests, folder).write(spec_path)
        done = await run_worker(spec_path, None, stop, lambda _: None)
    if done["interrupted"]:
        return None
    # the log is whole now that the endpoint has ended
    return compare(seen_by_client(done["parts"]), logged_by_endpoint(log), streams)


def _spec(url: str, streams: int, requests: int, folder: Path) -> ShardSpec:
    plan = plan_run(
        suite="calibration",
        names=("reference", "calibration", "calibration"),
        endpoint=Endpoint(url=url, model="reference", timeout_s=PATIENCE_S),
        workload=Workload(input_tokens=INPUT_TOKENS, output_tokens=OUTPUT_TOKENS),
        load=Load(concurrency=[streams], requests=requests),
        night=datetime.now(UTC),
    )
    # a plan's own level sends several rounds more, for its steady state
    level = LevelPlan(
        level_index=1,
        shape=Shape(kind="closed", concurrency=streams),
        stop=StopRules(requests, None, requests, max_duration_s=PATIENCE_S, error_share=0.5),
        warmup_requests=0,
        shards=1,
    )
    return shard_specs(plan, level, PromptScale(), folder, keeps_connections=True)[0]
