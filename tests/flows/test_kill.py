"""`kill -9` at every step of a night: the next night goes on as if nothing had been, less what was in flight.

The nights are those of `tests.flows.mortal`: the flow's own code, the same rows every time. With RATECARD_EVERY_MOMENT=1
a night is killed at each of its moments, each in a home of its own (minutes); else one home lives through a night
killed at each step.
"""

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from schemas.columns import CURATED_TABLES
from tests.flows.nights import REQUESTS, RUN, Nights, nights_of
from warehouse import manifests
from warehouse.ask import ask, connect
from warehouse.home import Home

pytestmark = pytest.mark.timeout(1800)
FIRST = datetime(2026, 11, 2, 2, tzinfo=UTC)

STEPS = {
    # what the night was about to do when it was killed: (pattern, levels of which every request is kept)
    "write the plan": (rf"open incoming/{RUN}-a1/\.plan", None),
    "keep the catalog and note the run": (rf"open incoming/{RUN}-a1/\.run\.json", None),
    "send the probe": (rf"open incoming/{RUN}-a1/a1-l000-s000\.json", 0),
    "send the second half of the probe": (rf"open incoming/{RUN}-a1/a1-l000-s001\.json", 0),
    "note the probe": (rf"open incoming/{RUN}-a1/\.level-000", 0),
    "complete a level's first part": (rf"os\.rename incoming/{RUN}-a1/a1-l001-s000\.parquet\.tmp", 0),
    "begin a level's second part": (rf"open incoming/{RUN}-a1/a1-l001-s000-p001", 0),
    "land a level": (rf"os\.rename incoming/{RUN}-a1/a1-l001-s000-p001\.parquet -> a1", 1),
    "land a level's second part": (rf"os\.rename incoming/{RUN}-a1/a1-l001-s000\.parquet -> a1", 1),
    "note a landed level": (rf"open incoming/{RUN}-a1/\.level-001", 1),
    "finish noting a landed level": (rf"os\.rename incoming/{RUN}-a1/\.level-001", 1),
    "begin the second level": (rf"open incoming/{RUN}-a1/a1-l002-s000\.json", 1),
    "land the second level's second part": (rf"os\.rename incoming/{RUN}-a1/a1-l002-s000\.parquet -> a1", 2),
    "write the manifest": (r"open raw/manifests/run_date={date}/", 2),
    "finish the manifest": (r"os\.rename raw/manifests/run_date={date}/", 2),
    "put the run's folder away": (rf"os\.rename incoming/{RUN}-a1 -> \.closed", 3),
    "empty the run's folder": (rf"os\.rmdir incoming/\.closed-{RUN}-a1", 3),
    "make the first table": (r"sql create or replace table staging", 3),
    "make the ledger": (r"sql create or replace table curated\.cost_ledger", 3),
    "swap the warehouse in": (r"os\.rename \.warehouse\.duckdb\.new", 3),
    "clear up after the build": (r"os\.remove \.staging|shutil\.rmtree \.spill", 3),
    "swap the report in": (r"os\.rename \.report\.html", 3),
    "show the runs in Prefect": (r"artifact night", 3),
}  # fmt: skip
WHOLE = 3
"""Stands for a run whose manifest is complete; None for one that was never noted, and 2 for both of its levels."""


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    with nights_of(tmp_path_factory.mktemp("catalog")) as process:
        yield process


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
    cut_short = ["''", *(f"'{point}'" for point in levels_cut(home))]
    found = {}
    with connect(home) as con:
        for table in CURATED_TABLES:
            columns = [c.name for c in table.columns]
            where = (
                f"where operating_point_id not in ({', '.join(cut_short)})" if "operating_point_id" in columns else ""
            )
            told = [name for name in columns if name not in OF_THE_PROCESS]
            rows = con.execute(f"select {', '.join(told)} from {table.name} {where} order by all").fetchall()
            found[table.name] = pl.DataFrame(rows, schema=told, orient="row", infer_schema_length=None)
    return found


def levels_cut(home: Home) -> list[str]:
    """Operating points of levels that were in flight."""
    return [
        f"{manifest.run['run_id']}-a{manifest.run['attempt']}-l{level['level_index']}"
        for manifest in manifests.read_all(home)
        for level in manifest.levels
        if level["rows_landed"] < REQUESTS
    ]


OF_THE_PROCESS = {
    "started_at", "ended_at", "failure", "rows_landed", "rows_quarantined", "requests", "requests_ok",
    "levels_measured", "chars_per_token", "prompt_overhead_tokens",
}  # fmt: skip
"""Columns of `runs` that count what was in flight, too, or that a kill may come before."""


OF_OTHER_LEVELS = {"is_saturation", "is_knee", "points"}
"""Columns of a point, or of its choice, that look at all levels of its run: one that was cut short is among them."""


def same(killed: Home, never: Home) -> None:
    expected, was_cut = tables(never), any(levels_cut(killed))
    for name, found in tables(killed).items():
        if was_cut:
            found, expected[name] = (rows.drop(OF_OTHER_LEVELS, strict=False) for rows in (found, expected[name]))
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
    # what no lock can be asked for goes when it is an hour old: a folder without a plan, half a report
    assert [path.name[:10] for path in killed.incoming.iterdir()] == [f"{FIRST:%Y-%m-%d}"]
    assert [path.name[: len(".report")] for path in killed.root.rglob("*.tmp")] == [".report"]


def test_the_same_night_again_after_a_kill_stands_for_it(nights: Nights, tmp_path: Path) -> None:
    home, never = Home(tmp_path / "killed"), Home(tmp_path / "never")
    nights(home, FIRST, die_before=STEPS["begin the second level"][0].replace("{date}", f"{FIRST:%Y-%m-%d}"))
    nights(home, FIRST)
    assert [(m.run["attempt"], m.run["status"]) for m in manifests.read_all(home)] == [
        (1, "interrupted"),
        (2, "complete"),
    ]
    nights(never, FIRST)
    points = "select level_index, output_tps, ttft_p50_ms, validity from operating_points where is_current order by all"
    assert ask(home, points).rows == ask(never, points).rows
    money = "select * exclude (operating_point_id) from cost_per_million_tokens order by all"
    assert ask(home, money).rows == ask(never, money).rows


@pytest.mark.skipif(not os.environ.get("RATECARD_EVERY_MOMENT"), reason="minutes: set RATECARD_EVERY_MOMENT=1")
def test_a_night_killed_at_any_moment_costs_what_was_in_flight(nights: Nights, tmp_path: Path) -> None:
    next_night = FIRST + timedelta(days=1)
    moments = len(nights(Home(tmp_path / "counted"), FIRST))
    never: dict[int | None, Home] = {}
    for moment in range(moments):
        killed = Home(tmp_path / "killed" / str(moment))
        nights(killed, FIRST, die_at=moment)
        nights(killed, next_night)
        kept = levels_kept(killed)
        if kept not in never:
            never[kept] = Home(tmp_path / "never" / str(kept))
            as_never_killed(nights, never[kept], {FIRST: kept, next_night: WHOLE})
        same(killed, never[kept])


def levels_kept(home: Home) -> int | None:
    """What the manifest of the first night says that it kept, as in STEPS."""
    [first, *second] = manifests.read_all(home)
    if not second:
        return None
    levels = sum(level["rows_landed"] == REQUESTS for level in first.levels)
    return WHOLE if first.run["status"] == "complete" else levels
