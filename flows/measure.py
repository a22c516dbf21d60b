"""One run: lock the endpoint, probe it, then a Prefect task for each load level, then close the manifest.

A measured request is never retried: a second try would be another measurement.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.advice import advice
from flows.children import Engine, Event, launched, run_worker
from flows.progress import Progress
from loadgen.plan import PROBE_STAGES, RunPlan, probe_spec, shard_specs
from loadgen.prompts import fit_prompt_scale
from loadgen.spec import PromptScale, ShardSpec
from schemas.catalog import Catalog
from schemas.errors import EndpointBusyError, EndpointError, RatecardError
from warehouse import manifests, recovery, runs
from warehouse.home import Home, endpoint_lock
from warehouse.landing import LandedPart


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended: complete, interrupted, failed, or skipped (the night is already measured)."""

    run_id: str
    endpoint: str
    status: str
    message: str | None = None


@dataclass(frozen=True)
class Surroundings:
    """What a run's tasks share in this process and cannot be passed as data; tasks pass paths and numbers."""

    home: Home
    stop: asyncio.Event
    progress: Progress
    lock: int


_around: ContextVar[Surroundings] = ContextVar("surroundings of the run")


async def measure(
    home: Home, plan: RunPlan, catalog: Catalog, *, stop: asyncio.Event, progress: Progress, wait_s: float
) -> RunOutcome:
    """Measure `plan`, unless its night is measured already; what fails is told in the outcome, nothing is raised for it."""
    measured = RunOutcome(plan.run_id, plan.endpoint, "skipped", f"{plan.run_id} is already measured: nothing to do")
    if _is_measured(home, plan):
        return measured
    try:
        async with AsyncExitStack() as stack:
            lock = await stack.enter_async_context(_locked(home, plan, wait_s, stop, progress))
            for line in recovery.recover_held(home, plan.endpoint):
                progress.say(line)
            if _is_measured(home, plan):  # by the run that was waited for
                return measured
            plan = replace(plan, attempt=runs.next_attempt(home, plan.run_id, plan.run_date))
            if plan.launch:
                plan = _aimed(plan, await stack.enter_async_context(_engine(home, plan, progress)))
            _around.set(Surroundings(home, stop, progress, lock))
            return await _run(plan, catalog)
    except RatecardError as error:
        return RunOutcome(plan.run_id, plan.endpoint, "failed", str(error))


def _is_measured(home: Home, plan: RunPlan) -> bool:
    return any(run["status"] == "complete" for run in manifests.attempts(home, plan.run_id, plan.run_date))


@asynccontextmanager
async def _locked(
    home: Home, plan: RunPlan, wait_s: float, stop: asyncio.Event, progress: Progress
) -> AsyncIterator[int]:
    """The endpoint's lock, waiting up to `wait_s` seconds for another run to end."""
    deadline, told = asyncio.get_running_loop().time() + wait_s, False
    while True:
        try:
            with endpoint_lock(home, plan.endpoint, plan.run_id) as lock:
                yield lock
                return
        except EndpointBusyError as busy:
            if stop.is_set() or asyncio.get_running_loop().time() >= deadline:
                raise EndpointBusyError(
                    f"{busy}. Try again when it is done, or wait longer with --wait SECONDS"
                ) from None
            if not told:
                progress.say(f"{busy}; waiting up to {wait_s:.0f} s for it to end")
                told = True
        await asyncio.sleep(0.5)


def _engine(home: Home, plan: RunPlan, progress: Progress) -> Any:
    home.logs.mkdir(parents=True, exist_ok=True)
    most = max(level.concurrency for level in plan.levels)
    assert plan.launch is not None
    return launched(plan.launch, home.models, home.logs / f"{plan.endpoint}.log", most, progress.say)


def _aimed(plan: RunPlan, engine: Engine) -> RunPlan:
    """`plan` at the engine that was launched for it."""
    config = plan.endpoint_config | {"engine": engine.engine, "engine_version": engine.engine_version}
    return replace(plan, target=replace(plan.target, url=engine.url, model=engine.model), endpoint_config=config)


async def _run(plan: RunPlan, catalog: Catalog) -> RunOutcome:
    folder = runs.begin(_around.get().home, asdict(plan), catalog)
    status: str = "interrupted"
    failure: str | None = "the flow was cancelled"
    try:
        status, failure = await _levels(plan, folder)
    except RatecardError as error:
        status, failure = "failed", str(error)
    finally:
        folder.close(status, failure)
    return RunOutcome(plan.run_id, plan.endpoint, status, failure)


async def _levels(plan: RunPlan, folder: runs.RunFolder) -> tuple[str, str | None]:
    """Probe and levels in order; returns (status, failure)."""
    stop = _around.get().stop
    await probe(str(folder.path))
    for level in plan.levels:
        if stop.is_set():
            break
        named = run_level.with_options(task_run_name=f"{plan.endpoint} {plan.workload} c={level.concurrency}")
        status, failure = await named(str(folder.path), level.level_index)
        if status in ("stopped", "failed"):
            return "failed", f"level c={level.concurrency} was given up: {failure}"
    if stop.is_set():
        return "interrupted", "stopped on request; what was measured is kept"
    return "complete", None


@task(name="probe", cache_policy=NO_CACHE, persist_result=False)
async def probe(run_folder: str) -> None:
    """A few requests: is the endpoint there, does it stream, does it count tokens, how long are they?

    Raises:
        EndpointError: none of them succeeded; the message says what to do.

    """
    around = _around.get()
    run = runs.RunFolder(around.home, Path(run_folder))
    plan = RunPlan.read(run.plan_path)
    scale: PromptScale | None = PromptScale()
    done: list[Event] = []
    for stage in range(len(PROBE_STAGES)):
        spec = probe_spec(plan, stage, scale or PromptScale(), run.path)
        done.append(await _worker(spec, f"{plan.endpoint} probe"))
        if done[-1]["interrupted"] or not done[-1]["outcomes"].get("ok"):
            break
        scale = fit_prompt_scale(done[-1]["probe"])
    run.land_level(_level_row(spec, 1, None, done))
    if around.stop.is_set() or done[-1]["interrupted"]:
        return
    if not done[-1]["outcomes"].get("ok"):
        raise EndpointError(advice(plan.target, done[-1]["first_failure"]))
    if scale is None:
        around.progress.say(
            f"{plan.endpoint} sends no usage, so its tokens cannot be counted: rates of requests and latencies are "
            "measured, costs per token stay unknown. Turn on usage in streams (stream_options.include_usage) at the server"
        )
    else:
        run.update(chars_per_token=scale.chars_per_token, prompt_overhead_tokens=scale.overhead_tokens)


@task(name="level", cache_policy=NO_CACHE, persist_result=False)
async def run_level(run_folder: str, level_index: int) -> tuple[str, str | None]:
    """One load level: its workers side by side, then landing. Returns the level's (status, failure)."""
    around = _around.get()
    run = runs.RunFolder(around.home, Path(run_folder))
    plan = RunPlan.read(run.plan_path)
    level = next(level for level in plan.levels if level.level_index == level_index)
    label = f"{plan.endpoint} {plan.workload} c={level.concurrency}"
    specs = shard_specs(plan, level, _scale(run.run()), run.path)
    results = await asyncio.gather(*(_worker(spec, label) for spec in specs), return_exceptions=True)
    done = [result for result in results if isinstance(result, dict)]
    broken = next((result for result in results if isinstance(result, BaseException)), None)
    row = _level_row(specs[0], level.concurrency, broken, done)
    row, landed = run.land_level(row)
    _tell_rejected(around.progress, landed)
    around.progress.level_done(label, row, done)
    if broken is not None and not isinstance(broken, RatecardError):
        raise broken
    return row["status"], row["failure"]


def _scale(run: dict[str, Any]) -> PromptScale:
    """What the probe found out about prompt lengths; the default where it could not."""
    if run.get("chars_per_token") is None:
        return PromptScale()
    return PromptScale(run["chars_per_token"], run["prompt_overhead_tokens"])


async def _worker(spec: ShardSpec, label: str) -> Event:
    around = _around.get()
    path = Path(spec.part_path).with_suffix(".json")
    spec.write(path)
    with around.progress.level(label) as tell:
        return await run_worker(path, around.lock, around.stop, tell)


def _level_row(spec: ShardSpec, concurrency: int, broken: BaseException | None, done: list[Event]) -> dict[str, Any]:
    """Columns of `raw.levels`, but the row counts that landing adds."""
    gave_up = next((d for d in done if d["stopped_early"]), None)
    status, failure = "complete", None
    if broken is not None:
        status, failure = "failed", str(broken)
    elif gave_up is not None:
        first = gave_up["first_failure"]
        status, failure = "stopped", f"too many requests failed; the first: {first['outcome']}: {first['error']}"
    elif any(d["interrupted"] for d in done):
        status, failure = "interrupted", "stopped on request"
    return {
        "level_index": spec.identity["level_index"],
        "load_kind": "closed",
        "concurrency": concurrency,
        "request_rate": None,
        "status": status,
        "failure": failure,
        "client_cpu_share": _worst(done, "cpu_share"),
        "loop_lag_p99_ms": _worst(done, "loop_lag_p99_ms"),
    }


def _worst(done: list[Event], measure: str) -> float | None:
    return max((d["health"][measure] for d in done if d["health"]), default=None)


def _tell_rejected(progress: Progress, landed: list[LandedPart]) -> None:
    for part in landed:
        if part.rows_quarantined:
            why = ", ".join(f"{reason} ({count})" for reason, count in part.reasons.items())
            progress.say(f"{part.rows_quarantined} request rows broke the contract and went to quarantine/: {why}")
