"""Landing: checks a part from `incoming/` and moves it into `raw/`; what breaks the contract goes to `quarantine/`.

The only module that writes trace parts under `raw/`. A part that keeps the contract is renamed as it is; it is
rewritten only where rows are rejected. Landing a part twice changes nothing.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.arrow import arrow_schema, write_options
from schemas.columns import REQUEST_TRACES
from schemas.contracts import split_request_traces
from schemas.errors import LandingError, PartRefusedError
from warehouse.files import sha256_of, sync_folder, write_bytes, write_whole
from warehouse.home import Home


@dataclass(frozen=True)
class LandedPart:
    """One part in `raw/` (`path` is relative to the home), or none of it where all was rejected."""

    path: str | None
    level_index: int
    rows: int
    sha256: str | None
    rows_quarantined: int
    reasons: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)


def partition(identity: dict[str, Any]) -> Path:
    """Folder of a run below `raw/request_traces` and its like."""
    return (
        Path(f"run_date={identity['run_date']}") / f"endpoint={identity['endpoint']}" / f"run_id={identity['run_id']}"
    )


def land_part(home: Home, part: Path, identity: dict[str, Any]) -> None:
    """Check `part` of the run and level in `identity` and move its rows into `raw/` and `quarantine/`.

    Raises:
        LandingError: `raw/` or `quarantine/` cannot be written; the part stays in `incoming/`.

    """
    target, rejected = _places(home, part.name, identity)
    try:
        frame = pl.read_parquet(part, glob=False, hive_partitioning=False)
        _same_run(frame, identity)
        split = split_request_traces(frame)
    except (PartRefusedError, pl.exceptions.PolarsError, OSError) as error:
        _refuse(part, rejected, f"{type(error).__name__}: {error}")
        return
    if not split.bad.height:
        _rename(part, target)
        return
    write_whole(rejected, lambda temporary: split.bad.write_parquet(temporary, compression="zstd"))
    if split.good.height:
        write_whole(target, lambda temporary: _rewrite(split.good, temporary))
    part.unlink()


def landed_parts(home: Home, identity: dict[str, Any]) -> list[LandedPart]:
    """What of the level in `identity` lies in `raw/` and `quarantine/`, read from the files themselves."""
    pattern = f"a{identity['attempt']}-l{identity['level_index']:03d}-s*.parquet"
    target, rejected = _places(home, pattern, identity)
    names = {path.name for folder in (target.parent, rejected.parent) for path in folder.glob(pattern)}
    return [_landed(home, name, identity) for name in sorted(names)]


def levels_present(home: Home, run: dict[str, Any]) -> set[int]:
    """Levels of an attempt with parts in `raw/` or `quarantine/`, noted or not."""
    target, rejected = _places(home, "", run)
    names = (path.name for folder in (target, rejected) for path in folder.glob(f"a{run['attempt']}-l*-s*.parquet"))
    return {int(name.split("-")[1][1:]) for name in names}


def _landed(home: Home, name: str, identity: dict[str, Any]) -> LandedPart:
    target, rejected = _places(home, name, identity)
    reasons, bad = _reasons(rejected)
    if not target.exists():
        return LandedPart(None, identity["level_index"], 0, None, bad, reasons)
    path = str(target.relative_to(home.root))
    return LandedPart(path, identity["level_index"], pq.read_metadata(target).num_rows, sha256_of(target), bad, reasons)


def _places(home: Home, name: str, identity: dict[str, Any]) -> tuple[Path, Path]:
    folder = Path(REQUEST_TRACES.name) / partition(identity)
    return home.raw / folder / name, home.quarantine / folder / name


def _same_run(frame: pl.DataFrame, identity: dict[str, Any]) -> None:
    for name in ("run_id", "attempt", "endpoint", "level_index"):
        if name in frame.columns:
            strange = frame.filter(pl.col(name) != identity[name])
            if strange.height:
                raise PartRefusedError(f"{name}: found {strange[name][0]!r} in a part of {identity[name]!r}")


def _refuse(part: Path, rejected: Path, why: str) -> None:
    """Put a part that cannot be read, or whose columns differ, into quarantine whole, the reason beside it."""
    try:
        rows = pq.read_metadata(part).num_rows
    except (pa.ArrowException, OSError):
        rows = 1  # unknown: at least one
    reason = {"part": part.name, "rows": rows, "column": None, "check": "whole part", "value": why}
    write_bytes(_reason_file(rejected), json.dumps(reason, indent=1).encode())
    _rename(part, rejected)


def _reason_file(rejected: Path) -> Path:
    return rejected.with_suffix(".reason.json")


def _rename(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise LandingError(
            f"cannot move {source} to {target}: {error.strerror}. The part is kept; free space and run again"
        ) from error


def _rewrite(frame: pl.DataFrame, path: Path) -> None:
    table = frame.to_arrow().select(arrow_schema(REQUEST_TRACES).names).cast(arrow_schema(REQUEST_TRACES))
    pq.write_table(table, path, **write_options(REQUEST_TRACES))


def _reasons(rejected: Path) -> tuple[dict[str, int], int]:
    """How many rows of a quarantine file broke which `column: check`, and how many rows it holds."""
    if _reason_file(rejected).exists():
        whole = json.loads(_reason_file(rejected).read_bytes())
        return {str(whole["value"])[:500]: whole["rows"]}, whole["rows"]
    if not rejected.exists():
        return {}, 0
    counts: Counter[str] = Counter()
    bad = pl.read_parquet(rejected, columns=["reasons"], glob=False, hive_partitioning=False)["reasons"]
    for reasons in bad:
        counts.update({f"{r['column']}: {r['check']}" for r in reasons})
    return dict(counts.most_common()), len(bad)
