"""Nights of small runs under a catalog with an SLO and a demand, so that every step up to the ledger has rows."""

import shutil
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.catalog import Catalog
from schemas.catalog.demands import Demand
from schemas.catalog.slos import Bound, Slo
from schemas.prices import RentPlan, RentPrices
from tests.curated import Content, content
from tests.traces import LEVEL, MS, PLAN, row, write_part
from warehouse import runs
from warehouse.build import build
from warehouse.home import Home

FIRST = datetime(2026, 11, 20, 2)


def priced(usd_per_hour: float = 2.0, slo: str = "quick") -> Catalog:
    """A catalog with one of each."""
    periods = [RentPrices(valid_from=date(2026, 1, 1), usd_per_hour=usd_per_hour)]
    return Catalog(
        slos={slo: Slo(bounds=[Bound(metric="ttft", statistic="p50", max_ms=500)])},
        demands={"d": Demand(application="a", workload="w", slo=slo, peak_rps=10.0, peak_to_average=2.0)},
        prices={"cloud": RentPlan(kind="rent", rent_unit="server", accelerator="cpu", gpus_per_server=1, source="s", periods=periods)},
    )  # fmt: skip


def measure(
    home: Home,
    night: int = 0,
    *,
    endpoint: str = "e",
    attempt: int = 1,
    ttft_ms: int = 100,
    catalog: Catalog | None = None,
) -> Path:
    """A closed run of so many nights after FIRST, 30 requests of one level; returns its manifest."""
    at = FIRST + timedelta(days=night)
    identity = {"run_id": f"{at.date()}-{endpoint}", "attempt": attempt, "endpoint": endpoint, "run_date": at.date()}
    home.prepare()
    plan = PLAN | identity | {"night": at.isoformat(), "run_date": at.date().isoformat()}
    folder = runs.begin(home, plan, catalog or priced())
    write_part(folder, *(_request(index, ttft_ms) | identity for index in range(30)))
    folder.land_level(LEVEL)
    return folder.close("complete", None)


def _request(index: int, ttft_ms: int) -> dict[str, Any]:
    """One of a slot that sends the next as soon as the last is done: 62 ms from the first token on."""
    sent = index * (ttft_ms + 62) * MS
    first = sent + ttft_ms * MS
    times = {"scheduled_ns": sent, "sent_ns": sent, "headers_ns": first - MS, "first_chunk_ns": first}
    times |= {
        "first_token_ns": first,
        "first_answer_ns": first,
        "last_token_ns": first + 60 * MS,
        "closed_ns": first + 61 * MS,
    }
    return row(index, **times)


def rebuilt(home: Home, where: Path) -> Content:
    """What a build of all nights makes of the same `raw/`, in a home of its own."""
    other = Home(where)
    shutil.rmtree(where, ignore_errors=True)
    other.prepare()
    shutil.copytree(home.raw, other.raw, dirs_exist_ok=True)
    assert build(other).whole_because == "there was no warehouse"
    return content(other)
