"""Raw traces to a published warehouse, in token gaps a second, beside one bare DuckDB query over the same files.

The bare query unnests every gap and takes the quantiles that an operating point has, once; the operating points alone
take windows and weights of gaps besides; the build also verifies the files' hashes, judges SLOs, prices and publishes.
All in processes of their own, in turn, best of REPEATS, the files in the page cache.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.alone import Alone, alone
from benchmarks.homes import Landed, land
from benchmarks.tables import Section
from benchmarks.traces import Level
from schemas.catalog import Catalog
from schemas.catalog_files import load
from warehouse.home import Home

REPEATS = 3
CONCURRENCIES = (1, 2, 4, 8, 16, 32, 64, 128)
MEAN_CHUNKS = 256
STEPS_SHOWN = 6


@dataclass(frozen=True)
class Row:
    """One home.

    `over_scan`: time of the build / time of the query, `cpu_over_scan` the same of CPU time, which a busy machine moves
    less; `mgaps_per_cpu_s`: millions a second of one core; `points_…`: the same of the operating points alone;
    `bytes_per_gap`: trace files / gaps.
    """

    chunks: str
    gaps: int
    requests: int
    points: int
    gaps_pooled: int
    build_s: float
    transforms_s: float
    mgaps_per_s: float
    mgaps_per_cpu_s: float
    scan_s: float
    over_scan: float
    cpu_over_scan: float
    points_mgaps_per_cpu_s: float
    points_cpu_over_scan: float
    build_peak_mib: float
    scan_peak_mib: float
    bytes_per_gap: float


@dataclass(frozen=True)
class Step:
    """One table of the transforms, its assertions included; `share` of the transforms' time."""

    chunks: str
    table: str
    seconds: float
    share: float


def run(quick: bool) -> list[Section]:
    """One token a chunk, and 1 to 4 tokens a chunk."""
    gaps = 4_000_000 if quick else 16_000_000
    catalog = load(Path(__file__).parents[1] / "catalog")
    kinds = [("1 token", gaps, False), ("1-4 tokens", gaps, True)]
    if not quick:
        kinds.append(("1 token", 100_000_000, False))
    measured = [measure(name, many, is_weighted, catalog) for name, many, is_weighted in kinds]
    return [
        Section(
            "transforms",
            f"raw -> published warehouse, beside one bare DuckDB query over the same files (best of {REPEATS})",
            [row for row, _ in measured],
        ),
        Section(
            "transforms_steps",
            "where the transforms spend their time",
            [step for _, steps in measured for step in steps],
        ),
    ]


def measure(name: str, gaps: int, is_weighted: bool, catalog: Catalog) -> tuple[Row, list[Step]]:
    """Make a home, build it, check the points against the bare query's own figures."""
    levels = [
        Level(index, concurrency, gaps // len(CONCURRENCIES), MEAN_CHUNKS, is_weighted)
        for index, concurrency in enumerate(CONCURRENCIES, 1)
    ]
    with tempfile.TemporaryDirectory() as folder:
        landed = land(Path(folder) / "home", levels, catalog)
        scans, points, builds = [], [], []
        for _ in range(REPEATS):
            scans.append(alone("scan", *landed.files))
            points.append(alone("points", str(landed.home.root)))
            landed.home.warehouse.unlink(missing_ok=True)
            builds.append(alone("build", str(landed.home.root)))
        pooled = check(landed, scans[0])
    return _row(name, landed, pooled, scans, points, builds), _steps(name, min(builds, key=_seconds))


def check(landed: Landed, scan: Alone) -> int:
    """Gaps inside the windows. Raises RuntimeError where points or gaps are missing, or their figures are off."""
    found = {level: (gaps, quantiles) for level, gaps, _, quantiles in scan.found}
    if sum(gaps for gaps, _ in found.values()) != landed.gaps:
        raise RuntimeError(f"the bare query found other gaps than the {landed.gaps} landed: {found}")
    points = _points(landed.home)
    if len(points) != landed.levels or sum(requests for _, requests, *_ in points) != landed.requests:
        raise RuntimeError(f"not the {landed.levels} points of {landed.requests} requests that landed: {points}")
    for level, _, validity, p50_ms, p99_ms in points:
        _, quantiles_us = found[level]
        # windows leave out ramp-up and stragglers, which have the same gaps
        for point_ms, bare_us in ((p50_ms, quantiles_us[0]), (p99_ms, quantiles_us[4])):
            if not 0.95 < point_ms * 1000 / bare_us < 1.05:
                raise RuntimeError(f"level {level}: {point_ms} ms, the bare query has {bare_us} us")
        if validity != "valid":
            raise RuntimeError(f"level {level} was simulated in steady state and is judged {validity}")
    pooled = _pooled_gaps(landed)
    if not 0.9 * landed.gaps < pooled <= landed.gaps:
        raise RuntimeError(f"only {pooled} of {landed.gaps} gaps are in the windows")
    return pooled


def _points(home: Home) -> Sequence[tuple[int, int, str, float, float]]:
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        return con.execute(
            "select level_index, requests, validity, chunk_gap_p50_ms, chunk_gap_p99_ms from curated.operating_points"
        ).fetchall()


def _pooled_gaps(landed: Landed) -> int:
    """Gaps of the requests sent inside their level's window: what the latencies of the points are made of."""
    with duckdb.connect(str(landed.home.warehouse), read_only=True) as con:
        found = con.execute(
            """
            select sum(len(traces.gaps_us))
            from read_parquet(?, hive_partitioning = false) as traces
            inner join curated.operating_points as points using (run_id, attempt, level_index)
            where traces.epoch_wall_at + to_microseconds(traces.sent_ns // 1000)
                between points.window_started_at and points.window_ended_at
            """,
            [landed.files],
        ).fetchone()
    return int(found[0]) if found else 0


def _seconds(work: Alone) -> float:
    return work.seconds


def _cpu(work: Alone) -> float:
    return work.cpu_s


def _row(name: str, landed: Landed, pooled: int, scans: list[Alone], points: list[Alone], builds: list[Alone]) -> Row:
    scan, build = min(scans, key=_seconds), min(builds, key=_seconds)
    scan_cpu_s, points_cpu_s = min(map(_cpu, scans)), min(map(_cpu, points))
    return Row(
        chunks=name,
        gaps=landed.gaps,
        requests=landed.requests,
        points=landed.levels,
        gaps_pooled=pooled,
        build_s=build.seconds,
        transforms_s=sum(build.found.values()),
        mgaps_per_s=landed.gaps / build.seconds / 1e6,
        mgaps_per_cpu_s=landed.gaps / build.cpu_s / 1e6,
        scan_s=scan.seconds,
        over_scan=build.seconds / scan.seconds,
        cpu_over_scan=build.cpu_s / scan_cpu_s,
        points_mgaps_per_cpu_s=landed.gaps / points_cpu_s / 1e6,
        points_cpu_over_scan=points_cpu_s / scan_cpu_s,
        build_peak_mib=max(work.peak_mib for work in builds),
        scan_peak_mib=max(work.peak_mib for work in scans),
        bytes_per_gap=landed.file_bytes / landed.gaps,
    )


def _steps(name: str, build: Alone) -> list[Step]:
    """The slowest tables, and the others together."""
    seconds: dict[str, float] = build.found
    total = sum(seconds.values())
    slowest = sorted(seconds, key=seconds.__getitem__, reverse=True)
    shown = {table: seconds[table] for table in slowest[:STEPS_SHOWN]}
    shown[f"{len(slowest) - STEPS_SHOWN} others"] = sum(seconds[table] for table in slowest[STEPS_SHOWN:])
    return [Step(name, table, spent, spent / total) for table, spent in shown.items()]
