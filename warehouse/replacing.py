"""Puts other files in the place of an attempt's parts: new files first, then the manifest in one rename, then the old ones go.

So a manifest names parts that are there and whole at every moment. What a process left that was killed in between, a
new file without a manifest or an old one that no manifest names any more, is cleared by the next.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.columns import LANDED_TABLES
from schemas.digest import file_digest
from schemas.errors import WarehouseError
from warehouse import manifests
from warehouse.home import Home
from warehouse.landing import partition
from warehouse.manifests import Manifest
from warehouse.retention import Part, Step, file_of, groups, present
from warehouse.rewriting import rewrite
from warehouse.runs import now

_TABLES = {table.name: table for table in LANDED_TABLES}
_DONE = {"compact": "compacted", "thin": "thinned", "drop": "dropped"}
_OURS = "kept-a"
"""What names of files begin with that are no part of a load level."""


@dataclass(frozen=True)
class Replacement:
    """Parts in the place of others; their files are there, and no manifest names them yet."""

    step: Step
    old: list[Part]
    new: list[Part]


def prepare(home: Home, step: Step) -> Replacement:
    """Write the files that are to take the place of the parts of `step`.

    Raises:
        WarehouseError: a part is missing or not as it landed.
        LandingError: a file cannot be written.

    """
    old = present(step.manifest, step.table)
    if broken := list(manifests.check(home, old)):
        raise WarehouseError("\n".join([*broken, "restore it from a backup: nothing was done to this run"]))
    if step.action == "drop":
        return Replacement(step, old, [_note(step, old) | {"path": None, "rows": 0, "sha256": None}])
    if step.action == "thin":
        return Replacement(step, old, [_written(home, step, old)])
    return Replacement(
        step, old, [group[0] if len(group) == 1 else _written(home, step, group) for group in groups(home, old)]
    )


def commit(home: Home, replacement: Replacement) -> None:
    """Name the new parts in the manifest and remove the old files. The caller holds the lock of the builds.

    Raises:
        LandingError: the manifest cannot be written: it is as it was, and so are the old files.

    """
    step, old, new = replacement.step, replacement.old, replacement.new
    closed = manifests.read_one(
        home, manifests.path_of(home, step.run)
    )  # its other tables may have changed since the step was planned
    staying = [part for part in closed.parts if part not in old]
    manifests.rewrite(home, step.run, [*staying, *new])
    _remove(home, {str(part["path"]) for part in old} - {str(part["path"]) for part in new})


def clear(home: Home, closed: Iterable[Manifest]) -> None:
    """Remove what a killed retention left: new files that no manifest names yet, and old ones that it names no more.

    Of a run whose manifest is not there nothing is touched.
    """
    for manifest in closed:
        named = {part["path"] for part in manifest.parts}
        replaced = {path for part in manifest.parts for path in (part.get("retained") or {}).get("replaces", ())}
        _remove(home, [path for path in replaced if (home.root / path).exists()])
        _remove(home, {str(path.relative_to(home.root)) for path in _ours(home, manifest)} - named)
        at = manifests.path_of(home, manifest.run)
        for half in at.parent.glob(f".{at.name}.*.tmp"):
            half.unlink()


def _ours(home: Home, manifest: Manifest) -> Iterator[Path]:
    """Files of an attempt that a retention wrote, half-written ones too."""
    for table in _TABLES:
        folder = home.raw / table / partition(manifest.run)
        for start in ("", "."):
            yield from folder.glob(f"{start}{_OURS}{manifest.run['attempt']}-*")


def _written(home: Home, step: Step, old: list[Part]) -> Part:
    """One file of the rows of `old`, all or a share of them, as a part."""
    folder = file_of(home, old[0]).parent
    target = _free_name(folder, int(step.run["attempt"]))
    rows = rewrite(_TABLES[step.table], [file_of(home, part) for part in old], target, step.share)
    path = str(target.relative_to(home.root))
    return _note(step, old) | {"path": path, "rows": rows, "sha256": file_digest(target)}


def _free_name(folder: Path, attempt: int) -> Path:
    number = 0
    while (path := folder / f"{_OURS}{attempt}-{number:03d}.parquet").exists():
        number += 1
    return path


def _note(step: Step, old: list[Part]) -> Part:
    """What the manifest says of parts that became one, but for its file."""
    levels = {part["level_index"] for part in old}
    reasons: Counter[str] = Counter()
    for part in old:
        reasons.update(part["reasons"])
    retained: dict[str, Any] = {
        "action": _DONE[step.action],
        "at": now(),
        "rule": step.rule,
        "share": step.share,
        "rows_before": sum(part["rows"] for part in old),
        "replaces": [part["path"] for part in old],
    }
    return {
        "table": step.table,
        "level_index": levels.pop() if len(levels) == 1 else None,
        "rows_quarantined": sum(part["rows_quarantined"] for part in old),
        "reasons": dict(reasons),
        "retained": retained,
    }


def _remove(home: Home, paths: Iterable[str]) -> None:
    """Remove files, and the folder of a run that nothing is left in."""
    for path in sorted(paths):
        file = home.root / path
        file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # there are others
            file.parent.rmdir()
