"""staging.repriced: what the fleets of staging.price_worlds cost, by the very files that price the nights themselves.

grain: world_no, cost_basis

Each world is a catalog snapshot, an endpoint and an operating point of its own; all of them go through one run of
the economics in a database in memory. No formula is written twice.
"""

import duckdb

from schemas.columns import (
    BEST_OPERATING_POINTS,
    DEMAND_RATES_SOURCE,
    DEMANDS_SOURCE,
    OPERATING_POINTS,
    PRICE_PLANS_SOURCE,
    SLO_ATTAINMENT,
    TIME_SHARES,
    Table,
)
from transforms.memory import in_memory
from transforms.runner import build as run_transforms

READS = (
    "staging.price_worlds", "curated.server_counts", "curated.operating_points", "curated.slo_attainment",
    "curated.time_shares", "curated.runs", "curated.demands", "curated.price_plans",
)  # fmt: skip

_MANY = 20_000
_EMPTY = "create or replace table staging.repriced (world_no bigint, cost_basis varchar, value_usd double)"
_FLEETS = """
from staging.price_worlds as worlds
inner join curated.server_counts as measured on worlds.performance_fleet_id = measured.fleet_id
inner join curated.server_counts as asked on worlds.scope_fleet_id = asked.fleet_id
"""
_ASKED = """
from staging.price_worlds as worlds
inner join curated.demands as demands
    on
        worlds.scope_catalog_hash = demands.catalog_hash
        and worlds.demand = demands.demand
        and worlds.scope_night = demands.night
"""
_WORLD = "'w' || worlds.world_no"
_ROWS: tuple[tuple[Table, str], ...] = (
    (
        BEST_OPERATING_POINTS,
        f"""
        select
            measured.* exclude (endpoint, catalog_hash, operating_point_id, run_date, slo),
            {_WORLD} as endpoint, {_WORLD} as catalog_hash, {_WORLD} as operating_point_id,
            asked.run_date, asked.slo, 1 as points, 1 as valid_points, 1 as feasible_points,
        {_FLEETS}
        """,
    ),
    (
        OPERATING_POINTS,
        f"""
        select points.* exclude (operating_point_id, endpoint, catalog_hash),
            {_WORLD} as operating_point_id, {_WORLD} as endpoint, {_WORLD} as catalog_hash,
        {_FLEETS}
        inner join curated.operating_points as points on measured.operating_point_id = points.operating_point_id
        """,
    ),
    *(
        (
            table,
            f"""
            select judged.* exclude (operating_point_id, endpoint), {_WORLD} as operating_point_id, {_WORLD} as endpoint,
            {_FLEETS}
            inner join curated.{table.name} as judged
                on measured.operating_point_id = judged.operating_point_id and measured.slo = judged.slo
            """,
        )
        for table in (SLO_ATTAINMENT, TIME_SHARES)
    ),
    (
        DEMANDS_SOURCE,
        f"""
        select demands.* exclude (catalog_hash, price_plans), {_WORLD} as catalog_hash, [worlds.price_plan] as price_plans,
        {_ASKED}
        """,
    ),
    (
        DEMAND_RATES_SOURCE,
        f"""
        select {_WORLD} as catalog_hash, demands.demand, unnest(demands.trace_rps) as rps,
            unnest(demands.trace_shares) as share,
        {_ASKED}
        """,
    ),
    (
        PRICE_PLANS_SOURCE,
        f"""
        select plans.* exclude (catalog_hash, valid_from, valid_to), {_WORLD} as catalog_hash,
            date '1900-01-01' as valid_from,
        from staging.price_worlds as worlds
        inner join curated.price_plans as plans
            on
                worlds.price_catalog_hash = plans.catalog_hash
                and worlds.price_plan = plans.price_plan
                and worlds.price_night = plans.night
        """,
    ),
)
_HARDWARE = f"""
select {_WORLD} as endpoint, {_WORLD} as catalog_hash, measured.workload, measured.night, asked.run_date, measured.role,
    measured.model, measured.accelerator, measured.gpus_per_instance, measured.gpus_per_server, runs.precision,
    runs.quality_score, runs.power_kw_per_gpu,
{_FLEETS}
left join (
    select run_id, any_value(precision) as precision, any_value(quality_score) as quality_score,
        any_value(power_kw_per_gpu) as power_kw_per_gpu
    from curated.runs where is_current group by run_id
) as runs on measured.run_id = runs.run_id
"""
_NO_MIXES = """
create table staging.mix_rates (mix_id varchar, model varchar, accelerator varchar, gpus_per_instance integer,
    gpus_per_server integer, rps_per_instance double);
create table staging.mix_demands (mix_id varchar, catalog_hash varchar, run_date date);
create table staging.metric_version as select 1 as metric_version
"""
_GIVEN = ("staging.hardware", "staging.mix_rates", "staging.mix_demands", "staging.metric_version")
_PRICED = """
select
    worlds.world_no,
    costs.cost_basis,
    case worlds.measure
        when 'usd_per_mtok' then costs.usd_per_mtok
        when 'usd_per_mtok_input' then costs.usd_per_mtok_input
        when 'usd_per_mtok_output' then costs.usd_per_mtok_output
        else costs.usd_per_request
    end as value_usd,
from worlds
inner join curated.cost_per_million_tokens as costs on 'w' || worlds.world_no = costs.endpoint
where costs.allocation_method <> 'processor_sharing'
"""


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Price the worlds; an empty table where there are none."""
    con.execute(_EMPTY)
    [(worlds,)] = con.execute("select count(*) from staging.price_worlds").fetchall()
    if not worlds:
        return
    # few are priced sooner by one thread, which many small statements need not wake and wait for
    with in_memory(threads=1 if worlds < _MANY else None) as other:
        other.execute("attach ':memory:' as raw; attach ':memory:' as staging; create schema curated")
        for table, query in _ROWS:
            _carry(con, other, query, f"{table.schema}.{table.name}", table)
        _carry(con, other, _HARDWARE, "staging.hardware")
        _carry(con, other, "from staging.price_worlds", "worlds")
        other.execute(_NO_MIXES)
        given = [*_GIVEN, *(f"curated.{table.name}" for table, _ in _ROWS if table.schema == "curated")]
        run_transforms(other, wanted=["curated.cost_per_million_tokens"], given=given)
        con.register("priced_worlds", other.sql(_PRICED).to_arrow_table())
        con.execute("insert into staging.repriced by name from priced_worlds")
        con.unregister("priced_worlds")


def _carry(
    con: duckdb.DuckDBPyConnection, other: duckdb.DuckDBPyConnection, query: str, name: str, table: Table | None = None
) -> None:
    """The rows of a query as a table of another database, with the columns of `table`; those that it lacks are null."""
    found = con.sql(query).to_arrow_table()
    other.register("carried", found)
    if table is None:
        other.execute(f"create table {name} as from carried")
    else:
        columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
        shared = ", ".join(f'"{column.name}"' for column in table.columns if column.name in found.column_names)
        other.execute(f"create table {name} ({columns}); insert into {name} ({shared}) select {shared} from carried")
    other.unregister("carried")
