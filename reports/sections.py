"""Reads what the page shows from the published warehouse, one section for each endpoint × workload."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any

import duckdb

from warehouse.ask import connect
from warehouse.home import Home

Row = dict[str, Any]
HISTORY_NIGHTS = 10


@dataclass(frozen=True)
class Bound:
    """One limit of an SLO; `statistic` is null where a share of requests decides."""

    slo: str
    metric: str
    statistic: str | None
    limit: float


@dataclass(frozen=True)
class Section:
    """The latest night of one endpoint × workload: rows named as in the warehouse; `history` holds older nights."""

    endpoint: str
    workload: str
    night: datetime
    nights: int
    runs: list[Row]
    points: list[Row]
    frontier: list[Row]
    attainment: list[Row]
    best: list[Row]
    card: list[Row]
    history: list[Row]
    bounds: list[Bound]

    @property
    def attainment_shares(self) -> dict[str, float]:
        """Share of good requests that decides, of the SLOs that have one."""
        return {row["slo"]: row["attainment_share"] for row in self.attainment if row["attainment_share"] is not None}


def read(home: Home) -> tuple[Row, list[Section]]:
    """Totals over the warehouse and its sections, newest night first, all as of one published file.

    Raises:
        WarehouseError: there is no warehouse.

    """
    with connect(home) as con:
        (totals,) = _rows(con, "totals")
        return totals, [_section(con, row) for row in _rows(con, "nights")]


def _section(con: duckdb.DuckDBPyConnection, row: Row) -> Section:
    key = (row["endpoint"], row["workload"], row["night"])
    return Section(
        **row,
        runs=_rows(con, "runs", key),
        points=_rows(con, "points", key),
        frontier=_rows(con, "frontier", key),
        attainment=_rows(con, "attainment", key),
        best=_rows(con, "best", key),
        card=_rows(con, "card", key),
        history=_rows(con, "history", (*key, HISTORY_NIGHTS)),
        bounds=[Bound(b["slo"], b["metric"], b["statistic"], b["limit_value"]) for b in _rows(con, "bounds", key)],
    )


def _rows(con: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[Any] = ()) -> list[Row]:
    result = con.execute(files("reports").joinpath("sql", f"{query}.sql").read_text(encoding="utf-8"), parameters)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
