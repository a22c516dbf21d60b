"""Homes of many nights: one landed the real way, the others its copies, cheap enough to make a year of them.

What an incremental build must not read, the traces of old nights, is not there at all.
"""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.homes import ROWS_PER_GROUP, level_row, plan_of
from benchmarks.traces import Level, simulate
from schemas.arrow import write_options
from schemas.catalog import Catalog, Demand
from schemas.catalog_files import load
from schemas.columns import REQUEST_TRACES
from warehouse import runs
from warehouse.home import Home

ENDPOINTS, CONCURRENCIES, MEAN_CHUNKS = 20, (1, 2, 4, 8, 16, 32, 64, 128), 128
FIRST = datetime(2026, 1, 1, 2)


def catalog() -> Catalog:
    """Prices and SLOs of the starter catalog, and demands for the workload of the benchmark."""
    starter = load(Path(__file__).parents[1] / "catalog")
    demands = {
        f"demand-{index}": Demand(
            application="benchmark", workload="benchmark", slo=slo, peak_rps=100.0 * index, peak_to_average=3.0
        )
        for index, slo in enumerate(("interactive", "offline"), 1)
    }
    return Catalog(slos=starter.slos, demands=demands, prices=starter.prices)


def night_of(number: int) -> datetime:
    """The scheduled instant of a night, counted from 0."""
    return FIRST + timedelta(days=number)


class Night:
    """The traces of a night, simulated once and landed for as many nights as wanted."""

    def __init__(self, gaps: int) -> None:
        """`gaps` in all, over every endpoint and level."""
        per_level = gaps // (ENDPOINTS * len(CONCURRENCIES))
        self.levels = [Level(i, c, per_level, MEAN_CHUNKS) for i, c in enumerate(CONCURRENCIES, 1)]
        self.tables = {level.index: simulate(level) for level in self.levels}
        self.catalog = catalog()

    def land(self, home: Home, number: int) -> None:
        """One closed run an endpoint."""
        home.prepare()
        night = night_of(number)
        for endpoint in range(ENDPOINTS):
            identity = {
                "run_id": f"{night.date()}-{endpoint:02}",
                "endpoint": f"endpoint-{endpoint:02}",
                "model": f"model-{endpoint % 5}",
                "run_date": night.date().isoformat(),
            }
            plan = plan_of(self.levels) | identity | {"night": night.isoformat()}
            plan["endpoint_config"] |= {"accelerator": "h100", "gpus_per_server": 8}
            folder = runs.begin(home, plan, self.catalog)
            for level in self.levels:
                table = self.tables[level.index]
                for name, value in identity.items():
                    at, field = table.schema.get_field_index(name), table.schema.field(name)
                    scalar: Any = pa.scalar(date.fromisoformat(value) if name == "run_date" else value, field.type)
                    table = table.set_column(at, field, pa.repeat(scalar, table.num_rows))
                part = folder.path / f"a1-l{level.index:03d}-s000.parquet"
                pq.write_table(table, part, row_group_size=ROWS_PER_GROUP, **write_options(REQUEST_TRACES))
                folder.land_level(level_row(level))
            folder.close("complete", None)
