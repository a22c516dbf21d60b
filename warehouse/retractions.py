"""Retractions: what was said of an attempt after it was measured, in a file beside its manifest.

`raw/retractions/<run_id>-a<attempt>.json` holds every word on an attempt, oldest first, and grows only; the last one
counts. The manifest and the traces stay as they landed.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schemas.errors import LandingError
from warehouse.files import write_bytes
from warehouse.home import Home

VERSION = 1
_COLUMNS = ("retracted_at", "retracted_why", "retracted_by")


@dataclass(frozen=True)
class Word:
    """One thing said of an attempt: that it is retracted, or (`retracted` false) that it counts again."""

    retracted: bool
    at: str
    why: str
    by: str


def path_of(home: Home, run_id: str, attempt: int) -> Path:
    """Where the words on an attempt stand, or will."""
    return home.raw / "retractions" / f"{run_id}-a{attempt}.json"


def words(home: Home, run_id: str, attempt: int) -> list[Word]:
    """Everything that was said of an attempt, oldest first.

    Raises:
        LandingError: the file cannot be read, or was written by a newer Ratecard.

    """
    path = path_of(home, run_id, attempt)
    try:
        content = json.loads(path.read_bytes())
        if content["retraction_version"] > VERSION:
            raise LandingError(
                f"{path} was written by a newer Ratecard (retraction version {content['retraction_version']}): upgrade "
                "ratecard to read it"
            )
        return [Word(**word) for word in content["words"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LandingError(
            f"{path} is not a readable retraction ({error}): restore it from a backup, or move it away and retract again"
        ) from error


def columns(home: Home, run_id: str, attempt: int) -> dict[str, Any]:
    """The columns of `raw.runs` that say whether an attempt is retracted; null where it counts."""
    said = words(home, run_id, attempt)
    if not said or not said[-1].retracted:
        return dict.fromkeys(_COLUMNS)
    return dict(zip(_COLUMNS, (said[-1].at, said[-1].why, said[-1].by), strict=True))


def add(home: Home, run_id: str, attempt: int, word: Word) -> None:
    """Say one more thing of an attempt. The caller holds the lock on corrections.

    Raises:
        LandingError: it cannot be written; what was said before stands as it was.

    """
    said = [*words(home, run_id, attempt), word]
    content = {"retraction_version": VERSION, "run_id": run_id, "attempt": attempt, "words": [asdict(w) for w in said]}
    write_bytes(path_of(home, run_id, attempt), json.dumps(content, indent=1).encode())
