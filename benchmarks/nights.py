"""What a new night costs on a year of history, beside the first night.

Both nights land the real way. The history is copies of the first night's rows, a night each, measured figures within
2 % of it, prices and demands as they were, and manifests to go with them: cheap enough to make a year. The traces of
old nights, which an incremental build must not read, are not there at all. Some endpoints were a tenth faster before
the new night, so that it has regressions to find. The same night is built once more with all prices changed that day:
then each series is priced anew as it would have been (staging.repriced).
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.alone import Alone, alone
from benchmarks.homes import ROWS_PER_GROUP, level_row, plan_of
from benchmarks.tables import Section
from benchmarks.traces import Level, simulate
from schemas.arrow import write_options
from schemas.catalog import Catalog
from schemas.catalog.demands import Demand
from schemas.catalog_files import load
from schemas.columns import (
    CURATED_TABLES,
    DEMANDS,
    INPUT_PARTS,
    INPUTS,
    PRICE_PLANS,
    REQUEST_TRACES,
    SLO_BOUNDS,
    Table,
)
from warehouse import inventory, published, runs
from warehouse.home import Home
from warehouse.scratch import attach

REPEATS = 5
ENDPOINTS, CONCURRENCIES, MEAN_CHUNKS = 20, (1, 2, 4, 8, 16, 32, 64, 128), 128
FIRST = datetime(2026, 5, 1, 2)
"""All plans of the starter catalog have a price by then: each night prices the same ones."""
SLOWED = 4
"""Endpoints that the new night finds slower."""
BY_CATALOG = {DEMANDS.name, PRICE_PLANS.name, SLO_BOUNDS.name}
"""Tables of what a catalog says, the same each night."""


def catalog() -> Catalog:
    """Prices and SLOs of the starter catalog, and demands for the workload of the benchmark."""
    starter = load(Path(__file__).parents[1] / "catalog")
    demands = {
        f"demand-{index}": Demand(
            application="benchmark", workload="benchmark", slo=slo, peak_rps=100.0 * index, peak_to_average=3.0
        )
        for index, slo in enumerate(("interactive", "offline"), 1)
    }
    return Catalog(slos=starter.slos, demands=demands, prices=starter.prices)


def dearer(before: Catalog, day: date) -> Catalog:
    """The same with all prices a tenth higher from `day` on."""
    document = before.model_dump()
    for plan in document["prices"].values():
        last = plan["periods"][-1]
        raised = {name: 1.1 * last[name] for name in _PRICES if last.get(name)}
        last["valid_to"] = day - timedelta(days=1)
        plan["periods"].append(last | raised | {"valid_from": day, "valid_to": None})
    return Catalog.model_validate(document)


_PRICES = ("server_price", "hosting_year", "usd_per_hour", "usd_per_mtok_input", "usd_per_mtok_output")


def night_of(number: int) -> datetime:
    """The scheduled instant of a night, counted from 0."""
    return FIRST + timedelta(days=number)


class Night:
    """The traces of a night, simulated once and landed for as many nights as wanted."""

    def __init__(self, gaps: int) -> None:
        """`gaps` in all, over every endpoint and level."""
        per_level = gaps // (ENDPOINTS * len(CONCURRENCIES))
        self.levels = [Level(i, c, per_level, MEAN_CHUNKS) for i, c in enumerate(CONCURRENCIES, 1)]
        self.tables = {level.index: simulate(level) for level in self.levels}
        self.gaps = ENDPOINTS * sum(pc.sum(pc.list_value_length(t["gaps_us"])).as_py() for t in self.tables.values())
        self.catalog = catalog()

    def land(self, home: Home, number: int, catalog: Catalog | None = None) -> None:
        """One closed run an endpoint, with the night's own catalog or another."""
        home.prepare()
        night = night_of(number)
        for endpoint in range(ENDPOINTS):
            identity = {
                "run_id": f"{night.date()}-{endpoint:02}",
                "endpoint": f"endpoint-{endpoint:02}",
                "model": f"model-{endpoint % 5}",
                "run_date": night.date().isoformat(),
            }
            plan = plan_of(self.levels) | identity | {"night": night.isoformat()}
            plan["endpoint_config"] |= {"accelerator": "h100", "gpus_per_server": 8}
            folder = runs.begin(home, plan, catalog or self.catalog)
            for level in self.levels:
                table = self.tables[level.index]
                for name, value in identity.items():
                    at, field = table.schema.get_field_index(name), table.schema.field(name)
                    scalar: Any = pa.scalar(date.fromisoformat(value) if name == "run_date" else value, field.type)
                    table = table.set_column(at, field, pa.repeat(scalar, table.num_rows))
                part = folder.path / f"a1-l{level.index:03d}-s000.parquet"
                pq.write_table(table, part, row_group_size=ROWS_PER_GROUP, **write_options(REQUEST_TRACES))
                folder.land_level(level_row(level))
            folder.close("complete", None)


@dataclass(frozen=True)
class Row:
    """One history. `over_first`: the new night's build / the first night's, best of REPEATS each.

    CPU: the median of as many pairs of builds, and the least and greatest. `repriced`: prices changed on the new night.
    """

    nights_before: int
    runs_before: int
    points_before: int
    file_mib: float
    gaps_a_night: int
    first_night_s: float
    new_night_s: float
    over_first: float
    cpu_over_first: float
    cpu_over_first_lo: float
    cpu_over_first_hi: float
    repriced_cpu_over_first: float
    first_peak_mib: float
    new_peak_mib: float


def run(quick: bool) -> list[Section]:
    """A year, and a month to see how the cost grows."""
    night = Night(1_000_000 if quick else 4_000_000)
    with tempfile.TemporaryDirectory() as folder:
        first = Home(Path(folder) / "first")
        night.land(first, 0)
        rows = [measure(night, first, Path(folder) / str(nights), nights) for nights in ((30,) if quick else (30, 365))]
    title = f"one new night of {ENDPOINTS} endpoints x {len(CONCURRENCIES)} levels on a history, beside the first night"
    return [Section("nights", f"{title} (best of {REPEATS})", rows)]


def measure(night: Night, first: Home, root: Path, nights: int) -> Row:
    """Build the first night, then one more on `nights` of history. Raises RuntimeError where a night is missing."""
    homes = {"first": first, "new": Home(root / "new"), "repriced": Home(root / "repriced")}
    builds: dict[str, list[Alone]] = {name: [] for name in homes}
    kept = root / "kept.duckdb"
    for repeat in range(REPEATS):
        first.warehouse.unlink(missing_ok=True)
        builds["first"].append(alone("build", str(first.root)))
        if not repeat:
            make_history(first, homes["new"], nights)
            shutil.copytree(homes["new"].root, homes["repriced"].root)
            homes["new"].warehouse.rename(kept)
            night.land(homes["new"], nights)
            night.land(homes["repriced"], nights, dearer(night.catalog, night_of(nights).date()))
        for name in ("new", "repriced"):
            shutil.copyfile(kept, homes[name].warehouse)
            os.sync()  # as of any published file: no build waits for the disk to take it
            builds[name].append(alone("build", str(homes[name].root)))
    home, firsts, news = homes["new"], builds["first"], builds["new"]
    for built in (home, homes["repriced"]):
        check(built, nights + 1)
    check_slowed(home)
    check_repriced(homes["repriced"])
    ratios = {name: [one.cpu_s / a.cpu_s for a, one in zip(firsts, builds[name], strict=True)] for name in homes}
    best, new = min(firsts, key=_seconds), min(news, key=_seconds)
    return Row(
        nights_before=nights,
        runs_before=nights * ENDPOINTS,
        points_before=nights * ENDPOINTS * len(CONCURRENCIES),
        file_mib=kept.stat().st_size / 2**20,
        gaps_a_night=night.gaps,
        first_night_s=best.seconds,
        new_night_s=new.seconds,
        over_first=new.seconds / best.seconds,
        cpu_over_first=median(ratios["new"]),
        cpu_over_first_lo=min(ratios["new"]),
        cpu_over_first_hi=max(ratios["new"]),
        repriced_cpu_over_first=median(ratios["repriced"]),
        first_peak_mib=max(one.peak_mib for one in firsts),
        new_peak_mib=max(one.peak_mib for one in news),
    )


def _seconds(work: Alone) -> float:
    return work.seconds


def check(home: Home, nights: int) -> None:
    """Raise RuntimeError unless each night has all of its points, and the last one was built alone."""
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        points = con.execute("select night, count(*) from curated.operating_points group by night").fetchall()
        builds = con.execute("select count(distinct night) from meta.inputs group by built_at order by 1").fetchall()
        priced = con.execute(_PRICED).fetchall()
    if {count for _, count in points} != {ENDPOINTS * len(CONCURRENCIES)} or len(points) != nights:
        raise RuntimeError(
            f"{len(points)} of {nights} nights are there, with {sorted({n for _, n in points})} points each"
        )
    if builds[0] != (1,):
        raise RuntimeError(f"the new night was not built alone: nights by build are {builds}")
    if len(priced) != 1:
        raise RuntimeError(f"nights do not price the same: {priced} costs a night")


def check_slowed(home: Home) -> None:
    """Raise RuntimeError unless the last night tells which endpoints are slower."""
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        slowed = con.execute(_SLOWED).fetchall()
    if slowed != [(SLOWED,)]:
        raise RuntimeError(f"{slowed} endpoints were found to be slower, and {SLOWED} were")


def check_repriced(home: Home) -> None:
    """Raise RuntimeError unless the last night tells each cost apart from what its prices did."""
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        [(costs, moved)] = con.execute(_MOVED).fetchall()
    if not costs or moved != costs:
        raise RuntimeError(f"prices moved {moved} of the {costs} costs of the night that has other prices")


_MOVED = """
    select count(*), count(*) filter (where price_effect_usd <> 0) from curated.cost_trends
    where night = (select max(night) from curated.runs) and value_usd is not null
"""
_SLOWED = """
    select count(distinct endpoint) from curated.regressions
    where is_new and direction = 'worse' and night = (select max(night) from curated.runs)
"""
_PRICED = "select distinct count(*) from curated.cost_per_million_tokens group by night"


def make_history(first: Home, home: Home, nights: int) -> None:
    """A home with `nights` as if they had landed and been built; `first` has the first of them."""
    home.prepare()
    shutil.copytree(first.raw / "catalogs", home.raw / "catalogs")
    day = night_of(0).date().isoformat()
    texts = [(path.name, path.read_text()) for path in (first.raw / "manifests").rglob("*.json")]
    for number in range(nights):
        at = night_of(number).date().isoformat()
        folder = home.raw / "manifests" / f"run_date={at}"
        folder.mkdir(parents=True)
        for name, text in texts:
            (folder / name.replace(day, at)).write_text(text.replace(day, at))
    with duckdb.connect() as con:
        con.execute(f"attach '{first.warehouse}' as first (read_only)")
        attach(con, home.warehouse, "warehouse")
        con.execute("copy from database first to warehouse (schema); use warehouse")
        for table in (*CURATED_TABLES, INPUTS, INPUT_PARTS):
            con.execute(_copies(table, day, nights))
        con.execute(
            # where a build finds what performance was before the night that it adds
            f"update curated.change_points set performance_value = performance_value / 1.1 where endpoint < 'endpoint-{SLOWED:02}'"
        )
        con.execute("insert into meta.build from first.meta.build")
        found: Any = pa.table(
            dict(zip(("manifest", "fingerprint"), zip(*inventory.scan(home).items(), strict=True), strict=True))
        )
        con.register("found", found)
        con.execute(
            "update meta.inputs set fingerprint = found.fingerprint from found where inputs.manifest = found.manifest"
        )
        published.weigh(con, home.warehouse)
        con.execute("use memory; checkpoint warehouse; detach warehouse")


def _copies(table: Table, day: str, nights: int) -> str:
    """Insert the first night's rows once a night: days moved, names by the day, figures within 2 %."""
    measured = table.name not in BY_CATALOG
    columns = ", ".join(_moved(column.name, column.type, day, measured) for column in table.columns)
    # what belongs to a catalog snapshot is there once
    count = nights if {"night", "run_id", "manifest"} & {column.name for column in table.columns} else 1
    name = f"{table.schema}.{table.name}"
    return (
        f"insert into {name} by name select {columns} from range({count}) as n (number), first.{name} order by number"
    )


def _moved(column: str, type_: str, day: str, measured: bool) -> str:
    if type_ == "VARCHAR":
        return f"replace({column}, '{day}', strftime(date '{day}' + cast(number as integer), '%Y-%m-%d')) as {column}"
    if column in ("night", "run_date") or column.endswith("_started_at"):
        return f"cast({column} + to_days(cast(number as integer)) as {type_}) as {column}"
    # shares of one thing add up to it
    if measured and type_ == "DOUBLE" and column != "growth_factor" and not column.endswith("_share"):
        return f"{column} * (1 + 0.02 * (hash(number, {column}) % 1000) / 1000) as {column}"
    return column
