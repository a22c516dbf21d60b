"""Columns that many curated tables begin with."""

from schemas.columns.table import N, R

VERSION_COLUMN = R("metric_version", "INTEGER", "Version of the definitions of docs/metrics.md")

IDENTITY = (
    R("suite", "VARCHAR", "Suite of the catalog, or adhoc"),
    R("endpoint", "VARCHAR", "Endpoint of the catalog"),
    R("workload", "VARCHAR", "Workload of the catalog"),
    R("load", "VARCHAR", "Load of the catalog"),
    R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
    R("run_date", "DATE", "UTC date of the night"),
)

POINT = (
    N("operating_point_id", "VARCHAR", "Operating point of the level; null where there is none (probe)"),
    R("is_current", "BOOLEAN", "The attempt that stands for its run"),
)

FLEET = (
    R("fleet_id", "VARCHAR", "Demand, endpoint and night"),
    R("price_plan", "VARCHAR", "Price plan of the catalog"),
)

STANDS_ON = (
    R("demand", "VARCHAR", "Demand of the catalog"),
    R("endpoint", "VARCHAR", "Endpoint of the catalog"),
    R("workload", "VARCHAR", "Workload of the catalog"),
    R("slo", "VARCHAR", "SLO of the catalog"),
    R("night", "TIMESTAMP", "Scheduled start of the night (UTC)"),
    R("run_date", "DATE", "UTC date of the night"),
    N("run_id", "VARCHAR", "Run that it stands on"),
    N("operating_point_id", "VARCHAR", "Operating point that it stands on"),
    VERSION_COLUMN,
    R("price_kind", "VARCHAR", "own, rent or api"),
    R("price_valid_from", "DATE", "First day of the plan's prices"),
    R("currency", "VARCHAR", "Currency of every usd column"),
)
