"""What `raw/` holds by names alone: which attempts are closed, and whether what is said of one has changed.

A year has thousands of manifests. A build lists them and reads those that are new or not as they were.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from schemas.errors import LandingError
from warehouse.home import Home

Inventory = Mapping[str, str]
"""Fingerprint by manifest, `run_date=…/<run_id>-a<attempt>.json`."""


def scan(home: Home) -> Inventory:
    """The closed attempts, and a fingerprint of each: size and time of its manifest and of a retraction of it.

    Times are compared for being equal, never for which is later: a clock may go back.

    Raises:
        LandingError: a folder cannot be read.

    """
    root = home.raw / "manifests"
    try:
        retracted = dict(_listed(home.raw / "retractions"))
        return {
            f"{folder}/{name}": f"{print_} retracted {retracted[name]}" if name in retracted else print_
            for folder in sorted(_folders(root))
            for name, print_ in _listed(root / folder)
        }
    except OSError as error:
        raise LandingError(
            f"{error.filename} cannot be read ({error.strerror}): mend its permissions or disk"
        ) from error


def differing(before: Inventory, now: Inventory) -> set[str]:
    """Manifests that are new, gone, or not what they were."""
    return {name for name in {*before, *now} if before.get(name) != now.get(name)}


def _folders(root: Path) -> list[str]:
    try:
        return [path.name for path in root.iterdir() if path.name.startswith("run_date=")]
    except FileNotFoundError:
        return []


def _listed(folder: Path) -> Iterator[tuple[str, str]]:
    """Names of the JSON files of a folder in order, with size and time of each; nothing where there is no folder."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        # by the folder at hand: to walk the whole path for each of thousands takes half as long again
        with os.scandir(opened) as entries:
            files = [entry for entry in entries if entry.name.endswith(".json") and not entry.name.startswith(".")]
            yield from sorted((entry.name, _fingerprint(entry.stat())) for entry in files)
    finally:
        os.close(opened)


def fingerprint(path: Path) -> str | None:
    """Size and time of a file; null where there is none."""
    try:
        return _fingerprint(path.stat())
    except FileNotFoundError:
        return None


def _fingerprint(status: os.stat_result) -> str:
    return f"{status.st_size} {status.st_mtime_ns}"
