"""The flow of a night: measure every run of its suites, build, publish, report. `nightly` and `demo` deploy it."""

import asyncio
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from prefect import flow, task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import deployment, flow_run
from prefect.states import Completed
from pydantic import BaseModel, Field
from rich.console import Console

from flows.calibrate import calibrate
from flows.catalogs import catalog_folder
from flows.measure import RunOutcome, measure
from flows.plans import is_measured, plan_suites
from flows.progress import Progress
from flows.publish import publish
from flows.stages import MEASURED, tell
from loadgen.plan import RunPlan
from schemas.catalog import Catalog
from schemas.catalog_files import load
from schemas.errors import NightFailedError, RatecardError
from warehouse import recovery
from warehouse.calibration import in_words, run_columns
from warehouse.home import Home, resolve

NEED_NO_SUITE = ("canary", "weekly-saturation")
"""Schedules whose deployments ship, for catalogs that use them."""


class NightParameters(BaseModel):
    """What a night measures and where its data live."""

    suite: str | None = Field(None, description="One suite of the catalog")
    schedule: str | None = Field(None, description="Or: every suite of the catalog with this schedule")
    home: str | None = Field(None, description="Data home; RATECARD_HOME or ./data where left out")
    catalog: str | None = Field(None, description="Catalog folder; ./catalog or the starter catalog where left out")
    night: datetime | None = Field(None, description="Scheduled start; the schedule's, or now, where left out")
    wait_s: float = Field(600.0, ge=0, description="How long to wait for an endpoint that another run holds")
    again: bool = Field(False, description="Measure even what is measured already: the new attempt supersedes")
    calibrate: bool = Field(True, description="First find out the client's own error, about 10 s")
    publish: bool = Field(
        True, description="Build, publish and report; off where deployments do so on the night's event"
    )
    late_h: float | None = Field(
        None, gt=0, description="Hours after which a late night is not measured: a gap is true"
    )


def _name() -> str:
    """Of a flow run: what it measures."""
    parameters = NightParameters.model_validate(flow_run.parameters["parameters"])
    return f"night {parameters.suite or parameters.schedule}"


@flow(name="night", flow_run_name=_name, persist_result=False)
async def night(parameters: NightParameters) -> list[str]:
    """Measure, build, publish, report. Returns the ids of the runs measured.

    One endpoint that fails does not stop the others. A signal stops the load, lands what was measured, builds and ends.
    With `publish` off it ends with the event `flows.stages.MEASURED`. A deployment of `NEED_NO_SUITE` to which the catalog
    gives nothing to do ends as `Skipped`.

    Raises:
        NightFailedError: a run failed or was interrupted; the message names each.
        RatecardError: the catalog is wrong, or the warehouse could not be built.

    """
    home = resolve(parameters.home)
    home.prepare()
    progress = Progress(Console(stderr=True))
    at = scheduled(parameters)
    if parameters.late_h is not None and datetime.now(UTC) - at > timedelta(hours=parameters.late_h):
        return _skipped(
            f"the night of {at:%Y-%m-%d %H:%M} UTC is over: measuring it now would date today's speed back", progress
        )
    folder = catalog_folder(parameters.catalog)
    catalog = load(folder)
    if deployment.id is not None and _has_nothing_to_do(catalog, parameters):
        return _skipped(f"no suite of {folder} has the schedule {parameters.schedule}: nothing to measure", progress)
    if ahead := _ahead(at, datetime.now(UTC)):
        progress.say(ahead)
    plans = plan_suites(catalog, parameters.suite, parameters.schedule, at)
    for line in recovery.recover(home):
        progress.say(line)
    with stop_on_signal(progress) as stop:
        calibration: Mapping[str, Any] = {}
        if parameters.calibrate and (parameters.again or not all(is_measured(home, plan) for plan in plans)):
            _stop.set(stop)
            calibration, said = await calibrated()
            progress.say(said)
        outcomes = await _measure_all(home, plans, catalog, stop, progress, parameters, calibration)
        unbuilt = await _publish(home, [outcome.run_id for outcome in outcomes], parameters.publish)
        await _show(outcomes, unbuilt, progress)
    unfinished = [o for o in outcomes if o.status in ("failed", "interrupted")]
    problems = [f"{o.run_id}: {o.status}: {o.message}" for o in unfinished] + unbuilt
    if problems:
        raise NightFailedError("\n".join(problems), [o.run_id for o in outcomes])
    return [outcome.run_id for outcome in outcomes]


def _skipped(why: str, progress: Progress) -> list[str]:
    """No runs; Prefect takes a state that a flow of a deployment returns as how its run ended."""
    progress.say(why)
    return [] if deployment.id is None else cast(list[str], Completed(name="Skipped", message=why))


def _has_nothing_to_do(catalog: Catalog, parameters: NightParameters) -> bool:
    """Of a schedule that a catalog may well be without; any other that no suite has is a mistake."""
    used = {suite.schedule for suite in catalog.suites.values()}
    return parameters.schedule in NEED_NO_SUITE and parameters.schedule not in used


def _ahead(at: datetime, now: datetime) -> str | None:
    """What to know of a night that lies more than a day in the future, by mistake or by a clock that was wrong."""
    days = (at.astimezone(UTC).date() - now.date()).days
    if days <= 1:
        return None
    return (
        f"the night of {at:%Y-%m-%d} is {days} days after today, {now:%Y-%m-%d}: until then it is the newest night in trends "
        "and for the gate, and hides those measured meanwhile. If that is not meant: `ratecard retract RUN --why TEXT`"
    )


async def _publish(home: Home, run_ids: list[str], here: bool) -> list[str]:
    """Build and report `here`, or say that others may; returns why that failed, if it did.

    The runs' own failures must be told beside it.
    """
    try:
        if here:
            await publish(home, run_ids)
        else:
            tell(MEASURED, home, run_ids)
    except RatecardError as error:
        return [str(error)]
    except Exception as error:  # a mistake of ours in a picture must not hide what was measured; the log has its trace
        return [f"not everything was published: {type(error).__name__}: {error}"]
    return []


async def _show(outcomes: list[RunOutcome], unbuilt: list[str], progress: Progress) -> None:
    """A table of how each run ended, and the build where it failed, in Prefect's UI."""
    rows = [
        {"what": o.run_id, "endpoint": o.endpoint, "status": o.status, "message": o.message or ""} for o in outcomes
    ]
    rows += [{"what": "build and report", "endpoint": "", "status": "failed", "message": why} for why in unbuilt]
    failed = sum(row["status"] not in ("complete", "skipped") for row in rows)
    summary = f"{failed} of {len(rows)} failed" if failed else f"{len(rows)} runs, all well"
    try:
        await acreate_table_artifact(key="night", table=rows, description=summary)
    except Exception as error:  # the state of the flow says the same
        progress.say(f"the table of the night's runs could not be shown in Prefect: {error}")


def scheduled(parameters: NightParameters) -> datetime:
    """The night's identity: as given, else when Prefect had scheduled it, else now."""
    at = parameters.night
    if at is None and deployment.id is not None:  # the schedule's time, the same for a retry and a late start
        at = flow_run.scheduled_start_time
    at = at or datetime.now(UTC)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).replace(microsecond=0)


_stop: ContextVar[asyncio.Event] = ContextVar("what stops the calibration, which no task can be passed")


@task(name="calibration", cache_policy=NO_CACHE, persist_result=False)
async def calibrated() -> tuple[dict[str, Any], str]:
    """Find out how wrong the client is tonight: columns of `raw.runs`, and the same in words.

    A night does not depend on it: where it cannot be found out there are no columns, and the words say why.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="ratecard-calibration-") as folder:
            steps = await calibrate(Path(folder), _stop.get())
    except Exception as error:  # whatever goes wrong with it, the night is worth more
        return {}, f"the client's own error stays unknown tonight: {error}"
    return (run_columns(steps), in_words(steps)) if steps else ({}, "")


async def _measure_all(
    home: Home, plans: list[RunPlan], catalog: Catalog, stop: asyncio.Event, progress: Progress,
    parameters: NightParameters, calibration: Mapping[str, Any],
) -> list[RunOutcome]:  # fmt: skip
    outcomes = []
    for plan in plans:
        if stop.is_set():
            outcomes.append(RunOutcome(plan.run_id, plan.endpoint, "interrupted", "not begun"))
            continue
        progress.say(f"measuring {plan.endpoint} x {plan.workload} x {plan.load} ({plan.run_id})")
        try:
            outcome = await measure(
                home, plan, catalog, stop=stop, progress=progress, wait_s=parameters.wait_s, again=parameters.again,
                calibration=calibration,
            )  # fmt: skip
        except Exception as error:  # whatever went wrong with one endpoint, the others get their turn
            progress.console.print_exception()
            outcome = RunOutcome(plan.run_id, plan.endpoint, "failed", f"{type(error).__name__}: {error}")
        if outcome.status == "skipped":
            progress.say(f"skipped: {outcome.message}")
        elif outcome.status != "complete":
            progress.say(f"{outcome.status}; why is said at the end")
        outcomes.append(outcome)
    return outcomes


@contextmanager
def stop_on_signal(progress: Progress) -> Iterator[asyncio.Event]:
    """An event that the first SIGINT or SIGTERM sets; the handlers that were there come back afterwards."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask() -> None:
        if not stop.is_set():
            progress.say("stopping: requests in flight are cancelled, what was measured is landed and built")
        stop.set()

    for number in before:
        loop.add_signal_handler(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
