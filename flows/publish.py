"""Build, publish, report: the tasks that come after the measuring, in one flow or as a chain of three.

A night by hand and `rebuild` call `publish`. On a standing server the deployments `build` and `report` run the same
tasks, each on the event of the stage before it (`flows/stages.py`).
"""

import asyncio
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import acreate_link_artifact, acreate_table_artifact
from prefect.assets import materialize
from prefect.cache_policies import NO_CACHE

from flows import assets
from flows.alerts import tell_changes
from flows.catalogs import catalog_folder
from reports.artifacts import key_tables
from schemas.catalog_files import load
from warehouse.build import build
from warehouse.home import Home


@materialize(assets.OF_THE_CALL, name="build", cache_policy=NO_CACHE, persist_result=False)
async def build_warehouse(home: str, catalog: str | None = None, recompute: bool = False) -> str:
    """Swap in a `warehouse.duckdb` with the nights that changed; returns its path.

    `recompute` makes all nights; so does `catalog`, which reprices all of history with that folder's.
    """
    at = Home(Path(home))
    override = load(catalog_folder(catalog)) if catalog else None
    built = await asyncio.to_thread(build, at, override, recompute=recompute)
    assets.count_rows(at, built.rows)
    return str(built.path)


@materialize(assets.OF_THE_CALL, name="report", cache_policy=NO_CACHE, persist_result=False)
async def report(home: str) -> str:
    """Write the HTML report; returns its path."""
    from reports.page import write_report  # with Altair, which no other step of a night needs

    return str(await asyncio.to_thread(write_report, Home(Path(home))))


@task(name="artifacts", cache_policy=NO_CACHE, persist_result=False)
async def show(home: str, run_ids: list[str]) -> None:
    """A link to the report and its key tables of these runs, if any, in Prefect's UI."""
    at = Home(Path(home))
    if run_ids:
        for table in key_tables(at, run_ids):
            rows = [{key: "" if value is None else str(value) for key, value in row.items()} for row in table.rows]
            await acreate_table_artifact(key=table.key, table=rows, description=table.description)
    await acreate_link_artifact(key="report", link=at.report.as_uri(), link_text=f"Report: {at.report}")


async def build_stage(home: Home, catalog: str | None = None, *, recompute: bool = False) -> None:
    """Build and publish the tables, and tell of what moved; not in a what-if, whose changes are not the nights'."""
    at: Any = build_warehouse.with_options(assets=[assets.warehouse(home), *assets.tables(home).values()])
    await at(str(home.root), catalog, recompute)
    if catalog is None:
        await tell_changes(str(home.root))


async def report_stage(home: Home, run_ids: list[str]) -> None:
    """Write the report of what is published, and show it."""
    at: Any = report.with_options(assets=[assets.report(home)], asset_deps=[assets.warehouse(home)])
    await at(str(home.root))
    await show(str(home.root), run_ids)


async def publish(home: Home, run_ids: list[str], catalog: str | None = None, *, recompute: bool = False) -> None:
    """Both stages at once."""
    await build_stage(home, catalog, recompute=recompute)
    await report_stage(home, run_ids)
