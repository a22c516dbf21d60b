"""Processor sharing in requests a second, beside a plain scan of the times in the same trace file.

One level of many requests, 64 in flight, landed and built the real way; the tables of the sweep are timed inside the
build, their assertions included. The scan has a process of its own, in turn with the builds; best of REPEATS.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.alone import Alone, alone
from benchmarks.homes import Landed, land
from benchmarks.tables import Section
from benchmarks.traces import Level
from schemas.catalog import Catalog
from schemas.catalog_files import load

REPEATS = 3
CONCURRENCY = 64
MEAN_CHUNKS = 3
"""Few, since the sweep sees a stream's first token and its end only."""
SWEEP = ("staging.sharing_times", "staging.level_idle", "curated.time_shares")


@dataclass(frozen=True)
class Row:
    """One home; `growth_of_time` and `growth_of_requests`: against the row above."""

    requests: int
    slos: int
    times_s: float
    shares_s: float
    krequests_per_s: float
    scan_s: float
    over_scan: float
    build_s: float
    build_peak_mib: float
    growth_of_requests: float | None = None
    growth_of_time: float | None = None


def run(quick: bool) -> list[Section]:
    """A quarter of the requests, then all."""
    most = 100_000 if quick else 1_000_000
    catalog = load(Path(__file__).parents[1] / "catalog")
    return [table([most // 4, most], catalog)]


def table(sizes: list[int], catalog: Catalog) -> Section:
    """One row a size, each compared with the one before."""
    rows: list[Row] = []
    for requests in sizes:
        rows.append(measure(requests, catalog, rows[-1] if rows else None))
    return Section(
        "sharing",
        f"processor sharing per request, beside a plain scan of the trace file's times (best of {REPEATS})",
        rows,
        ("times_s: sweep and idle time; shares_s: their sums by class for each SLO that has a chosen point",),
    )


def measure(requests: int, catalog: Catalog, before: Row | None) -> Row:
    """Make a home with one level, build it, and take the seconds of the sweep's tables."""
    level = Level(1, CONCURRENCY, requests * (MEAN_CHUNKS - 1), MEAN_CHUNKS)
    with tempfile.TemporaryDirectory() as folder:
        landed = land(Path(folder) / "home", [level], catalog)
        scans, builds = [], []
        for _ in range(REPEATS):
            landed.home.warehouse.unlink(missing_ok=True)
            scans.append(alone("scan_times", *landed.files))
            builds.append(alone("build", str(landed.home.root)))
        slos = check(landed)
    return _row(landed, slos, min(scans, key=lambda scan: scan.seconds), min(builds, key=_sweep_s), before)


def check(landed: Landed) -> int:
    """SLOs with shares. Raises RuntimeError where there are none, or requests are missing from them."""
    with duckdb.connect(str(landed.home.warehouse), read_only=True) as con:
        found = con.execute("select slo, judged_requests, input_share from curated.time_shares").fetchall()
    if not found or any(not 0.9 * landed.requests < judged <= landed.requests for _, judged, _ in found):
        raise RuntimeError(f"not the shares of {landed.requests} requests: {found}")
    return len(found)


def _sweep_s(build: Alone) -> float:
    return sum(float(build.found[table]) for table in SWEEP)


def _row(landed: Landed, slos: int, scan: Alone, build: Alone, before: Row | None) -> Row:
    spent, shares_s = _sweep_s(build), build.found["curated.time_shares"]
    return Row(
        requests=landed.requests,
        slos=slos,
        times_s=spent - shares_s,
        shares_s=shares_s,
        krequests_per_s=landed.requests / spent / 1e3,
        scan_s=scan.seconds,
        over_scan=spent / scan.seconds,
        build_s=build.seconds,
        build_peak_mib=build.peak_mib,
        growth_of_requests=landed.requests / before.requests if before else None,
        growth_of_time=spent / (before.times_s + before.shares_s) if before else None,
    )
