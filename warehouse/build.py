"""Build and publish: `raw/` -> a new DuckDB file beside the old one -> swapped in.

The published file is never written in place: a reader keeps the file that it opened, whole, until it opens again. A
build makes the nights that have changed (`warehouse.increment`), or all of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from schemas.catalog import Catalog
from schemas.columns import METRIC_VERSION
from schemas.errors import BuildError, WarehouseError
from transforms.runner import BuildReport
from transforms.runner import build as run_transforms
from warehouse import archive, inventory, manifests, published, sources
from warehouse.files import is_full, reason
from warehouse.home import Home
from warehouse.increment import increment
from warehouse.inventory import Inventory
from warehouse.published import Made, UnusableError
from warehouse.scratch import Scratch, scratch


@dataclass(frozen=True)
class Built:
    """What was published: `runs` and `rows` by table are all that the file has, `report` is of the `nights` made now.

    `whole_because` says why all nights were made; null: those that had changed.
    """

    path: Path
    runs: int
    nights: int
    rows: dict[str, int]
    report: BuildReport
    whole_because: str | None
    notes: tuple[str, ...]

    def what(self) -> str:
        """What was made, in words."""
        if not self.nights and self.whole_because is None:
            return "nothing had changed"
        held = f"{self.report.assertions} checks held"
        nights = f"{self.nights} night{'' if self.nights == 1 else 's'}"
        if self.whole_because is None:
            return f"{nights} made anew, {held}"
        return f"{nights}, all made anew ({self.whole_because}), {held}"


def build(home: Home, catalog: Catalog | None = None, *, recompute: bool = False, wait_s: float = 600.0) -> Built:
    """Make the nights that have changed since the published file was built, and publish.

    `recompute` makes all of them, from `raw/` alone; so does `catalog`, which prices all of history with its SLOs, demands
    and prices instead of each night's own (what-if), and the build after such a one. So does a published file that is
    missing, damaged or of another version. A build by another process is waited for, up to `wait_s` seconds.

    Raises:
        LandingError: a manifest or snapshot cannot be read.
        WarehouseError: a part is missing or has changed, a check of the transforms failed, or the disk is full; the
            published file is untouched.

    """
    with scratch(home, wait_s) as files, _told(home):
        found = inventory.scan(home)
        because = "priced with one catalog" if catalog else "as asked for" if recompute else None
        if because is None:
            try:
                made = increment(home, found, files)
            except UnusableError as error:
                because = str(error)
        if because is not None:
            files.clear()
            made = _whole(home, found, catalog, files)
        if because is not None or made.nights:
            files.publish()
    return Built(home.warehouse, len(found), made.nights, made.rows, made.report, because, tuple(_notes(made, catalog)))


def _whole(home: Home, found: Inventory, catalog: Catalog | None, files: Scratch) -> Made:
    closed = manifests.read(home, found)
    live, archives = archive.settle(home, closed)
    manifests.check_all_parts(home, live.values())
    first = min((manifest.night for manifest in closed.values()), default=None)
    with files.connect() as con:
        files.prepare(con, sources.landed_bytes(home, live.values()))
        sources.attach(con, home, live.values(), catalog, since=first)
        report = run_transforms(con, after_nights=lambda: archive.insert(con, home, archives))
        published.describe(con, home, found, closed, catalog)
        published.weigh(con, files.new)
        return published.made(con, len({manifest.night for manifest in closed.values()}), report)


def _notes(made: Made, catalog: Catalog | None) -> Iterator[str]:
    for version, nights in made.older:
        yield (
            f"{nights} nights keep their figures of metric version {version}, this is version {METRIC_VERSION}: "
            "`ratecard build --recompute` makes them anew"
        )
    if catalog is not None and made.archived:
        yield f"{made.archived} archived nights keep the prices that they were archived with: their traces are gone"
    for manifest in made.left_out:
        yield f"{manifest} is left out: it landed after its night was archived (docs/corrections.md)"


@contextmanager
def _told(home: Home) -> Iterator[None]:
    """Say of an error of the database or the disk what is untouched and what to do."""
    try:
        yield
    except (BuildError, duckdb.Error, OSError) as error:
        kept = f"What was measured is kept in {home.raw}, and what was published before is untouched"
        if is_full(error):
            raise WarehouseError(
                f"the warehouse was not rebuilt: {reason(error)}. {kept}. Free some space in {home.root}, which a new "
                "warehouse takes beside the published one; then `ratecard build`"
            ) from error
        raise WarehouseError(
            f"the warehouse was not rebuilt: {error}\n{kept}. If the disk is full, free some space there; then `ratecard build`"
        ) from error
