"""Runs measured in this process, without Prefect: its tasks' functions are called as they are."""

import asyncio
import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from flows import levels
from flows.measure import RunOutcome, measure
from flows.progress import Progress
from loadgen.plan import LevelPlan, RunPlan, plan_run
from schemas.catalog import Catalog
from schemas.catalog.endpoints import Endpoint
from schemas.catalog.loads import Load
from schemas.catalog.slos import Slo
from schemas.catalog.workloads import Workload
from warehouse.home import Home
from warehouse.runs import RunFolder

NIGHT = datetime(2026, 11, 20, 2, tzinfo=UTC)
QUICK = Workload(input_tokens=20, output_tokens=5)


class Night:
    """Measures runs of one home against `url`, and keeps what was said."""

    def __init__(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        home.prepare()
        self.home = home
        self.stop = asyncio.Event()
        self.console = Console(file=io.StringIO(), width=200)

        async def measured(run: RunFolder, level: LevelPlan) -> dict[str, Any]:
            return await levels.run_level.fn(str(run.path), level.level_index)

        monkeypatch.setattr("flows.measure.probe", levels.probe.fn)
        monkeypatch.setattr("flows.measure.measured", measured)
        monkeypatch.setattr("flows.search.measured", measured)

    @property
    def said(self) -> str:
        assert isinstance(self.console.file, io.StringIO)
        return self.console.file.getvalue()

    async def measure(
        self, url: str, load: Load, *, workload: Workload = QUICK, slos: Mapping[str, Slo] | None = None,
        calibration: Mapping[str, Any] | None = None, again: bool = False, seed: int = 1, **endpoint: Any,
    ) -> RunOutcome:  # fmt: skip
        plan, catalog = planned(url, load, workload, slos or {}, seed=seed, **endpoint)
        return await measure(
            self.home, plan, catalog, stop=self.stop, progress=Progress(self.console), wait_s=0,
            calibration=calibration or {}, again=again,
        )  # fmt: skip


def planned(
    url: str, load: Load, workload: Workload, slos: Mapping[str, Slo], *, seed: int = 1, **endpoint: Any
) -> tuple[RunPlan, Catalog]:
    """The plan of endpoint e, workload w, load l, and the catalog that has them."""
    served = Endpoint(url=url, **({"model": "reference", "timeout_s": 20.0} | endpoint))
    catalog = Catalog(endpoints={"e": served}, workloads={"w": workload}, loads={"l": load}, slos=dict(slos))
    plan = plan_run(suite="s", names=("e", "w", "l"), endpoint=served, workload=workload, load=load, night=NIGHT)
    return replace(plan, seed=seed), catalog
