"""`ratecard demo --sample`: runs of a GPU that somebody measured, from files of the repository, landed and priced here."""

import shutil
import tempfile
from pathlib import Path

from flows.catalogs import starter
from schemas.catalog import Catalog
from schemas.catalog_files import load
from schemas.errors import UsageError
from warehouse import recovery
from warehouse.build import build
from warehouse.home import Home
from warehouse.samples import land_sample

SAMPLES = Path(__file__).parents[1] / "samples"
"""In a clone of the repository; the installed package leaves them out."""


def sample_folder(name: str) -> Path:
    """The sample of that name, or at that path.

    Raises:
        UsageError: there is none.

    """
    for folder in (SAMPLES / name, Path(name)):
        if (folder / "catalog").is_dir():
            return folder
    have = ", ".join(sorted(path.parent.name for path in SAMPLES.glob("*/catalog")))
    raise UsageError(
        f"--sample {name}: no such sample; expected "
        + (
            f"{have}, or a folder like it"
            if have
            else f"a folder like samples/h200 of a clone of the repository ({SAMPLES} has none)"
        )
    )


def catalog_of(sample: Path) -> Catalog:
    """The sample's catalog, priced with the starter's price book."""
    with tempfile.TemporaryDirectory(prefix="ratecard-sample-") as scratch:
        folder = Path(scratch)
        for path in (*sorted((sample / "catalog").glob("*.yaml")), starter() / "prices.yaml"):
            shutil.copy(path, folder)
        return load(folder)


def take_in(home: Home, name: str) -> list[str]:
    """Land the sample `name` and build the warehouse; the ids of the runs of its last night.

    Raises:
        UsageError: there is no such sample.
        RatecardError: it could not be landed, or the warehouse not built.

    """
    folder = sample_folder(name)
    home.prepare()
    recovery.recover(home)
    nights = land_sample(home, folder, catalog_of(folder))
    build(home)
    return nights[max(nights)]
