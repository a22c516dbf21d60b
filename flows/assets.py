"""What a night makes, as Prefect's assets: raw traces of an endpoint, the warehouse, its tables, the report.

A key names the machine and the path of the home, since one Prefect server may know several homes.
"""

import re
import socket
from collections.abc import Mapping

from prefect.assets import Asset, AssetProperties
from prefect.context import AssetContext

from schemas.columns import CURATED_TABLES
from warehouse.home import Home

OF_THE_CALL = "file://home"
"""Stands in a task's decorator, which wants an asset; each call names those of its own home."""
_FORBIDDEN = re.compile(r"[\s#?&%\"'<>\[\]{}|\\^`]")
"""Characters that Prefect takes in no key."""
_LONGEST_DESCRIPTION = 2500


def home_id(home: Home) -> str:
    """The home as assets and events name it: machine and path."""
    return _FORBIDDEN.sub("_", f"{socket.gethostname()}{home.root}")


def raw(home: Home, endpoint: str) -> Asset:
    """The raw traces of `endpoint`."""
    return _asset(
        f"file://{home_id(home)}/raw/{endpoint}", f"raw traces of {endpoint}", "One row a request, as measured."
    )


def warehouse(home: Home) -> Asset:
    """The published DuckDB file."""
    return _asset(f"duckdb://{home_id(home)}/{home.warehouse.name}", "warehouse", f"Published at {home.warehouse}.")


def tables(home: Home) -> dict[str, Asset]:
    """The curated tables in the warehouse, by name."""
    file = warehouse(home).key
    return {table.name: _asset(f"{file}/curated/{table.name}", table.name, table.comment) for table in CURATED_TABLES}


def report(home: Home) -> Asset:
    """The HTML report."""
    return _asset(f"file://{home_id(home)}/{home.report.name}", "report", f"Written to {home.report}.")


def count_rows(home: Home, rows: Mapping[str, int]) -> None:
    """Tell of each table that the task in progress makes how many rows it has; `rows` by `curated.<name>`."""
    if (making := AssetContext.get()) is None:
        return  # the task's function was called without Prefect
    known = {asset.key for asset in making.downstream_assets}
    for name, asset in tables(home).items():
        if asset.key in known and (count := rows.get(f"curated.{name}")) is not None:
            making.add_asset_metadata(asset.key, {"rows": count})


def _asset(key: str, name: str, description: str) -> Asset:
    return Asset(key=key, properties=AssetProperties(name=name, description=description[:_LONGEST_DESCRIPTION]))
