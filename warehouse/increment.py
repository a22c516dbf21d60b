"""The incremental build: the nights that changed are made anew in a copy of the published file (ADR 0020).

What it costs follows those nights. Of the others it reads names: neither their manifests nor their parts.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime

import duckdb

from schemas.columns import CURATED_TABLES, Table
from schemas.errors import BuildError
from transforms.memory import in_memory
from transforms.runner import BuildReport, build_history, build_nights
from warehouse import archive, inventory, manifests, published, sources
from warehouse.files import copy_file, synced_beside
from warehouse.home import Home
from warehouse.inventory import Inventory
from warehouse.published import Affected, Made, Origin, UnusableError
from warehouse.scratch import Scratch, attach, written_ahead


def increment(home: Home, found: Inventory, scratch: Scratch) -> Made:
    """Make the new file of `scratch` from the published one and what has changed since; 0 nights where nothing has.

    Raises:
        UnusableError: the published file cannot be built upon; all has to be built.
        LandingError, WarehouseError, BuildError: of a night that is to be made, as a build of all raises them.

    """
    with ExitStack() as opened:
        with _reason("the published file cannot be read"):
            _copy(home, scratch)
            con = opened.enter_context(scratch.connect())
            origin = published.origin(con)
        affected = _affected(home, origin, found)
        if not affected.nights:
            _check_changed_parts(con, home)
            return published.made(con, 0, BuildReport())
        # all of history is written to disk while one night is made
        opened.enter_context(synced_beside(scratch.new))
        report = _nights(con, home, affected, scratch)
        with _reason("the published file cannot be added to"):
            _merge(con, affected.nights)
            con.execute("detach fresh")
            report.add(build_history(con))
            published.describe_again(con, home, found, affected)
            made = published.made(con, len(affected.nights), report)
            is_loose = published.is_loose(con, scratch.new)
    if is_loose:
        _write_again(scratch)
    return made


@contextmanager
def _reason(what: str) -> Iterator[None]:
    """What goes wrong with the published file is no failure of the build: it is built from `raw/` then."""
    try:
        yield
    except (duckdb.Error, BuildError, OSError) as error:
        raise UnusableError(f"{what} ({str(error).splitlines()[0]})") from error


def _copy(home: Home, scratch: Scratch) -> None:
    """The published file in place of the new one: it is never written, and who has it open keeps it."""
    if not home.warehouse.exists():
        raise UnusableError("there was no warehouse")
    before = home.warehouse.stat()
    copy_file(home.warehouse, scratch.new)
    after = home.warehouse.stat()
    if written_ahead(home.warehouse) or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise UnusableError("somebody has written to the published file")


def _affected(home: Home, origin: Origin, found: Inventory) -> Affected:
    differing = inventory.differing(origin.inventory, found)
    changed = manifests.read(home, differing & found.keys())
    nights = {origin.nights[name] for name in differing & origin.nights.keys()}
    nights |= {manifest.night for manifest in changed.values()}
    if nights and nights >= set(origin.nights.values()):
        raise UnusableError("each night has changed")
    others = [name for name in found if name not in changed and origin.nights[name] in nights]
    return Affected(nights, changed | manifests.read(home, others))


def _check_changed_parts(con: duckdb.DuckDBPyConnection, home: Home) -> None:
    """With nothing else to do there is time to look at every part: one that is not as it was is hashed."""
    suspects = published.changed_parts(con, home)
    manifests.check_all_parts(home, manifests.read(home, sorted(suspects)).values())


def _nights(con: duckdb.DuckDBPyConnection, home: Home, affected: Affected, scratch: Scratch) -> BuildReport:
    """Make the rows of the affected nights alone, as `fresh.curated.*`."""
    live, archives = archive.settle(home, affected.closed)
    manifests.check_all_parts(home, live.values())
    scratch.prepare(con, sources.landed_bytes(home, live.values()))
    con.execute("attach ':memory:' as fresh; use fresh")
    sources.attach(con, home, live.values(), None, since=min(affected.nights))
    report = build_nights(con)
    archive.insert(con, home, archives)
    con.execute("use warehouse")
    return report


def _merge(con: duckdb.DuckDBPyConnection, nights: set[datetime]) -> None:
    """Put the rows of `fresh` in place of those that the nights had."""
    made = con.execute("select table_name from duckdb_tables() where database_name = 'fresh'").fetchall()
    tables = [table for table in CURATED_TABLES if (table.name,) in made]
    of_nights = [(table, condition) for table in tables if (condition := _of_nights(table))]
    given = {"nights": list(nights)}
    con.execute("begin")
    if con.execute("select count(*) from curated.runs where list_contains($nights, night)", given).fetchone() != (0,):
        # runs, the first table, last: others are found by it
        for table, condition in reversed(of_nights):
            con.execute(f"delete from curated.{table.name} where {condition}", given)
    for table, _ in of_nights:
        con.execute(f"insert into curated.{table.name} by name from fresh.curated.{table.name}")
    for table in tables:
        if not _of_nights(table):
            _merge_by_catalog(con, table)
    con.execute("commit")


def _of_nights(table: Table) -> str | None:
    """What holds of the rows of `$nights`; null where rows belong to a catalog snapshot, which nights share."""
    columns = {column.name for column in table.columns}
    if "night" in columns:
        return "list_contains($nights, night)"
    if {"run_id", "attempt"} <= columns:
        return f"""exists (
            from curated.runs
            where run_id = {table.name}.run_id and attempt = {table.name}.attempt and list_contains($nights, night)
        )"""
    if "catalog_hash" in columns:
        return None
    raise BuildError(f"curated.{table.name} has no night, no run and no catalog_hash: its rows belong to no night")


def _merge_by_catalog(con: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Rows of the snapshots that a run still has, each once."""
    name = f"curated.{table.name}"
    con.execute(f"delete from {name} where catalog_hash not in (select catalog_hash from curated.runs)")
    con.execute(
        f"insert into {name} by name from fresh.{name} where catalog_hash not in (select catalog_hash from {name})"
    )


def _write_again(scratch: Scratch) -> None:
    """Write the new file in one go, without the space that it does not use."""
    with in_memory(scratch.spill) as con:
        attach(con, scratch.new, "warehouse")
        attach(con, scratch.compact, "compact")
        con.execute("copy from database warehouse to compact; use compact")
        published.weigh(con, scratch.compact)
        con.execute("use memory; checkpoint compact; detach compact; detach warehouse")
    scratch.compact.replace(scratch.new)
