"""The machine that a figure was measured on."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars


@dataclass(frozen=True)
class Machine:
    """What to print beside any figure. `load_average` is that of the last minute, when the benchmark began."""

    cpu: str
    cores: int
    system: str
    python: str
    duckdb: str
    polars: str
    load_average: float

    def line(self) -> str:
        """All of it in one line."""
        return (
            f"{self.cpu}, {self.cores} cores, {self.system}; Python {self.python}, DuckDB {self.duckdb}, "
            f"polars {self.polars}; load average {self.load_average:.2f} at the start"
        )


def describe() -> Machine:
    """This machine, now."""
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        duckdb=duckdb.__version__,
        polars=polars.__version__,
        load_average=os.getloadavg()[0],
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
