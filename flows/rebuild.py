"""The flow `rebuild`: the warehouse and the report again, from `raw/` alone."""

from prefect import flow

from flows.publish import publish
from warehouse import recovery
from warehouse.home import resolve


@flow(name="rebuild", persist_result=False)
async def rebuild(home: str | None = None, catalog: str | None = None) -> str:
    """Close what a crash left open, rebuild all nights, publish, report; returns the home.

    `catalog` reprices history with that folder's SLOs, demands and prices.
    """
    at = resolve(home)
    at.prepare()
    for line in recovery.recover(at):
        print(line)
    await publish(at, [], catalog, recompute=True)
    return str(at.root)
