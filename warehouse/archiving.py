"""Archives a night of the published warehouse, once that stands on all that has landed of it."""

import duckdb

from schemas.errors import WarehouseError
from transforms.runner import curated_of_nights
from warehouse import archive, inventory, manifests, published
from warehouse.ask import connect
from warehouse.home import Home
from warehouse.inventory import Inventory
from warehouse.runs import RunFolder


def archived(home: Home, run_date: str, night: str) -> bool:
    """Archive `night` anew, unless it is frozen already. The caller holds the locks of builds and of corrections.

    Raises:
        WarehouseError: a run of the night is open, or the published file does not stand on what has landed of it.
        LandingError: the archive cannot be written.

    """
    if archive.is_frozen(home, run_date, night):
        archive.read(home, night)  # it is there, and whole
        return False
    if opened := _open_runs(home, night):
        raise WarehouseError(
            f"{opened[0]} of the night {night} is being measured: the night is left as it is until then"
        )
    with connect(home) as con:
        _check_published(con, _landed(home, run_date, night))
        archive.write(home, con, night, curated_of_nights(con))
    return True


def _open_runs(home: Home, night: str) -> list[str]:
    folders = [RunFolder(home, path.parent) for path in home.incoming.glob("[!.]*/run.json")]
    return [str(run["run_id"]) for run in (folder.run() for folder in folders) if run["night"] == night]


def _landed(home: Home, run_date: str, night: str) -> Inventory:
    found = {name: print_ for name, print_ in inventory.scan(home).items() if name.startswith(f"run_date={run_date}/")}
    closed = manifests.read(home, found)
    return {name: print_ for name, print_ in found.items() if closed[name].run["night"] == night}


def _check_published(con: duckdb.DuckDBPyConnection, landed: Inventory) -> None:
    """Raises WarehouseError where the published file does not hold each of `landed` as it is now, at its own prices."""
    try:
        built = published.origin(con).inventory
    except published.UnusableError as error:
        raise WarehouseError(
            f"the warehouse cannot be archived from: {error}. `ratecard build` makes it anew"
        ) from error
    if changed := sorted(name for name, print_ in landed.items() if built.get(name) != print_):
        raise WarehouseError(f"{changed[0]} changed while the night was to be archived: the next retention takes it up")
