"""One run: lock the endpoint, probe it, measure its levels as listed or as a search finds them, close the manifest."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from flows.children import Engine, launched
from flows.elsewhere import check_api
from flows.levels import Surroundings, around, measured, probe
from flows.plans import is_measured
from flows.progress import Progress
from flows.search import search
from flows.slots import endpoint_slot
from loadgen.plan import RunPlan
from schemas.catalog import Catalog
from schemas.errors import EndpointBusyError, LandingError, RatecardError
from warehouse import archive, recovery, runs
from warehouse.files import reason
from warehouse.home import Home, endpoint_lock

MOST_IN_FLIGHT = 512
"""Of an open loop without a bound of its own, as far as a launched engine has to be ready for it."""


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended: complete, interrupted, failed, or skipped (the night is already measured)."""

    run_id: str
    endpoint: str
    status: str
    message: str | None = None


async def measure(
    home: Home, plan: RunPlan, catalog: Catalog, *, stop: asyncio.Event, progress: Progress, wait_s: float,
    calibration: Mapping[str, Any], again: bool = False,
) -> RunOutcome:  # fmt: skip
    """Measure `plan`; what fails is told in the outcome, nothing is raised for it.

    A night that is measured already is left as it is, or with `again` gets one more attempt, which supersedes.
    `calibration` are the columns of `raw.runs` that say how wrong the client is tonight.
    """
    already = RunOutcome(plan.run_id, plan.endpoint, "skipped", f"{plan.run_id} is already measured: nothing to do")
    if not again and is_measured(home, plan):
        return already
    try:
        if plan.load_config["run_by"]:
            check_api(plan.load_config["run_by"])
        async with AsyncExitStack() as stack:
            lock = await stack.enter_async_context(_locked(home, plan, wait_s, stop, progress))
            for line in recovery.recover_held(home, plan.endpoint):
                progress.say(line)
            if not again and is_measured(home, plan):  # by the run that was waited for
                return already
            await stack.enter_async_context(endpoint_slot(plan.endpoint, wait_s=wait_s, stop=stop, progress=progress))
            if archive.is_frozen(home, plan.run_date, plan.night):
                return RunOutcome(plan.run_id, plan.endpoint, "failed", _frozen(plan))
            plan = replace(plan, attempt=runs.next_attempt(home, plan.run_id, plan.run_date))
            if plan.launch:
                plan = _aimed(plan, await stack.enter_async_context(_engine(home, plan, progress)))
            around.set(Surroundings(home, stop, progress, lock))
            return await _run(plan, catalog, calibration)
    except RatecardError as error:
        return RunOutcome(plan.run_id, plan.endpoint, "failed", str(error))


def _frozen(plan: RunPlan) -> str:
    return (
        f"the night {plan.night} is archived (its traces were thinned or dropped, retention.yaml), and its figures stand: "
        "what is measured now belongs to a night of its own, as without --night"
    )


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
    assert plan.launch is not None
    return launched(plan.launch, home.models, home.logs / f"{plan.endpoint}.log", _most_in_flight(plan), progress.say)


def _most_in_flight(plan: RunPlan) -> int:
    """Requests that the levels of `plan` may have in flight at once."""
    if plan.search is not None and plan.search["over"] == "concurrency":
        return int(plan.search["max"])
    open_loop = plan.load_config["max_in_flight"] or MOST_IN_FLIGHT
    return max((level.shape.concurrency or open_loop for level in plan.levels), default=open_loop)


def _aimed(plan: RunPlan, engine: Engine) -> RunPlan:
    """`plan` at the engine that was launched for it."""
    config = plan.endpoint_config | {"engine": engine.engine, "engine_version": engine.engine_version}
    return replace(plan, target=replace(plan.target, url=engine.url, model=engine.model), endpoint_config=config)


async def _run(plan: RunPlan, catalog: Catalog, calibration: Mapping[str, Any]) -> RunOutcome:
    folder = runs.begin(around.get().home, asdict(plan), catalog)
    folder.update(**calibration)
    status: str = "interrupted"
    failure: str | None = "the flow was cancelled"
    try:
        await probe(str(folder.path))
        status, failure = await (_sweep(plan, folder) if plan.search is None else search(plan, folder, catalog))
    except RatecardError as error:
        status, failure = "failed", str(error)
    except Exception as error:
        status, failure = "failed", f"{type(error).__name__}: {error}"
        raise
    finally:
        _close(folder, status, failure)
    return RunOutcome(plan.run_id, plan.endpoint, status, failure)


def _close(folder: runs.RunFolder, status: str, failure: str | None) -> None:
    try:
        folder.close(status, failure)
    except LandingError as error:
        unclosed = (
            f"the run could not be closed: {reason(error)}. What has landed is kept: free some space in {folder.home.root}, "
            "and the next `ratecard run` or `ratecard build` closes it"
        )
        raise LandingError("\n".join(filter(None, [failure, unclosed]))) from error


async def _sweep(plan: RunPlan, folder: runs.RunFolder) -> tuple[str, str | None]:
    """The levels as listed, in order; returns (status, failure). An over-saturated one is the last that makes sense."""
    here = around.get()
    for level in plan.levels:
        if here.stop.is_set():
            break
        row = await measured(folder, level)
        if row["stop_reason"] == "over_saturated":
            left_out = ", ".join(later.shape.label for later in plan.levels[level.level_index :])
            here.progress.say(
                f"{plan.endpoint} is over-saturated at {level.shape.label}"
                + (f": {left_out} would only queue more, and is left out" if left_out else "")
            )
            return "complete", None
        if row["status"] in ("stopped", "failed"):
            return "failed", f"level {level.shape.label} was given up: {row['failure']}"
    if here.stop.is_set():
        return "interrupted", "stopped on request; what was measured is kept"
    return "complete", None
