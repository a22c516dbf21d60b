"""The tables that the transforms start from: `raw.*`, made of manifests, catalog snapshots and landed parts."""

import re
from collections.abc import Collection, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pyarrow.parquet as pq

from schemas.catalog import Catalog
from schemas.catalog.demands import Demand
from schemas.columns import (
    BUILD_SCOPE_SOURCE,
    DEMAND_CLASSES_SOURCE,
    DEMAND_RATES_SOURCE,
    DEMANDS_SOURCE,
    LANDED_TABLES,
    LEVELS_SOURCE,
    PRICE_PLANS_SOURCE,
    RUNS_SOURCE,
    SLO_BOUNDS_SOURCE,
    SLOS_SOURCE,
    TRACES_SOURCE,
    Table,
)
from schemas.errors import LandingError
from schemas.prices import ApiPlan, ApiPrices, OwnPlan, OwnPrices, RentPlan, RentPrices
from transforms import given_rows
from warehouse import manifests
from warehouse.home import Home

Row = dict[str, Any]
_DAY = timedelta(days=1)


def attach(
    con: duckdb.DuckDBPyConnection,
    home: Home,
    closed: Collection[manifests.Manifest],
    override: Catalog | None,
    since: datetime | None = None,
) -> None:
    """Make `raw.*` in `con` from `closed` runs of `home`.

    Raises LandingError where a snapshot cannot be read, or a part is of a newer version.

    `override` replaces the SLOs, demands and prices that each night was landed with (what-if). `since` is the earliest
    night that is to be made; null: the earliest of `closed`.
    """
    # several tables are made of the same parts, and a part says much of itself
    con.execute("attach ':memory:' as raw; set parquet_metadata_cache = true")
    catalogs = _catalogs(home, closed, override)
    runs = [run | {"catalog_hash": "override"} if override else run for run in (m.run for m in closed)]
    fill(con, RUNS_SOURCE, runs)
    fill(con, LEVELS_SOURCE, [level for manifest in closed for level in manifest.levels])
    fill(con, SLOS_SOURCE, [row for h, c in catalogs.items() for row in slo_rows(h, c)])
    fill(con, SLO_BOUNDS_SOURCE, [row for h, c in catalogs.items() for row in bound_rows(h, c)])
    fill(con, DEMANDS_SOURCE, [row for h, c in catalogs.items() for row in demand_rows(h, c)])
    fill(con, DEMAND_RATES_SOURCE, [row for h, c in catalogs.items() for row in demand_rate_rows(h, c)])
    fill(con, PRICE_PLANS_SOURCE, [row for h, c in catalogs.items() for row in price_rows(h, c)])
    fill(con, DEMAND_CLASSES_SOURCE, [row for h, c in catalogs.items() for row in class_rows(h, c)])
    fill(con, BUILD_SCOPE_SOURCE, [{"since": since or min((run["night"] for run in runs), default=None)}])
    parts = [part for manifest in closed for part in manifest.parts if part["path"]]
    for table in LANDED_TABLES:
        _landed(con, table, [str(home.root / part["path"]) for part in parts if part["table"] == table.name])


def landed_bytes(home: Home, closed: Collection[manifests.Manifest]) -> int:
    """Size of the landed parts of `closed`."""
    return sum((home.root / part["path"]).stat().st_size for m in closed for part in m.parts if part["path"])


def _catalogs(home: Home, closed: Collection[manifests.Manifest], override: Catalog | None) -> dict[str, Catalog]:
    if override is not None:
        return {"override": override}
    return {h: manifests.read_catalog(home, h) for h in sorted({m.run["catalog_hash"] for m in closed})}


def fill(con: duckdb.DuckDBPyConnection, table: Table, rows: list[Row]) -> None:
    """Make `table` from `rows`; a column that a row lacks is null."""
    given_rows.create(con, f"{table.schema}.{table.name}", _types(table), rows)


def insert(con: duckdb.DuckDBPyConnection, table: Table, rows: list[Row]) -> None:
    """Add `rows` to `table`."""
    query, parameters = given_rows.select(_types(table), rows)
    con.execute(f"insert into {table.schema}.{table.name} {query}", parameters)


def _types(table: Table) -> dict[str, str]:
    return {column.name: column.type for column in table.columns}


def _landed(con: duckdb.DuckDBPyConnection, table: Table, files: list[str]) -> None:
    """A view over the parts that manifests vouch for; an empty table where there are none.

    Parts of older versions lack columns that came later: null. Parts that lack the same columns are read together, so
    that parts of one version are one scan.
    """
    places = table.name == TRACES_SOURCE.name
    if not files:
        fill(con, TRACES_SOURCE if places else table, [])
        return
    groups: dict[frozenset[str], list[str]] = {}
    for file in files:
        groups.setdefault(_lacking(table, file), []).append(file)
    if places:
        # a row takes a number, not a path
        parts = ", ".join(f"'{_escaped(file)}'" for file in sorted(files))
        con.execute(f"create type raw.part as enum ({parts})")
    selects = " union all ".join(_select(table, lacking, group, places) for lacking, group in groups.items())
    con.execute(f"create view raw.{table.name} as {selects}")


def _lacking(table: Table, file: str) -> frozenset[str]:
    present = set(pq.read_schema(file).names)
    if unknown := present - {column.name for column in table.columns}:
        raise LandingError(
            f"{file} was written by a newer Ratecard (columns unknown here: {', '.join(sorted(unknown))}): upgrade ratecard "
            "to read it"
        )
    return frozenset(c.name for c in table.columns if c.nullable and c.name not in present)


def _select(table: Table, lacking: frozenset[str], files: list[str], places: bool) -> str:
    columns = ", ".join(f"cast(null as {c.type}) as {c.name}" if c.name in lacking else c.name for c in table.columns)
    listed = ", ".join(f"'{literal(file)}'" for file in files)
    if not places:
        return f"select {columns} from read_parquet([{listed}], hive_partitioning = false)"
    options = "hive_partitioning = false, filename = true, file_row_number = true"
    return (
        f"select {columns}, cast(filename as raw.part) as file, file_row_number as row_no "
        f"from read_parquet([{listed}], {options})"
    )


def literal(file: str) -> str:
    """`file` for read_parquet, which would take [, * and ? as patterns."""
    return _escaped(re.sub(r"([\[*?])", r"[\1]", file))


def _escaped(text: str) -> str:
    return text.replace("'", "''")


def slo_rows(catalog_hash: str, catalog: Catalog) -> Iterator[Row]:
    """Rows of `raw.slos`."""
    for name, slo in catalog.slos.items():
        yield {
            "catalog_hash": catalog_hash,
            "slo": name,
            "workloads": slo.workloads,
            "attainment_share": slo.attainment_share,
            "max_error_share": slo.max_error_share,
            "min_quality_score": slo.min_quality_score,
        }


def bound_rows(catalog_hash: str, catalog: Catalog) -> Iterator[Row]:
    """Rows of `raw.slo_bounds`."""
    for name, slo in catalog.slos.items():
        for index, bound in enumerate(slo.bounds):
            yield {
                "catalog_hash": catalog_hash,
                "slo": name,
                "bound_index": index,
                "metric": bound.metric,
                "statistic": None if slo.attainment_share is not None else bound.statistic,
                "limit_value": bound.limit_value,
            }


def demand_rows(catalog_hash: str, catalog: Catalog) -> Iterator[Row]:
    """Rows of `raw.demands`; users x requests an hour become rates."""
    for name, demand in catalog.demands.items():
        peak, mean = demand.rates()
        yield {
            "catalog_hash": catalog_hash,
            "demand": name,
            "application": demand.application,
            "workload": demand.workload,
            "slo": demand.slo,
            "peak_rps": peak,
            "mean_rps": mean,
            "mean_source": _mean_source(demand, mean),
            "growth": demand.growth,
            "as_of": demand.as_of,
            "headroom": demand.headroom,
            "spares": demand.spares,
            "uptime": demand.uptime,
            "max_instances": demand.max_instances,
            "max_gpus": demand.max_gpus,
            "max_power_kw": demand.max_power_kw,
            "price_plans": demand.price_plans,
        }


def _mean_source(demand: Demand, mean: float | None) -> str | None:
    if mean is None:
        return None
    return "trace" if demand.trace else "users" if demand.users else "rates"


def demand_rate_rows(catalog_hash: str, catalog: Catalog) -> Iterator[Row]:
    """Rows of `raw.demand_rates`."""
    for name, demand in catalog.demands.items():
        for span in demand.trace_rates:
            yield {"catalog_hash": catalog_hash, "demand": name, "rps": span.rps, "share": span.share}


def price_rows(catalog_hash: str, catalog: Catalog) -> Iterator[Row]:
    """Rows of `raw.price_plans`: one per plan and span of days on which neither it nor its reference changes."""
    for name, plan in catalog.prices.items():
        base: Row = {"catalog_hash": catalog_hash, "price_plan": name}
        base |= {field: getattr(plan, field) for field in ("kind", "models", "currency", "source")}
        if isinstance(plan, ApiPlan):
            for period in plan.periods:
                yield base | {"valid_from": period.valid_from, "valid_to": period.valid_to} | _api_prices(period)
            continue
        base |= {"accelerator": plan.accelerator, "gpus_per_server": plan.gpus_per_server}
        reference = catalog.prices[plan.reference_plan] if plan.reference_plan else None
        for first, last, prices in _spans(plan, reference if isinstance(reference, ApiPlan) else None):
            yield base | {"valid_from": first, "valid_to": last} | _figures(plan, prices) | _ratio(reference, first)


def class_rows(catalog_hash: str, catalog: Catalog) -> Iterator[Row]:
    """Rows of `raw.demand_classes`: the workloads of the demands that are a mix."""
    for name, demand in catalog.demands.items():
        for part in demand.mix:
            yield {"catalog_hash": catalog_hash, "demand": name, "workload": part.workload, "share": part.share}


def _spans(
    plan: OwnPlan | RentPlan, reference: ApiPlan | None
) -> Iterator[tuple[date, date | None, OwnPrices | RentPrices]]:
    """Days from, days to, prices: each period of `plan`, cut where its reference's prices begin or end."""
    periods = reference.periods if reference else []
    cuts = {p.valid_from for p in periods} | {p.valid_to + _DAY for p in periods if p.valid_to}
    by_date: list[OwnPrices | RentPrices] = sorted(plan.periods, key=lambda p: p.valid_from)
    for prices in by_date:
        inside = sorted(c for c in cuts if c > prices.valid_from and (prices.valid_to is None or c <= prices.valid_to))
        starts = [prices.valid_from, *inside]
        ends = [c - _DAY for c in inside]
        yield from ((start, end, prices) for start, end in zip(starts, [*ends, prices.valid_to], strict=True))


def _figures(plan: OwnPlan | RentPlan, prices: OwnPrices | RentPrices) -> Row:
    figures = prices.model_dump(exclude={"valid_from", "valid_to"})
    if isinstance(plan, RentPlan):
        figures |= {"rent_unit": plan.rent_unit, "pricing_category": plan.pricing_category}
    return figures


def _ratio(reference: Any, day: date) -> Row:
    """Prices of the reference API plan on `day`; null where it has none."""
    periods: list[ApiPrices] = reference.periods if isinstance(reference, ApiPlan) else []
    for period in periods:
        if period.valid_from <= day and (period.valid_to is None or day <= period.valid_to):
            return _api_prices(period)
    return {}


def _api_prices(period: ApiPrices) -> Row:
    return {
        "price_in": period.usd_per_mtok_input,
        "price_cached": period.usd_per_mtok_cached_input,
        "price_out": period.usd_per_mtok_output,
        "price_reasoning": period.usd_per_mtok_reasoning,
    }
