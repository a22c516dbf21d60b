"""FOCUS 1.2: the cost ledger as a cost-and-usage file, CSV or Parquet (docs/feeds.md).

Every file is held against the specification (`warehouse.feeds.focus_rules`) before it takes its name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb

from schemas.columns import COST_LEDGER, COST_PER_MILLION_TOKENS, SERVER_COUNTS, TIME_SHARES
from schemas.errors import FeedError, UsageError
from schemas.focus import FOCUS_COLUMNS, FocusColumn
from warehouse.feeds.focus_rules import violations
from warehouse.feeds.source import literal, published, quoted
from warehouse.files import write_whole
from warehouse.home import Home

READS = (COST_LEDGER, COST_PER_MILLION_TOKENS, SERVER_COUNTS, TIME_SHARES)
_SQL = Path(__file__).with_name("focus.sql")


@dataclass(frozen=True)
class Choice:
    """What goes into the file; empty: all. Names that Ratecard does not know stand as they are given."""

    method: str = "processor_sharing"
    provider: str = "Ratecard"
    publisher: str | None = None
    invoice_issuer: str | None = None
    price_plans: Sequence[str] = field(default_factory=tuple)
    endpoints: Sequence[str] = field(default_factory=tuple)
    demands: Sequence[str] = field(default_factory=tuple)
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class FocusFile:
    """What was written. Costs are not added up here: price plans and endpoints are alternatives."""

    path: str
    rows: int
    days: int
    first_day: str | None
    last_day: str | None
    price_plans: tuple[str, ...]


def export(home: Home, target: Path, choice: Choice | None = None) -> FocusFile:
    """Write the file, whole or not at all; its suffix says which format: .csv or .parquet.

    Raises:
        UsageError: another suffix, or the ledger knows no plan, endpoint or demand of a name.
        WarehouseError: no warehouse.
        FeedError: a charge breaks a rule of the specification (a currency that is none, say).
        LandingError: the file cannot be written.

    """
    choice = choice or Choice()
    if target.suffix not in (".csv", ".parquet"):
        raise UsageError(f"{target}: FOCUS is written as .csv or .parquet")
    with published(home, READS) as con:
        _check_names(con, choice)
        _ask(con, choice)

        def write(path: Path) -> None:
            try:
                _write(con, path, target.suffix)
            except duckdb.IOException as error:
                raise OSError(str(error)) from error
            broken = violations(path, target.suffix)
            if broken:
                raise FeedError("\n".join([f"{target} would break FOCUS 1.2, and was not written:", *map(str, broken)]))

        write_whole(target, write)
        return _summary(con, target)


def _check_names(con: duckdb.DuckDBPyConnection, choice: Choice) -> None:
    """A misspelt name would be a file without a charge, night after night; over an empty ledger none can be told."""
    for column, names in (
        ("price_plan", choice.price_plans),
        ("endpoint", choice.endpoints),
        ("demand", choice.demands),
    ):
        known = [
            name
            for (name,) in con.execute(f"select distinct {column} from curated.cost_ledger order by all").fetchall()
        ]
        if known and (unknown := sorted(set(names) - set(known))):
            what = column.replace("_", " ")
            raise UsageError(f"no {what} in the ledger is called {', '.join(unknown)}: choose from {', '.join(known)}")


def _ask(con: duckdb.DuckDBPyConnection, choice: Choice) -> None:
    """Make the charges, once, as the temporary table `charges`."""
    texts = {
        "method": choice.method,
        "provider": choice.provider,
        "publisher": choice.publisher or choice.provider,
        "issuer": choice.invoice_issuer or choice.provider,
    }
    lists = {"price_plans": choice.price_plans, "endpoints": choice.endpoints, "demands": choice.demands}
    for name, text in texts.items():
        con.execute(f"set variable {name} = cast(? as varchar)", [text])
    for name, names in lists.items():
        con.execute(f"set variable {name} = cast(? as varchar[])", [list(names)])
    for name, day in (("since", choice.since), ("until", choice.until)):
        con.execute(f"set variable {name} = cast(? as date)", [day])
    con.execute(f"create temp table charges as {_SQL.read_text()}")


def _write(con: duckdb.DuckDBPyConnection, path: Path, suffix: str) -> None:
    items = ", ".join(_text(column) if suffix == ".csv" else quoted(column.name) for column in FOCUS_COLUMNS)
    how = "(format csv, header)" if suffix == ".csv" else "(format parquet, compression zstd)"
    con.execute(f"copy (select {items} from charges) to {literal(str(path))} {how}")


def _text(column: FocusColumn) -> str:
    """A value as FOCUS writes it: times in UTC, numbers without an exponent that has a plus sign."""
    name = quoted(column.name)
    if column.kind == "datetime":
        return f"strftime({name}, '%Y-%m-%dT%H:%M:%SZ') as {name}"
    if column.kind == "decimal":
        plain = f"rtrim(rtrim(format('{{:.60f}}', cast({name} as double)), '0'), '.')"
        return (
            f"case when contains(cast({name} as varchar), 'e') then {plain} else cast({name} as varchar) end as {name}"
        )
    return name


def _summary(con: duckdb.DuckDBPyConnection, target: Path) -> FocusFile:
    row = con.execute(
        'select count(*), count(distinct "ChargePeriodStart"), cast(cast(min("ChargePeriodStart") as date) as varchar), '
        'cast(cast(max("ChargePeriodStart") as date) as varchar) from charges'
    ).fetchone()
    assert row is not None
    plans = con.execute('select distinct "x_PricePlan" from charges order by all').fetchall()
    rows, days, first, last = row
    return FocusFile(str(target), rows, days, first, last, tuple(plan for (plan,) in plans))
