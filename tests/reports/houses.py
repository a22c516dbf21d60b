"""Homes with a small published warehouse, built by the real transforms from chosen raw rows."""

import math
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from schemas.catalog import Catalog
from tests.transforms.factory import DEMAND, NIGHT, OWN_PLAN, Given
from warehouse import manifests, sources
from warehouse.home import Home

CATALOG = Catalog.model_validate(
    {
        "slos": {
            "interactive": {"attainment_share": 0.9, "bounds": [
                {"metric": "ttft", "max_ms": 500}, {"metric": "tpot", "max_ms": 40}]},
            "strict": {"bounds": [{"metric": "ttft", "statistic": "p50", "max_ms": 60}]},
            "offline": {},
        },
        "demands": {
            "assistant": {"application": "assistant", "workload": "chat", "slo": "interactive", "peak_rps": 95,
                          "headroom": 0.1, "spares": 1},
            "search": {"application": "search", "workload": "chat", "slo": "strict", "peak_rps": 10},
            "summaries": {"application": "nightly summaries", "workload": "chat", "slo": "offline", "peak_rps": 40},
        },
        "prices": {
            "api": {"kind": "api", "source": "list", "periods": [
                {"valid_from": date(2025, 1, 1), "usd_per_mtok_input": 1, "usd_per_mtok_output": 3}]},
            "own-8gpu": {"kind": "own", "reference_plan": "api", "source": "NVIDIA TCO post, 2025", "periods": [
                {"valid_from": date(2025, 1, 1), "server_price": 320000, "depreciation_years": 4, "hosting_year": 3000,
                 "software_year": 4500}]},
            "rent-gpu": {"kind": "rent", "rent_unit": "gpu", "source": "a price list", "periods": [
                {"valid_from": date(2025, 1, 1), "usd_per_hour": 1.6}]},
        },
    }
)  # fmt: skip
"""An SLO by attainment that is met, one by statistic that is not, one without bounds."""


def level(given: Given, index: int, concurrency: int, *, run: str, slower: float = 1.0, **changes: Any) -> None:
    """A closed loop whose TTFT grows with the load and varies by request; 8 requests at once are as fast as it gets."""
    queueing = max(1.0, concurrency / 8)
    tpot = 10 * slower * (1 + concurrency / 16)
    for slot in range(concurrency):
        sent = 7.0 * slot
        for turn in range(max(20, 160 // concurrency)):
            ttft = 50 * slower * queueing**2 * (1 + concurrency / 16) * (1 + 0.4 * math.sin(slot * 7 + turn * 3))
            gaps = (round(tpot, 3),) * 9
            where: dict[str, Any] = {"run": run, "level_index": index, "concurrency": concurrency}
            given.request(sent, ttft_ms=ttft, gaps_ms=gaps, **where, **changes)
            sent += ttft + sum(gaps)


def ladder(
    given: Given,
    run: str,
    night: datetime = NIGHT,
    *,
    concurrencies: tuple[int, ...] = (1, 2, 4, 8, 16, 32),
    slower: float = 1.0,
    level_changes: dict[int, dict[str, Any]] | None = None,
    **changes: Any,
) -> None:
    """A run of load levels; `level_changes` by concurrency."""
    levels = {"levels_planned": len(concurrencies), "levels_measured": len(concurrencies)}
    given.run(run_id=run, night=night, run_date=night.date(), started_at=night, **levels, **changes)
    for index, concurrency in enumerate(concurrencies, 1):
        level(given, index, concurrency, run=run, slower=slower, **(level_changes or {}).get(concurrency, {}))


def publish(home: Home, fill: Any) -> Home:
    """Build the warehouse of `home` from the rows that `fill(given)` adds."""
    home.prepare()
    with TemporaryDirectory() as folder, duckdb.connect(str(home.warehouse)) as con:
        con.execute("attach ':memory:' as raw; attach ':memory:' as staging")
        given = Given(con, Path(folder))
        fill(given)
        given.build()
    return home


def measured_home(root: Path) -> Home:
    """Two nights of one endpoint with the catalog above; its level of concurrency 2 hit a cache."""
    home = Home(root)
    catalog_hash = manifests.write_catalog(home, CATALOG)

    def fill(given: Given) -> None:
        known: dict[str, Any] = {
            "endpoint": "llama-8b-h200", "workload": "chat", "catalog_hash": catalog_hash, "model": "llama-3.1-8b",
            "engine": "vllm", "engine_version": "0.12.0", "accelerator": "h200",
        }  # fmt: skip
        ladder(given, "monday", NIGHT - timedelta(days=1), slower=1.15, concurrencies=(1, 4, 8), **known)
        ladder(given, "tuesday", **known, level_changes={2: {"cached_input_tokens": 50}})
        given.rows["slos"] += sources.slo_rows(catalog_hash, CATALOG)
        given.rows["slo_bounds"] += sources.bound_rows(catalog_hash, CATALOG)
        given.rows["demands"] += sources.demand_rows(catalog_hash, CATALOG)
        given.rows["price_plans"] += sources.price_rows(catalog_hash, CATALOG)

    return publish(home, fill)


HOSTILE = """</script><script>alert('x')</script> "q" 'q' & <b>bold</b> 🚀 {{ 7 * 7 }}"""


def hostile_home(root: Path) -> Home:
    """Every name that a catalog or a server could give is markup; there is no catalog snapshot to read either."""

    def fill(given: Given) -> None:
        ladder(given, HOSTILE, endpoint=HOSTILE, workload=HOSTILE, model=HOSTILE, engine=HOSTILE, concurrencies=(1, 4))
        given.slo(("ttft", "p50", 500.0), slo=HOSTILE)
        given.rows["demands"].append(DEMAND | {"demand": HOSTILE, "workload": HOSTILE, "slo": HOSTILE})
        given.rows["price_plans"].append(OWN_PLAN | {"price_plan": HOSTILE, "source": HOSTILE, "currency": "CHF"})

    return publish(Home(root), fill)


def one_point_home(root: Path) -> Home:
    """One level of three requests, no token counts, half of them failed: few latencies are known and no price."""

    def fill(given: Given) -> None:
        given.run()
        for index in range(3):
            outcome = {"outcome": "timeout"} if index == 1 else {"input_tokens": None, "output_tokens": None}
            given.request(1000.0 * index, **outcome)
        given.slo(("ttft", "p50", 500.0)).slo(("tpot", None, 50.0), slo="share", attainment_share=0.9)
        given.demand().plan()

    return publish(Home(root), fill)


def bare_home(root: Path) -> Home:
    """A good run on a CPU, but the server counts no tokens and no SLO applies."""

    def fill(given: Given) -> None:
        uncounted = {"input_tokens": None, "output_tokens": None}
        changes = dict.fromkeys((1, 4, 8), uncounted)
        ladder(given, "run", accelerator="cpu", concurrencies=(1, 4, 8), level_changes=changes)

    return publish(Home(root), fill)


def uncounted_home(root: Path) -> Home:
    """A good run with a demand and a price, but the server counts no tokens, and another SLO needs them."""

    def fill(given: Given) -> None:
        uncounted = {"input_tokens": None, "output_tokens": None}
        changes = dict.fromkeys((1, 4, 8), uncounted)
        ladder(given, "run", concurrencies=(1, 4, 8), level_changes=changes)
        given.slo(("ttft", "p50", 500.0)).slo(("tpot", "p50", 40.0), slo="steady")
        given.demand().demand(demand="frugal", max_instances=2).plan()

    return publish(Home(root), fill)


CALIBRATION = {
    "calibration_streams": 64, "calibration_ttft_error_p50_ms": 0.04, "calibration_ttft_error_p99_ms": -0.126,
    "calibration_itl_error_p50_ms": -0.001, "calibration_itl_error_p99_ms": 0.05, "calibration_tokens_per_s": 12_345.0,
}  # fmt: skip


def offered(given: Given, index: int, rate: float, *, run: str, late_ms: float = 0.0) -> None:
    """An open loop of 100 requests at constant intervals, each sent `late_ms` after its time."""
    for number in range(100):
        at = 1000.0 * number / rate
        ttft = 50 * (1 + rate / 10) * (1 + 0.4 * math.sin(number))
        where: dict[str, Any] = {"level_index": index, "load_kind": "open", "concurrency": None, "request_rate": rate}
        where |= {"scheduled_ns": round(at * 1e6)}
        given.request(at + late_ms, ttft_ms=ttft, gaps_ms=(10.0,) * 9, run=run, **where)


def rates_home(root: Path, *, also_closed: bool = False) -> Home:
    """A calibrated run at 2, 4.5 and 10 requests/s, the last sent late; beside it perhaps a sweep that was not.

    At 4.5/s (level 2) client and server said how they fared.
    """

    def fill(given: Given) -> None:
        rates = (2.0, 4.5, 10.0)
        given.run(run_id="rates", load="rates", levels_planned=3, levels_measured=3, **CALIBRATION)
        for index, rate in enumerate(rates, 1):
            offered(given, index, rate, run="rates", late_ms=8.0 if rate == 10.0 else 0.0)
        given.level(
            run_id="rates", level_index=2, load_kind="open", concurrency=None, request_rate=4.5, client_cpu_share=0.25,
            loop_lag_p99_ms=1.5,
        )  # fmt: skip
        for second in (5, 6):
            busy = {"requests_running": 3.0, "requests_waiting": second, "kv_cache_usage": 0.375}
            given.scrape(second, run_id="rates", level_index=2, **busy)
        if also_closed:
            ladder(given, "sweep", load="sweep", concurrencies=(1, 4))
        given.slo(("ttft", "p50", 500.0)).demand().plan()

    return publish(Home(root), fill)


def unmeasured_home(root: Path) -> Home:
    """A run that landed nothing."""
    failed = {"status": "failed", "failure": "connection refused", "levels_measured": 0}
    return publish(Home(root), lambda given: given.run(**failed))


def empty_home(root: Path) -> Home:
    """A warehouse without a row."""
    return publish(Home(root), lambda given: None)


NVIDIA = Catalog.model_validate(
    {
        "slos": {"offline": {}, "quick": {"bounds": [{"metric": "ttft", "statistic": "p50", "max_ms": 1}]}},
        "prices": {
            "api": {"kind": "api", "source": "list", "periods": [
                {"valid_from": date(2025, 1, 1), "usd_per_mtok_input": 1, "usd_per_mtok_output": 3}]},
            "own": {"kind": "own", "reference_plan": "api", "source": "=NVIDIA TCO post, 2025", "periods": [
                {"valid_from": date(2025, 1, 1), "server_price": 320000, "depreciation_years": 4, "hosting_year": 3000,
                 "software_year": 4500}]},
            "rent": {"kind": "rent", "rent_unit": "server", "gpus_per_server": 8, "reference_plan": "api",
                     "source": "8 x $2.50", "periods": [{"valid_from": date(2025, 1, 1), "usd_per_hour": 20}]},
        },
    }
)  # fmt: skip
"""The prices of the NVIDIA chain, and an SLO that nothing meets."""


def nvidia_home(root: Path, catalog: Catalog = NVIDIA, *, run: dict[str, Any] | None = None, **requests: Any) -> Home:
    """Ten requests a second on an instance of 2 GPUs, ISL = OSL = 1000, servers of 8 GPUs; nothing fails, nothing idles.

    Ten slots of 1 s, starts 0.1 s apart: the tenth completion comes at 1.9 s, the last of 12 rounds is sent at 11.9 s,
    with 100 completions in those 10 s.
    """
    home = Home(root)
    catalog_hash = manifests.write_catalog(home, catalog)

    def fill(given: Given) -> None:
        given.run(**{"gpus_per_instance": 2, "catalog_hash": catalog_hash, "accelerator": "h100", **(run or {})})
        counts = {"input_tokens": 1000, "output_tokens": 1000, "target_output_tokens": 1000}
        given.closed_loop(10, 12, **(counts | requests))
        given.rows["slos"] += sources.slo_rows(catalog_hash, catalog)
        given.rows["slo_bounds"] += sources.bound_rows(catalog_hash, catalog)
        given.rows["price_plans"] += sources.price_rows(catalog_hash, catalog)

    return publish(home, fill)


FROM = {"valid_from": date(2025, 1, 1)}
RICH = Catalog.model_validate(
    NVIDIA.model_dump()
    | {
        "prices": {
            "api": {"kind": "api", "source": "list", "periods": [
                {**FROM, "usd_per_mtok_input": 2, "usd_per_mtok_output": 8, "usd_per_mtok_cached_input": 0.5,
                 "usd_per_mtok_reasoning": 4}]},
            "own": {"kind": "own", "gpus_per_server": 8, "reference_plan": "api", "source": "quote", "periods": [
                {**FROM, "server_price": 300000, "salvage": 20000, "depreciation_years": 5, "hosting_year": 3000,
                 "software_year": 4500, "licence_basis": "per_gpu", "power_kw": 10.2, "pue": 1.3, "usd_per_kwh": 0.11,
                 "staff_year": 1234.5, "other_year": 99}]},
            "own-chf": {"kind": "own", "currency": "CHF", "source": "quote", "periods": [
                {**FROM, "server_price": 250000, "depreciation_years": 4}]},
            "rent-gpu": {"kind": "rent", "rent_unit": "gpu", "reference_plan": "api", "source": "list",
                         "pricing_category": "spot", "periods": [{**FROM, "usd_per_hour": 1.6}]},
            "rent-server": {"kind": "rent", "rent_unit": "server", "gpus_per_server": 8, "source": "list", "periods": [
                {**FROM, "usd_per_hour": 20}]},
            "units": {"kind": "rent", "rent_unit": "provisioned", "reference_plan": "api", "source": "list", "periods": [
                {**FROM, "usd_per_hour": 30, "tokens_per_s": 25000}]},
        }
    }
)  # fmt: skip
"""Every kind of plan, and every price that a plan can have."""


def rich_home(root: Path) -> Home:
    """Some of the input was cached, some of the output reasoning; instances of 3 GPUs leave 2 of a server's 8."""
    counts = {"cached_input_tokens": 250, "reasoning_tokens": 400}
    return nvidia_home(
        root, RICH, run={"gpus_per_instance": 3, "shares_prefix": True, "instances_measured": 2}, **counts
    )


def wide_home(root: Path) -> Home:
    """An instance takes two servers."""
    return nvidia_home(root, run={"gpus_per_instance": 16})


def uncounted_nvidia_home(root: Path) -> Home:
    """The server counts no tokens."""
    return nvidia_home(root, input_tokens=None, output_tokens=None, cached_input_tokens=None)


KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "rich": ({"gpus_per_instance": 3, "shares_prefix": True, "instances_measured": 2},
             {"cached_input_tokens": 250, "reasoning_tokens": 400}),
    "wide": ({"gpus_per_instance": 16}, {}),
    "uncounted": ({}, {"input_tokens": None, "output_tokens": None, "cached_input_tokens": None}),
    "troubled": ({}, {}),
    "prefill": ({"role": "prefill"}, {}),
    "decode": ({"role": "decode"}, {}),
}  # fmt: skip
"""Endpoints by what is special: of the run, and of its requests. Of the troubled one three requests fail."""


TRACED: dict[str, dict[str, Any]] = {
    "whole": {},
    "tight": {"max_instances": 5, "spares": 7, "headroom": 0.37, "uptime": 0.97},
    "grown": {"growth": 0.5, "as_of": date(2025, 6, 1), "headroom": 0.1, "spares": 1, "uptime": 0.6},
}
"""Demands of one recorded day: half of it 20 requests/s, a third 60, a sixth 95; 10 instances of 10 carry its peak."""


FINE = [{"rps": 95 * ((index + 1) / 2500) ** 2, "share": 1 / 2500} for index in range(2500)]
"""A recorded day of more rates than the page carries."""


def _traced(changes: dict[str, Any]) -> dict[str, Any]:
    rates = [{"rps": 20, "share": 1 / 2}, {"rps": 60, "share": 1 / 3}, {"rps": 95, "share": 1 / 6}]
    trace = {"trace": {"file": "day.csv", "format": "azure"}, "trace_rates": rates}
    return {"application": "recorded", "workload": "workload", "slo": "offline"} | trace | changes


def kinds_home(root: Path) -> Home:
    """Every kind of endpoint, each as fast as the NVIDIA chain's, under every kind of plan, asked for recorded demands."""
    home = Home(root)
    asked = {"demands": {name: _traced(changes) for name, changes in TRACED.items()}}
    asked["demands"]["fine"] = _traced(TRACED["tight"] | {"trace_rates": FINE})
    catalog = Catalog.model_validate(RICH.model_dump() | asked)
    catalog_hash = manifests.write_catalog(home, catalog)
    known = {"gpus_per_instance": 2, "catalog_hash": catalog_hash, "accelerator": "h100"}
    counts = {"input_tokens": 1000, "output_tokens": 1000, "target_output_tokens": 1000}

    def fill(given: Given) -> None:
        for endpoint, (run, requests) in KINDS.items():
            given.run(**known | {"run_id": endpoint, "endpoint": endpoint, "model": endpoint} | run)
            given.closed_loop(10, 12, run=endpoint, **counts | requests)
        for number in range(3):
            # an API bills what one of them reported
            billed = {"input_tokens": 1000, "output_tokens": 100} if number == 0 else {}
            failed = {"concurrency": 10, "outcome": "timeout"}
            given.request(3000.0 + 1000 * number, gaps_ms=(30.0,), run="troubled", **failed, **billed)
        given.rows["slos"] += sources.slo_rows(catalog_hash, catalog)
        given.rows["slo_bounds"] += sources.bound_rows(catalog_hash, catalog)
        given.rows["demands"] += sources.demand_rows(catalog_hash, catalog)
        given.rows["demand_rates"] += sources.demand_rate_rows(catalog_hash, catalog)
        given.rows["price_plans"] += sources.price_rows(catalog_hash, catalog)

    return publish(home, fill)
