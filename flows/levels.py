"""The tasks of a run: the probe, and one load level: its workers side by side, then landing.

A measured request is never retried: a second try would be another measurement.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from prefect import task
from prefect.assets import materialize
from prefect.cache_policies import NO_CACHE

from flows import assets
from flows.advice import advice, unscaled
from flows.children import STOPPED_AT_START, Event, run_worker
from flows.elsewhere import START_AFTER_S, run_elsewhere
from flows.level_rows import level_row
from flows.progress import Progress
from flows.scraping import scraped
from flows.together import Together
from loadgen.plan import PROBE_STAGES, LevelPlan, RunPlan, probe_spec, shard_specs
from loadgen.prompts import fit_prompt_scale
from loadgen.spec import PromptScale, ShardSpec
from schemas.errors import EndpointError, RatecardError
from warehouse.home import Home
from warehouse.landing import LandedPart
from warehouse.runs import RunFolder

LATE_MS = 50.0
"""A worker that begins so long after the common start is told; how long is kept with the level in any case."""


@dataclass(frozen=True)
class Surroundings:
    """What a run's tasks share in this process and cannot be passed as data; tasks pass paths and numbers."""

    home: Home
    stop: asyncio.Event
    progress: Progress
    lock: int


around: ContextVar[Surroundings] = ContextVar("surroundings of the run")


@task(name="probe", cache_policy=NO_CACHE, persist_result=False)
async def probe(run_folder: str) -> None:
    """A few requests: is the endpoint there, does it stream, does it count tokens, how long are they?

    Raises:
        EndpointError: none of them succeeded; the message says what to do.

    """
    here = around.get()
    run = RunFolder(here.home, Path(run_folder))
    plan = RunPlan.read(run.plan_path)
    scale: PromptScale | None = PromptScale()
    done: list[Event] = []
    for stage in range(len(PROBE_STAGES)):
        spec = probe_spec(plan, stage, scale or PromptScale(), run.path)
        with here.progress.level(f"{plan.endpoint} probe") as tell:
            done.append(await _here(spec, tell))
        if done[-1]["interrupted"] or not done[-1]["outcomes"].get("ok"):
            break
        scale = fit_prompt_scale(done[-1]["probe"])
    run.land_level(level_row(spec, "probe", None, done))
    if here.stop.is_set() or done[-1]["interrupted"]:
        return
    if not done[-1]["outcomes"].get("ok"):
        raise EndpointError(advice(spec.target, done[-1]["first_failure"], _limit(plan, spec)))
    run.update(keeps_connections=done[-1]["keeps_connections"])
    if done[-1].get("refused_http2"):
        here.progress.say(
            f"{plan.endpoint} does not speak HTTP/2: without http2 (--http2) the kernel would stamp its answers"
        )
    if scale is None:
        here.progress.say(unscaled(plan.endpoint, done[-1]["probe"]))
    else:
        run.update(chars_per_token=scale.chars_per_token, prompt_overhead_tokens=scale.overhead_tokens)
        if plan.target.tokenizer and scale.chars_per_token:
            here.progress.say(
                f"{plan.target.tokenizer} counts otherwise than {plan.endpoint}: prompts are held to their length by characters"
            )


async def measured(run: RunFolder, level: LevelPlan) -> dict[str, Any]:
    """`run_level` of a level in the run's plan, under a name that says which."""
    named = run_level.with_options(
        task_run_name=f"{run.path.name} {level.shape.label}", assets=[assets.raw(run.home, run.run()["endpoint"])]
    )
    return await named(str(run.path), level.level_index)


@materialize(assets.OF_THE_CALL, name="level", cache_policy=NO_CACHE, persist_result=False)
async def run_level(run_folder: str, level_index: int) -> dict[str, Any]:
    """One load level: its workers side by side, the server's own figures meanwhile, then landing.

    Returns the level's row of `raw.levels`. What the workers wrote lands however they ended.
    """
    here = around.get()
    run = RunFolder(here.home, Path(run_folder))
    plan = RunPlan.read(run.plan_path)
    level = next(level for level in plan.levels if level.level_index == level_index)
    label = f"{plan.endpoint} {plan.workload} {level.shape.label}"
    _tell_repeats(here.progress, plan, level)
    elsewhere: str | None = plan.load_config["run_by"]
    known = run.run()
    specs = shard_specs(
        plan,
        level,
        _scale(known),
        run.path,
        keeps_connections=known.get("keeps_connections"),
        start_at=time.time() + START_AFTER_S if elsewhere else None,
    )
    together = None if elsewhere else Together(range(level.shards))
    begun = together.wait if together else partial(asyncio.sleep, START_AFTER_S)
    try:
        async with scraped(specs[0], plan.endpoint_config["metrics_url"], here.progress.say, begun):
            with here.progress.level(label) as tell:
                run_shard = (
                    partial(run_elsewhere, elsewhere, here.stop)
                    if elsewhere
                    else partial(_here, tell=tell, together=together)
                )
                results = await asyncio.gather(*(run_shard(spec) for spec in specs), return_exceptions=True)
    except asyncio.CancelledError:
        run.land_level(level_row(specs[0], _chosen_by(plan), None, [STOPPED_AT_START]))
        raise
    done = [result for result in results if isinstance(result, dict)]
    broken = next((result for result in results if isinstance(result, BaseException)), None)
    row, landed = run.land_level(level_row(specs[0], _chosen_by(plan), broken, done))
    _tell_rejected(here.progress, landed)
    _tell_late(here.progress, results)
    _tell_same_machine(here.progress, done)
    here.progress.level_done(label, row, done)
    if broken is not None and not isinstance(broken, RatecardError):
        raise broken
    return row


def _chosen_by(plan: RunPlan) -> str:
    return plan.search["kind"] if plan.search else "sweep"


def _scale(run: dict[str, Any]) -> PromptScale:
    """What the probe found out about prompt lengths; the default where it could not."""
    if run.get("chars_per_token") is None:
        return PromptScale()
    return PromptScale(run["chars_per_token"], run["prompt_overhead_tokens"])


async def _here(spec: ShardSpec, tell: Callable[[int, Event], None], together: Together | None = None) -> Event:
    """Run a shard in a process on this machine."""
    here, path = around.get(), Path(spec.part_path).with_suffix(".json")
    try:
        spec.write(path)
        return await run_worker(path, here.lock, here.stop, partial(tell, spec.shard), together)
    finally:
        if together:
            together.gone(spec.shard)


def _limit(plan: RunPlan, spec: ShardSpec) -> str:
    waited_s, allowed_s = spec.target.timeout_s, plan.target.timeout_s
    if waited_s == allowed_s:
        return "timeout_s (--timeout)"
    return f"the {waited_s:g} s that a probe waits, before anything is measured,"


def _tell_repeats(progress: Progress, plan: RunPlan, level: LevelPlan) -> None:
    entries = plan.workload_config.get("entries")
    asked = level.warmup_requests + level.least_requests
    if entries and asked > entries:
        progress.say(
            f"{plan.workload} has {entries} prompts for {asked} requests: they repeat, and a cache may know them"
        )


def _tell_late(progress: Progress, results: Sequence[Event | BaseException]) -> None:
    for shard, result in enumerate(results):
        health = (result["health"] if isinstance(result, dict) else None) or {}
        late_ms = health.get("late_start_ms") or 0.0
        if late_ms > LATE_MS:
            progress.say(
                f"worker {shard + 1} of {len(results)} began {late_ms / 1e3:.2g} s after the common start, "
                "and what it had missed was late: its machine was too busy for so many workers, or took it up late"
            )


def _tell_same_machine(progress: Progress, done: Sequence[Event]) -> None:
    """Of shards elsewhere, which name theirs."""
    machines = Counter(event["machine"] for event in done if "machine" in event)
    for machine, shards in machines.items():
        if shards > 1:
            progress.say(
                f"{shards} of {len(done)} shards ran on {machine}: for one a machine, start every worker of the pool with "
                "--limit 1, that of the night too"
            )


def _tell_rejected(progress: Progress, landed: Sequence[LandedPart]) -> None:
    for part in landed:
        if part.rows_quarantined:
            why = ", ".join(f"{reason} ({count})" for reason, count in part.reasons.items())
            progress.say(
                f"{part.rows_quarantined} rows of {part.table} broke the contract and went to quarantine/: {why}"
            )
