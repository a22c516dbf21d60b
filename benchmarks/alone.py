"""Work timed in a process of its own, so that its peak memory and CPU are its own too.

    python -m benchmarks.alone build HOME
    python -m benchmarks.alone points HOME
    python -m benchmarks.alone scan FILE...
    python -m benchmarks.alone scan_times FILE...
    python -m benchmarks.alone economics NIGHTS
    python -m benchmarks.alone report HOME

Run by `benchmarks.transforms`, `sharing`, `economics` and `report` through `alone`. Prints a JSON object:
seconds and CPU of the work alone, imports left out; peak memory of the process; and what the work found.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.made_up_points import rebuild
from reports.page import write_report
from transforms.memory import in_memory
from transforms.runner import build as transform
from warehouse import manifests, sources
from warehouse.build import build
from warehouse.home import Home
from warehouse.scratch import use_threads

# What a reader with nothing but DuckDB would write: the quantiles that an operating point has, for each level.
SCAN = """
select
    level_index,
    count(*) as gaps,
    avg(gap_us) as mean_us,
    quantile_cont(gap_us, [0.5, 0.75, 0.9, 0.95, 0.99, 0.999]) as quantiles_us,
from (select level_index, unnest(gaps_us) as gap_us from read_parquet(?, hive_partitioning = false))
group by level_index
order by level_index
"""

# The times that processor sharing needs of each request, read once.
SCAN_TIMES = """
select
    level_index,
    count(*) as requests,
    avg(first_token_ns - sent_ns) as ttft_ns,
    avg(closed_ns - sent_ns) as e2e_to_close_ns,
from read_parquet(?, hive_partitioning = false)
group by level_index
"""


@dataclass(frozen=True)
class Alone:
    """One piece of work: `found` is what it returned."""

    seconds: float
    cpu_s: float
    peak_mib: float
    found: Any


def alone(work: str, *arguments: str) -> Alone:
    """Do one of WORK in a new process. Raises RuntimeError if it failed."""
    command = [sys.executable, "-m", "benchmarks.alone", work, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} exited {done.returncode}: {done.stderr[-2000:]}")
    return Alone(**json.loads(done.stdout))


def _build(home: str) -> dict[str, float]:
    """Verify, transform and publish; seconds by table."""
    return build(Home(Path(home))).report.seconds


def _points(home: str) -> dict[str, float]:
    """Operating points alone, without hashes, prices and publishing; seconds by table."""
    at = Home(Path(home))
    closed = manifests.read_all(at)
    with in_memory() as con:
        use_threads(con, sources.landed_bytes(at, closed))
        sources.attach(con, at, closed, None)
        return transform(con, wanted=("curated.operating_points",)).seconds


def _report(home: str) -> str:
    """Write the HTML report."""
    return str(write_report(Home(Path(home))))


def _scan(*files: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        return con.execute(SCAN, [list(files)]).fetchall()


def _scan_times(*files: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        return con.execute(SCAN_TIMES, [list(files)]).fetchall()


WORK: dict[str, Callable[..., Any]] = {
    "build": _build,
    "points": _points,
    "scan": _scan,
    "scan_times": _scan_times,
    "economics": rebuild,
    "report": _report,
}


def _peak_mib() -> float:
    """Peak resident memory of this program: on Linux, getrusage would include the parent's before the exec."""
    try:
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(status["VmHWM"].split()[0]) / 1024
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def main(work: str, *arguments: str) -> None:
    """Do it and print what it took."""
    cpu_began, began = time.process_time(), time.perf_counter()
    found = WORK[work](*arguments)
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    print(json.dumps({"seconds": seconds, "cpu_s": cpu_s, "peak_mib": _peak_mib(), "found": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
