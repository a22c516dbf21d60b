"""`ratecard doctor`: is all that a night needs in order, here and at each endpoint?"""

import asyncio
import tempfile
from pathlib import Path

from flows.calibrate import calibrate
from flows.catalogs import catalog_folder
from flows.checks import Check
from flows.clocks import clock_checks
from flows.endpoint_checks import endpoint_checks
from flows.machine import machine_checks
from schemas.catalog import Catalog
from schemas.catalog.endpoints import Endpoint
from schemas.catalog_files import load
from schemas.errors import CatalogError, RatecardError, UsageError
from warehouse.calibration import in_words
from warehouse.home import Home

_ASKED_AT_ONCE = 4
"""Endpoints: each is asked by a process of its own, and one that has to wait for its core looks like a slow server."""

CHECKED = ["check", "status", "found", "what to do"]
"""Titles of the columns."""


async def examine(home: Home, catalog: str | None, *, quick: bool) -> list[Check]:
    """Every check, in the order in which a night would need it; `quick` leaves the calibration out."""
    # in a thread: some of them wait, and one changes how its thread is scheduled
    checks = await asyncio.to_thread(lambda: [*machine_checks(home), *clock_checks()])
    checks.append(_prefect())
    folder = catalog_folder(catalog)
    read, found = _catalog(folder)
    checks.append(found)
    with tempfile.TemporaryDirectory(prefix="ratecard-doctor-") as scratch:
        few = asyncio.Semaphore(_ASKED_AT_ONCE)

        async def asked(name: str, endpoint: Endpoint) -> list[Check]:
            async with few:
                return await endpoint_checks(home, name, endpoint, Path(scratch))

        for group in await asyncio.gather(*(asked(*named) for named in read.endpoints.items())):
            checks += group
        if not quick:
            checks.append(await _calibration(Path(scratch) / "calibration"))
    return checks


def _prefect() -> Check:
    from flows.prefect_api import reach_prefect  # seconds to import

    try:
        url = reach_prefect()
    except UsageError as error:
        found, _, to_do = str(error).rpartition(": ")
        return Check("prefect", "failed", found, to_do)
    return Check("prefect", "ok", f"{url} answers" if url else "none is set: each command starts its own")


def _catalog(folder: Path) -> tuple[Catalog, Check]:
    try:
        read = load(folder)
    except CatalogError as error:
        return Catalog(), Check("catalog", "failed", str(error), "correct the lines named")
    count = f"{len(read.endpoints)} endpoints, {len(read.suites)} suites"
    return read, Check("catalog", "ok", f"{folder}: {count}")


async def _calibration(folder: Path) -> Check:
    try:
        steps = await calibrate(folder, asyncio.Event())
    except (RatecardError, OSError) as error:
        return Check(
            "client error", "failed", str(error), "the checks above may say why; else report it with this line"
        )
    if not steps[0].within_bounds:
        return Check("client error", "warning", in_words(steps), "let nothing else run on this machine while measuring")
    return Check("client error", "ok", in_words(steps))
