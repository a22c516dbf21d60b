"""The flow `retention`: old traces compacted, thinned and dropped by the rules of the catalog's retention.yaml."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from prefect import flow, task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE

from flows.catalogs import catalog_folder
from schemas.retention import Policy, load_policy
from warehouse import retain
from warehouse.home import Home, resolve


@task(name="retain", cache_policy=NO_CACHE, persist_result=False)
async def retain_old(home: Home, policy: Policy) -> list[retain.Outcome]:
    """Apply the policy as of today, or of the last run."""

    def applied() -> list[retain.Outcome]:
        day = retain.as_of_today(home, policy, datetime.now(UTC).date(), print)
        return retain.apply(home, policy, day, print)

    return await asyncio.to_thread(applied)


@flow(name="retention", persist_result=False)
async def retention(home: str | None = None, catalog: str | None = None) -> list[dict[str, Any]]:
    """Apply the policy of `catalog` to `home`; returns what was done, one row a run and table, also as an artifact.

    Raises:
        CatalogError: the policy has a mistake.
        RatecardError: something could not be done; the rest is done, and nothing is lost.

    """
    at = resolve(home)
    outcomes = await retain_old(at, load_policy(catalog_folder(catalog)))
    rows = [outcome.as_row() for outcome in outcomes]
    if rows:
        table = [{name: str(value) for name, value in row.items()} for row in rows]
        await acreate_table_artifact(key="retention", table=table, description=f"Old traces of {at.root}")
    retain.raise_problems(outcomes)
    return rows
