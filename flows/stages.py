"""The stages after the measuring as flows of their own, chained by events: `build/build` and `report/report`.

With a standing server a night only measures and says so; its deployment `build` runs on that word, and `report` on the
word that `build` published. So a night that waits for its endpoint delays no report, a stage that failed is tried again
by itself, and nights that end together are built one after the other. An event that is lost loses nothing: each build
takes in all that has landed.
"""

from prefect import flow
from prefect.events import emit_event

from flows import assets
from flows.publish import build_stage, report_stage
from warehouse import recovery
from warehouse.home import Home, resolve

MEASURED = "ratecard.night.measured"
"""A night has landed all that it will."""
PUBLISHED = "ratecard.warehouse.published"
"""A new warehouse is in place."""


def tell(event: str, home: Home, run_ids: list[str]) -> None:
    """Emit `event` of `home`; its payload are the parameters of the stage that it starts."""
    resource = {"prefect.resource.id": f"ratecard.home.{assets.home_id(home)}", "prefect.resource.name": str(home.root)}
    emit_event(event=event, resource=resource, payload={"home": str(home.root), "run_ids": run_ids})


@flow(name="build", persist_result=False)
async def build(home: str | None = None, run_ids: list[str] | None = None) -> str:
    """Close what a crash left open, build and publish what has landed; returns the home. `run_ids` are handed on."""
    at = resolve(home)
    at.prepare()
    for line in recovery.recover(at):
        print(line)
    await build_stage(at)
    tell(PUBLISHED, at, run_ids or [])
    return str(at.root)


@flow(name="report", persist_result=False)
async def report(home: str | None = None, run_ids: list[str] | None = None) -> str:
    """Write the report of what is published, and show the rate card of `run_ids`; returns the home."""
    at = resolve(home)
    await report_stage(at, run_ids or [])
    return str(at.root)
