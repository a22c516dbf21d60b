"""Publishing a million ledger rows: to a real Postgres beside a bare COPY of the same rows, and as Parquet."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from benchmarks.postgres_server import Server, binaries, server
from benchmarks.tables import Section
from schemas.columns import COST_LEDGER
from warehouse.feeds import parquet, postgres
from warehouse.home import Home

LEDGER = "cost_ledger"
NIGHTS, BUCKETS = 365, 9


@dataclass(frozen=True)
class Row:
    """One way of publishing the rows; `vs_bare` in times of the bare one of its kind."""

    way: str
    krows: int
    seconds: float
    krows_per_s: float
    vs_bare: float | None


def run(quick: bool) -> list[Section]:
    """A tenth of the rows, or all, three times each; the best time counts."""
    rows = 100_000 if quick else 1_000_000
    with _home(rows) as home:
        made = [*_parquet(home, rows)]
        notes: tuple[str, ...] = ()
        if binaries() is None:
            notes = ("Postgres is left out: it is not installed (apt-get install postgresql)",)
        else:
            with server("max_wal_size=4GB") as started:
                made = [*_postgres(home, rows, started), *made]
        return [Section("feeds", f"publishing {rows:,} rows of the cost ledger, {NIGHTS} nights", made, notes)]


@contextmanager
def _home(rows: int) -> Iterator[Home]:
    """A warehouse with nothing but a ledger of so many rows."""
    folder = Path(tempfile.mkdtemp(prefix="ratecard-feeds-"))
    try:
        home = Home(folder)
        columns = ", ".join(f"{column.name} {column.type}" for column in COST_LEDGER.columns)
        with duckdb.connect(str(home.warehouse)) as con:
            con.execute(f"create schema curated; create table curated.{LEDGER} ({columns})")
            con.execute(f"insert into curated.{LEDGER} by name {_MADE_UP}", [date.today() - timedelta(NIGHTS), rows])
        yield home
    finally:
        shutil.rmtree(folder)


_MADE_UP = f"""
    select
        concat('demand-', fleet, '/endpoint-', fleet % 20, '/', night) as fleet_id, concat('plan-', n % 6) as price_plan,
        'price_ratio' as allocation_method, concat('bucket-', bucket) as bucket, n / 7.0 as usd, round(n / 7.0, 2) as usd_shown,
        n * 1.5 as fleet_year_usd, 10.0 as served_rps, 'mean' as mean_basis, concat('demand-', fleet) as demand,
        concat('endpoint-', fleet % 20) as endpoint, 'chat' as workload, 'interactive' as slo, night, night::date as run_date,
        concat('run-', fleet, night) as run_id, concat('run-', fleet, night, '-l3') as operating_point_id, 2 as metric_version,
        'own' as price_kind, date '2026-01-01' as price_valid_from, 'USD' as currency
    from (
        select
            i as n, i % {BUCKETS} as bucket, i // {BUCKETS * NIGHTS} as fleet,
            cast($1 as timestamp) + to_days(cast(i // {BUCKETS} % {NIGHTS} as integer)) as night
        from range(cast($2 as bigint)) as r(i)
    )
"""


def _postgres(home: Home, rows: int, started: Server) -> Iterator[Row]:
    file = started.folder / "rows.csv"
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        con.execute(f"copy curated.{LEDGER} to '{file}' (header false)")
    published = _best(lambda: postgres.publish(home, started.dsn(), names=[LEDGER]))
    started.psql(f"create table bare (like ratecard.{LEDGER})")
    copied = _best(lambda: started.psql(f"\\copy bare from '{file}' csv"), before=lambda: started.psql("truncate bare"))
    yield Row("a bare COPY into a table without index", rows // 1000, copied, rows / copied / 1000, None)
    yield Row("ratecard publish postgres", rows // 1000, published, rows / published / 1000, published / copied)


def _parquet(home: Home, rows: int) -> Iterator[Row]:
    bare, target = home.root / "bare.parquet", home.root / "export"

    def write() -> None:
        with duckdb.connect(str(home.warehouse), read_only=True) as con:
            con.execute(f"copy curated.{LEDGER} to '{bare}' (compression zstd)")

    written = _best(write)
    yield Row("DuckDB's COPY to one Parquet file", rows // 1000, written, rows / written / 1000, None)
    first = _best(
        lambda: parquet.export(home, target, [LEDGER]), before=lambda: shutil.rmtree(target, ignore_errors=True)
    )
    yield Row("ratecard publish parquet, every day new", rows // 1000, first, rows / first / 1000, first / written)
    again = _best(lambda: parquet.export(home, target, [LEDGER]))
    yield Row("the same, nothing changed", rows // 1000, again, rows / again / 1000, again / written)


def _best(work: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    taken = []
    for _ in range(3):
        before()
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)
