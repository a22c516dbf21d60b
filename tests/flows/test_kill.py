"""`kill -9` at every step of a night: the next night goes on as if nothing had been, less what was in flight.

The nights are those of `tests.flows.mortal`: the flow's own code, the same rows every time. With RATECARD_EVERY_MOMENT=1
a night is killed at each of its moments, each in a home of its own (minutes); else one home lives through a night
killed at each step.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.catalogs import SUITE, AdHoc, write_adhoc
from schemas.columns import CURATED_TABLES
from tests.flows.conftest import ROOT
from tests.traces import STARTER
from warehouse import manifests
from warehouse.ask import ask
from warehouse.home import Home

pytestmark = pytest.mark.timeout(1800)
FIRST = datetime(2026, 11, 2, 2, tzinfo=UTC)

RUN = r"{date}_e_in64-out4_\w+-a1"
STEPS = {
    # what the night was about to do when it was killed: (pattern, levels that are kept whole)
    "write the plan": (rf"open incoming/{RUN}/\.plan", None),
    "keep the catalog and note the run": (rf"open incoming/{RUN}/\.run\.json", None),
    "send the probe": (rf"open incoming/{RUN}/a1-l000-s000\.json", 0),
    "send the second half of the probe": (rf"open incoming/{RUN}/a1-l000-s001\.json", 0),
    "note the probe": (rf"open incoming/{RUN}/\.level-000", 0),
    "complete a level's first part": (rf"os\.rename incoming/{RUN}/a1-l001-s000\.parquet\.tmp", 0),
    "begin a level's second part": (rf"open incoming/{RUN}/a1-l001-s000-p001", 0),
    "land a level": (rf"os\.rename incoming/{RUN}/a1-l001-s000-p001\.parquet -> a1", 0),
    "land a level's second part": (rf"os\.rename incoming/{RUN}/a1-l001-s000\.parquet -> a1", 0),
    "note a landed level": (rf"open incoming/{RUN}/\.level-001", 0),
    "finish noting a landed level": (rf"os\.rename incoming/{RUN}/\.level-001", 0),
    "begin the second level": (rf"open incoming/{RUN}/a1-l002-s000\.json", 1),
    "land the second level's second part": (rf"os\.rename incoming/{RUN}/a1-l002-s000\.parquet -> a1", 1),
    "write the manifest": (r"open raw/manifests/run_date={date}/", 2),
    "finish the manifest": (r"os\.rename raw/manifests/run_date={date}/", 2),
    "put the run's folder away": (rf"os\.rename incoming/{RUN} -> \.closed", 3),
    "empty the run's folder": (rf"os\.rmdir incoming/\.closed-{RUN}", 3),
    "make the first table": (r"sql create or replace table staging", 3),
    "make the ledger": (r"sql create or replace table curated\.cost_ledger", 3),
    "swap the warehouse in": (r"os\.rename \.warehouse\.duckdb\.new", 3),
    "clear up after the build": (r"os\.remove \.staging|shutil\.rmtree \.spill", 3),
    "swap the report in": (r"os\.rename \.report\.html", 3),
    "show the runs in Prefect": (r"artifact night", 3),
}  # fmt: skip
WHOLE = 3
"""Stands for a run whose manifest is complete; None for one that was never noted, and 2 for both of its levels."""


class Nights:
    """Asks `tests.flows.mortal` for nights."""

    def __init__(self, process: subprocess.Popen[str], catalog: Path) -> None:
        self.process, self.catalog = process, catalog

    def __call__(self, home: Home, night: datetime, **asked: Any) -> list[str]:
        """A night; returns its moments. One that is to die must die there, another must not."""
        assert self.process.stdin is not None and self.process.stdout is not None
        whole = {"home": str(home.root), "catalog": str(self.catalog), "suite": SUITE, "night": night.isoformat()} | asked
        self.process.stdin.write(json.dumps(whole) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        dies, stops = {"die_at", "die_before"} & asked.keys(), "stop_after" in asked
        assert answer["code"] == (-9 if dies else 1 if stops else 0), (asked, answer["moments"][-5:])
        moments: list[str] = answer["moments"]
        return moments


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    catalog = tmp_path_factory.mktemp("catalog")
    what = AdHoc(
        endpoint={"url": "http://e.invalid", "model": "m"},
        workload={"input_tokens": 64, "output_tokens": 4},
        load={"concurrency": [1, 2], "requests": 40, "warmup_requests": 0, "shards": 1},
        name="e",
    )
    write_adhoc(what, STARTER, catalog)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.flows.mortal"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    yield Nights(process, catalog)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


def as_never_killed(nights: Nights, home: Home, kept: dict[datetime, int | None]) -> None:
    """The nights of `kept` without a kill, each stopped on request after the levels that it may keep."""
    for night, levels in kept.items():
        last = {} if night == max(kept) else {"publish": False}
        if levels == WHOLE:
            nights(home, night, **last)
        elif levels is not None:
            nights(home, night, stop_after=levels, **last)


def tables(home: Home) -> dict[str, pl.DataFrame]:
    """What is published, less the levels that were in flight and what only tells when and why a run ended."""
    in_flight = "select operating_point_id from operating_points where not is_complete"
    found = {}
    for table in CURATED_TABLES:
        columns = [c.name for c in table.columns]
        where = f"where operating_point_id not in ({in_flight})" if "operating_point_id" in columns else ""
        told = [name for name in columns if name not in OF_THE_PROCESS]
        rows = ask(home, f"select {', '.join(told)} from {table.name} {where} order by all").rows
        found[table.name] = pl.DataFrame(rows, schema=told, orient="row", infer_schema_length=None)
    return found


OF_THE_PROCESS = {"started_at", "ended_at", "failure", "rows_landed", "rows_quarantined", "requests", "levels_measured"}
"""Columns of `runs` about the process rather than what it measured."""


def same(killed: Home, never: Home) -> None:
    expected = tables(never)
    for name, found in tables(killed).items():
        assert found.equals(expected[name]), f"{name}\n{found}\n{expected[name]}"


def sha(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def test_a_night_killed_at_each_step_costs_what_was_in_flight(nights: Nights, tmp_path: Path) -> None:
    killed, never = Home(tmp_path / "killed"), Home(tmp_path / "never")
    kept: dict[datetime, int | None] = {}
    for number, (pattern, levels) in enumerate(STEPS.values()):
        night = FIRST + timedelta(days=number)
        kept[night] = levels
        before = sha(killed.warehouse)
        moments = nights(killed, night, die_before=pattern.replace("{date}", f"{night:%Y-%m-%d}"))
        swapped = any(moment.startswith("os.rename .warehouse") for moment in moments[:-1])
        assert (sha(killed.warehouse) != before) == swapped, "a kill leaves the published file as it was, or whole"
    last = FIRST + timedelta(days=len(STEPS))
    kept[last] = WHOLE
    nights(killed, last)
    as_never_killed(nights, never, kept)
    same(killed, never)
    assert not list(killed.incoming.iterdir())
    assert sorted(path.name for path in killed.root.iterdir()) == sorted(path.name for path in never.root.iterdir())
