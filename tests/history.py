"""A history made up night by night and landed as a night lands it: parts checked, manifests closed, catalogs kept.

Seeded. The speed of an endpoint on a night is its own noise, and what is planted: steps, drifts, single bad nights.
Requests of a closed loop take each the same time, so that a level's request rate is known beforehand.
"""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from schemas.catalog import Catalog
from schemas.catalog.demands import Demand
from schemas.catalog.slos import Bound, Slo
from schemas.prices import ApiPlan, ApiPrices, PricePlan, RentPlan, RentPrices
from tests.traces import LEVEL, MS, PLAN, row, write_part
from warehouse import runs
from warehouse.home import Home

START = date(2026, 1, 1)
_Value = TypeVar("_Value")
EACH_MS = 1000.0
"""Of a request at concurrency 1, before noise; each more in flight makes all of them a tenth slower."""


@dataclass(frozen=True)
class Planted:
    """What is planted in a history, by the number of the night (0 is the first)."""

    steps: Mapping[int, float] = field(default_factory=dict)
    """Times as slow from that night on: 1.05 is a regression of 5 %, 1 / 1.05 takes it back."""
    drift: tuple[int, float] | None = None
    """From which night on, and what share slower each night."""
    outliers: Mapping[int, float] = field(default_factory=dict)
    """Times as slow on that night alone."""
    gaps: frozenset[int] = frozenset()
    """Nights on which nothing was measured."""
    failed: frozenset[int] = frozenset()
    """Nights whose run failed without a level."""
    infeasible: frozenset[int] = frozenset()
    """Nights on which every level missed the SLO."""
    rent: Mapping[int, float] = field(default_factory=dict)
    """Rent of a GPU-hour from that night on."""
    peak_rps: Mapping[int, float] = field(default_factory=dict)
    """The demand's peak from that night on; its mean is half of it."""
    engine_version: Mapping[int, str] = field(default_factory=dict)
    """Engine from that night on."""
    loads: Mapping[int, str] = field(default_factory=dict)
    """Name of the load from that night on."""


@dataclass(frozen=True)
class History:
    """How long a history is, how noisy, and what is planted in it; every endpoint has the same planted, its own noise."""

    nights: int = 30
    endpoints: int = 1
    concurrencies: tuple[int, ...] = (1,)
    requests: int = 32
    """A level; 32 at concurrency 1 leave a window of 30, three in each of its ten slices."""
    noise: float = 0.02
    seed: int = 1
    planted: Planted = Planted()
    growth: float = 0.0
    start: date = START

    def at(self, night: int) -> datetime:
        """The scheduled instant of a night."""
        return datetime.combine(self.start, datetime.min.time()) + timedelta(days=night, hours=2)

    def slowness(self, endpoint: int, night: int) -> float:
        """Times EACH_MS that a request takes on a night."""
        planted = self.planted
        noise = random.Random(f"{self.seed}/{endpoint}/{night}").gauss(0, self.noise)
        factor = (1 + noise) * planted.outliers.get(night, 1.0)
        for since, step in planted.steps.items():
            factor *= step if night >= since else 1.0
        if planted.drift is not None:
            factor *= (1 + planted.drift[1]) ** max(0, night - planted.drift[0])
        return factor

    def catalog(self, night: int) -> Catalog:
        """SLO, demand and prices of a night: rent by the GPU, and an API to compare with."""
        rent, peak = _latest(self.planted.rent, night, 2.0), _latest(self.planted.peak_rps, night, 95.0)
        periods = [RentPrices(valid_from=date(2020, 1, 1), usd_per_hour=rent)]
        api = [ApiPrices(valid_from=date(2020, 1, 1), usd_per_mtok_input=1.0, usd_per_mtok_output=3.0)]
        prices: dict[str, PricePlan] = {
            "rent": RentPlan(kind="rent", rent_unit="gpu", source="made up", reference_plan="api", periods=periods),
            "api": ApiPlan(kind="api", source="made up", periods=api),
        }
        demand = Demand(
            application="a", workload="w", slo="slo", peak_rps=peak, mean_rps=peak / 2, growth=self.growth,
            as_of=self.start,
        )  # fmt: skip
        slo = Slo(bounds=[Bound(metric="e2e", statistic="mean", max_ms=5_000)])
        return Catalog(slos={"slo": slo}, demands={"demand": demand}, prices=prices)


def land(home: Home, history: History, nights: range | None = None) -> None:
    """Land the runs of a history, or of some of its nights."""
    home.prepare()
    for night in nights if nights is not None else range(history.nights):
        if night not in history.planted.gaps:
            catalog = history.catalog(night)
            for endpoint in range(history.endpoints):
                land_run(home, history, night, endpoint, catalog)


def land_run(home: Home, history: History, night: int, endpoint: int, catalog: Catalog) -> None:
    """Land the run of one endpoint on one night."""
    at, planted = history.at(night), history.planted
    levels = [{"level_index": index, "concurrency": c} for index, c in enumerate(history.concurrencies, start=1)]
    engine = _latest(planted.engine_version, night, "1.0")
    plan = json.loads(json.dumps(PLAN)) | {
        "run_id": f"e{endpoint}-{at:%Y%m%dT%H%M}", "endpoint": f"e{endpoint}", "night": at.isoformat(),
        "run_date": at.date().isoformat(), "load": _latest(planted.loads, night, "l"), "levels": levels,
        "config_hash": f"config of engine {engine}",
    }  # fmt: skip
    plan["endpoint_config"] |= {"engine": "vllm", "engine_version": engine, "accelerator": "h100", "gpus_per_server": 8}
    folder = runs.begin(home, plan, catalog)
    folder.update(started_at=at.isoformat())
    if night in planted.failed:
        folder.close("failed", "the endpoint did not answer")
        return
    for level in levels:
        slow = history.slowness(endpoint, night) * (100.0 if night in planted.infeasible else 1.0)
        requests = _closed_loop(level["concurrency"], history.requests, EACH_MS * slow)
        identity = {name: plan[name] for name in ("run_id", "attempt", "endpoint", "workload", "load", "config_hash")}
        identity |= {"run_date": at.date(), "level_index": level["level_index"], "epoch_wall_at": at}
        rows = [row(index, **identity, **request) for index, request in enumerate(requests)]
        write_part(folder, *rows, level=level["level_index"])
        folder.land_level(LEVEL | {"level_index": level["level_index"], "concurrency": level["concurrency"]})
    folder.close("complete", None)


def _closed_loop(concurrency: int, requests: int, each_ms: float) -> Iterator[dict[str, Any]]:
    """Slots that send one request after the other, their starts spread evenly; sharing a server costs a tenth each."""
    each = round(each_ms * (1 + 0.1 * (concurrency - 1)) * MS)
    first, gap = each // 10, each // 1000 // 10
    for turn in range(-(-requests // concurrency)):
        for slot in range(concurrency):
            sent = turn * each + slot * each // concurrency
            last = sent + first + 3 * gap * 1000
            yield {
                "concurrency": concurrency, "scheduled_ns": sent, "sent_ns": sent, "headers_ns": sent + first - MS,
                "first_chunk_ns": sent + first, "first_token_ns": sent + first, "first_answer_ns": sent + first,
                "last_token_ns": last, "closed_ns": sent + each, "gaps_us": [gap] * 3,
            }  # fmt: skip


def _latest(changes: Mapping[int, _Value], night: int, before: _Value) -> _Value:
    """What holds on a night, where changes are by the night that they begin on."""
    return max(((n, value) for n, value in changes.items() if n <= night), default=(0, before), key=lambda c: c[0])[1]
