"""Who is told of a change: a Prefect event for each, once, and an artifact of all that stand (docs/trends.md).

What was told is noted in the home, one file a change, so that a night that is run or built twice tells it once. The
event's id follows from the change, too: a server that has it takes it for the same.
"""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from prefect import task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from flows import assets
from reports.moved import Change, standing
from schemas.digest import digest
from warehouse.files import write_bytes
from warehouse.home import Home

REGRESSION = "ratecard.regression.found"
"""Costs got worse."""
IMPROVEMENT = "ratecard.improvement.found"
"""Costs got better."""
_PAYLOAD = (
    "regression_id", "cause", "direction", "step_night", "first_night", "night", "confidence", "change_sigmas", "noise_share",
    "performance_change_share", "suspects",
)  # fmt: skip
_OF_A_SERIES = (
    "series_id", "demand", "price_plan", "cost_basis", "currency", "measure", "value_usd", "reference_usd", "change_usd",
    "change_share", "performance_effect_usd", "price_effect_usd", "scope_effect_usd",
)  # fmt: skip


@task(name="alerts", cache_policy=NO_CACHE, persist_result=False)
async def tell_changes(root: str) -> list[str]:
    """Tell of the changes in the home at `root` that stand and were not told yet; returns their lines."""
    home = Home(Path(root))
    changes = await asyncio.to_thread(standing, home)
    new = [change for change in changes if not _note(home, change).exists()]
    for change in new:
        _emit(home, change)
        note = {"change": change.key, "told_at": datetime.now(UTC).isoformat(timespec="seconds")}
        write_bytes(_note(home, change), json.dumps(note | {"line": change.sentence()}, indent=1).encode())
    await acreate_markdown_artifact(key="regressions", markdown=markdown(changes), description="What moved the costs")
    return [change.sentence() for change in new]


def _note(home: Home, change: Change) -> Path:
    """The file that says that a change was told."""
    return home.told / f"{digest({'change': change.key})[:32]}.json"


def _emit(home: Home, change: Change) -> None:
    row = change.main
    emit_event(
        event=REGRESSION if row["direction"] == "worse" else IMPROVEMENT,
        resource={
            "prefect.resource.id": f"ratecard.cost.{row['endpoint']}.{row['workload']}.{row['slo']}",
            "prefect.resource.name": f"{row['endpoint']} x {row['workload']}, SLO {row['slo']}",
            "ratecard.endpoint": row["endpoint"],
            "ratecard.workload": row["workload"],
            "ratecard.slo": row["slo"],
            "ratecard.cause": row["cause"],
        },
        related=[
            {"prefect.resource.id": f"ratecard.home.{assets.home_id(home)}", "prefect.resource.role": "ratecard-home"}
        ],
        payload=payload(change),
        id=uuid5(NAMESPACE_URL, f"ratecard:{assets.home_id(home)}:{change.key}"),
    )


def payload(change: Change) -> dict[str, Any]:
    """What an event says of a change: the line, the change, and its series, the one that moved most first."""
    row = change.main
    return {
        "summary": change.sentence(),
        **{name: _plain(row[name]) for name in _PAYLOAD},
        "series": [{name: _plain(series[name]) for name in _OF_A_SERIES} for series in change.rows],
    }


def _plain(value: Any) -> Any:
    """For JSON: times as ISO 8601, UTC."""
    return value.replace(tzinfo=UTC).isoformat() if isinstance(value, datetime) else value


def markdown(changes: list[Change]) -> str:
    """All changes that stand, for the artifact."""
    if not changes:
        return "Nothing has moved beyond its own noise."
    return "\n".join(f"- {change.sentence()}" for change in changes)
