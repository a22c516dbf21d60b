"""Operating points made up, and the economics built from them: the work that `benchmarks.economics` times."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import duckdb

from schemas.columns import (
    CURATED_TABLES,
    OPERATING_POINTS,
    RUNS,
    SLO_ATTAINMENT,
    SOURCE_TABLES,
    TIME_SHARES,
)
from transforms.runner import build
from warehouse.sources import fill

MEASURED = (RUNS, OPERATING_POINTS, SLO_ATTAINMENT, TIME_SHARES)
NOT_MONEY = {"client_health", "server_metrics", "slo_bounds", *(table.name for table in MEASURED)}
"""Tables that are made before any money is."""


@dataclass(frozen=True)
class Shape:
    """How much is made up: endpoints and levels a night, SLOs, demands an SLO, price plans."""

    endpoints: int = 25
    levels: int = 8
    slos: int = 4
    demands: int = 3
    plans: int = 6


STATISTICS = ("mean", "p50", "p75", "p90", "p95", "p99")


def rebuild(nights: str) -> dict[str, dict[str, float]]:
    """Make the points of so many nights up and build what follows from them: seconds and rows by table."""
    with duckdb.connect() as con:
        return build_from(con, int(nights), Shape())


def build_from(con: duckdb.DuckDBPyConnection, nights: int, shape: Shape) -> dict[str, dict[str, float]]:
    """The same into `con`, for what comes of it."""
    con.execute("attach ':memory:' as raw; attach ':memory:' as staging; create schema curated")
    rows = _rows(nights, shape)
    for table in (*SOURCE_TABLES, *MEASURED):
        fill(con, table, rows.get(table.name, []))
    con.execute("create table staging.attempts as from curated.runs")
    con.execute(
        "create table staging.levels as select *, row_number() over (order by operating_point_id) as level_no "
        "from curated.operating_points"
    )
    con.execute(_LATENCIES, [list(STATISTICS)])
    for name, columns in _NOTHING.items():
        con.execute(f"create table staging.{name} ({columns})")
    given = {f"curated.{table.name}" for table in MEASURED}
    given |= {f"staging.{name}" for name in ("attempts", "levels", "latency_statistics", *_NOTHING)}
    wanted = [f"curated.{table.name}" for table in CURATED_TABLES if table.name not in NOT_MONEY]
    report = build(con, wanted=wanted, given=given)
    return {"seconds": report.seconds, "rows": {name: float(count) for name, count in report.rows.items()}}


_LATENCIES = """
create table staging.latency_statistics as
select level_no, metric, statistic, ttft_p50_ms * (1 + 0.1 * place) as value, value as adjusted_value
from staging.levels, unnest(['ttft', 'tpot', 'e2e', 'interactivity']) as m (metric),
    (select unnest($1) as statistic, generate_subscripts($1, 1) as place)
"""
_NOTHING = {
    "cached_bands": "operating_point_id varchar, slo varchar, cached_band varchar, band_no integer, is_most_cached "
    "boolean, requests bigint, input_tokens_mean double, cached_input_tokens_mean double, output_tokens_mean double, "
    "seconds_per_request double, mean_seconds_per_request double",
    "output_budgets": "operating_point_id varchar, slo varchar, statistic varchar, budget_tokens bigint, requests "
    "bigint, output_tokens_mean double, tokens_above_mean double, share_above double",
}
"""What only traces tell."""


def _rows(nights: int, shape: Shape) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {table.name: [] for table in (*SOURCE_TABLES, *MEASURED)}
    for number in range(shape.slos):
        name = f"slo-{number}"
        rows["slos"].append({"catalog_hash": "c", "slo": name, "workloads": [], "max_error_share": 0.01})
        rows["demands"] += [_demand(name, f"demand-{number}-{index}", index) for index in range(shape.demands)]
    rows["price_plans"] += [_plan(index) for index in range(shape.plans)]
    for night in range(nights):
        at = datetime(2026, 1, 1, 2) + timedelta(days=night)
        for endpoint in range(shape.endpoints):
            _add_run(rows, at, endpoint, shape)
    return rows


def _add_run(rows: dict[str, list[dict[str, Any]]], at: datetime, endpoint: int, shape: Shape) -> None:
    gpus = 1 + endpoint % 4
    run = {
        "run_id": f"{at.date()}-{endpoint}", "attempt": 1, "endpoint": f"endpoint-{endpoint}", "workload": "w",
        "load": "l", "suite": "s", "night": at, "run_date": at.date(), "model": f"model-{endpoint % 5}",
        "accelerator": "h100", "gpus_per_instance": gpus, "gpus_per_server": 8, "instances_measured": 1,
        "catalog_hash": "c", "config_hash": "x", "metric_version": 2, "is_current": True,
    }  # fmt: skip
    rows["runs"].append(run | {"role": "aggregated", "started_at": at, "precision": ("bf16", "fp8")[endpoint % 2]})
    for level in range(shape.levels):
        point = {"operating_point_id": f"{run['run_id']}-{level}", "is_valid": True, "validity": "valid"}
        rps = (level + 1) * (1 + endpoint / 10) / (1 + level / 6)
        measured = {
            "request_rps": rps, "request_rps_lo": rps * 0.98, "request_rps_hi": rps * 1.02, "window_s": 60.0,
            "request_rps_per_gpu": rps / gpus, "output_tps_per_gpu": rps * 200,
            "total_tps_per_gpu": rps * 1200, "concurrency": 2**level, "level_index": level + 1,
            "input_tokens_mean": 1000.0, "cached_input_tokens_mean": 0.0, "output_tokens_mean": 200.0,
            "ttft_p50_ms": 50.0 * 1.5**level, "e2e_mean_ms": 400.0 * 1.4**level,
        }  # fmt: skip
        rows["operating_points"].append(run | point | measured)
        for number in range(shape.slos):
            _add_attainment(rows, run | point, number, level, rps)


def _add_attainment(
    rows: dict[str, list[dict[str, Any]]], point: dict[str, Any], number: int, level: int, rps: float
) -> None:
    met = level <= 2 * number + 1
    judged = {"slo": f"slo-{number}", "judged_requests": 1000, "good_requests": 950, "attainment": 0.95}
    verdict = {"verdict": "met" if met else "missed", "meets_slo": met, "good_rps": rps * 0.95}
    worst = {"worst_metric": "ttft", "worst_value": 1.0, "worst_limit": 1.0, "worst_excess": 0.1 if not met else -0.1}
    rows["slo_attainment"].append(point | judged | verdict | worst)
    tokens = {
        f"{name}_{kind}_tokens": 1000.0 * share
        for name, share in (("failed", 0.0), ("missed", 5.0), ("good", 95.0))
        for kind in ("input", "cached_input", "output", "reasoning")
    }
    shares = {"failed_share": 0.01, "missed_share": 0.04, "input_share": 0.2, "output_share": 0.8, "idle_share": 0.01}
    counts = {"failed_requests": 0, "missed_requests": 50, "basis": "traces", "window_s": 60.0}
    if met:
        rows["time_shares"].append(point | judged | shares | counts | tokens)


def _demand(slo: str, name: str, index: int) -> dict[str, Any]:
    return {
        "catalog_hash": "c", "demand": name, "application": name, "workload": "w", "slo": slo, "price_plans": [],
        "peak_rps": 50.0 * (index + 1), "mean_rps": 20.0 * (index + 1), "mean_source": "rates", "growth": 0.5,
        "as_of": date(2026, 1, 1), "headroom": 0.1 * index, "spares": index, "uptime": 0.99,
    }  # fmt: skip


def _plan(index: int) -> dict[str, Any]:
    plan: dict[str, Any] = {
        "catalog_hash": "c",
        "price_plan": f"plan-{index}",
        "models": [],
        "currency": "USD",
        "source": "made up",
    }
    plan |= {"valid_from": date(2025, 1, 1), "price_in": 1.0, "price_out": 3.0}
    if index == 0:
        return plan | {"kind": "api"}
    if index < 3:
        return plan | {
            "kind": "rent", "rent_unit": ("gpu", "server")[index % 2], "usd_per_hour": 2.0 + index,
            "gpus_per_server": (None, 8)[index % 2],
        }  # fmt: skip
    return plan | {
        "kind": "own", "gpus_per_server": 8, "server_price": 3e5 + 1e4 * index, "depreciation_years": 4.0,
        "hosting_year": 3e3, "software_year": 4.5e3, "licence_basis": "per_server",
    }  # fmt: skip
