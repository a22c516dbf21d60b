"""Build, publish, report: the last tasks of a night, and the whole of `rebuild`."""

import asyncio
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.catalogs import catalog_folder
from reports.page import write_report
from schemas.catalog_files import load
from warehouse.build import build
from warehouse.home import Home


@task(name="build", cache_policy=NO_CACHE, persist_result=False)
async def build_warehouse(home: str, catalog: str | None = None, recompute: bool = False) -> str:
    """Swap in a `warehouse.duckdb` with the nights that changed; returns its path.

    `recompute` makes all nights; so does `catalog`, which reprices all of history with that folder's.
    """
    override = load(catalog_folder(catalog)) if catalog else None
    built = await asyncio.to_thread(build, Home(Path(home)), override, recompute=recompute)
    return str(built.path)


@task(name="report", cache_policy=NO_CACHE, persist_result=False)
async def report(home: str) -> str:
    """Write the HTML report; returns its path."""
    return str(await asyncio.to_thread(write_report, Home(Path(home))))


async def publish(home: str, catalog: str | None = None) -> None:
    """Build, then report on what was built."""
    await build_warehouse(home, catalog)
    await report(home)
