"""Landing: checks a part from `incoming/` and moves it into `raw/`; what breaks the contract goes to `quarantine/`.

The only module that writes parts under `raw/`. A part's name says level and table: `a1-l001-s000.parquet` and
`a1-l001-s000-p001.parquet` are traces, `a1-l001-s000.client_health.parquet`, `a1-l001.server_metrics.parquet` and
`a1-l001.summary_points.parquet` what their names say. A part that keeps the contract is renamed as it is; it is rewritten only where rows are rejected.
Landing a part twice changes nothing.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.arrow import arrow_schema, write_options
from schemas.columns import LANDED_TABLES, REQUEST_TRACES, TRACE_SCHEMA_VERSION, Table
from schemas.digest import file_digest
from schemas.errors import LandingError, PartRefusedError
from warehouse.files import sync_folder, write_bytes, write_whole
from warehouse.home import Home

_TABLES = {table.name: table for table in LANDED_TABLES}
_PART = re.compile(
    r"a(?P<attempt>\d+)-l(?P<level>\d+)(-s\d+)?(-p\d+)?(\.(?P<table>client_health|server_metrics|summary_points))?\.parquet"
)


@dataclass(frozen=True)
class PartName:
    """What the name of a part says."""

    attempt: int
    level_index: int
    table: Table

    @classmethod
    def of(cls, path: Path) -> "PartName | None":
        """Read a file's name; null where it is not that of a part."""
        match = _PART.fullmatch(path.name)
        if match is None:
            return None
        return cls(int(match["attempt"]), int(match["level"]), _TABLES[match["table"] or REQUEST_TRACES.name])


@dataclass(frozen=True)
class LandedPart:
    """One part of `table` in `raw/` (`path` is relative to the home), or none of it where all was rejected."""

    table: str
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
    """Folder of a run below `raw/<table>`."""
    return (
        Path(f"run_date={identity['run_date']}") / f"endpoint={identity['endpoint']}" / f"run_id={identity['run_id']}"
    )


def land_part(home: Home, part: Path, identity: dict[str, Any]) -> None:
    """Check `part` of the run and level in `identity` and move its rows into `raw/` and `quarantine/`.

    A part that an older version wrote lacks the columns that came later; they count as null.

    Raises:
        LandingError: `raw/` or `quarantine/` cannot be written, or a newer Ratecard wrote the part; it stays in
            `incoming/`.

    """
    from schemas.contracts import SPLITTERS, of_this_version  # with pandera, which no build needs

    table = _table_of(part)
    target, rejected = _places(home, table, part.name, identity)
    try:
        read = pl.read_parquet(part, glob=False, hive_partitioning=False)
        _not_newer(part, table, read)
        frame = of_this_version(table, read)
        _same_run(frame, identity)
        split = SPLITTERS[table.name](frame)
    except (PartRefusedError, pl.exceptions.PolarsError, OSError) as error:
        _refuse(part, rejected, f"{type(error).__name__}: {error}")
        return
    if not split.bad.height:
        _rename(part, target)
        return
    # by pyarrow, which says OSError of a full disk; polars' error is one of its own
    write_whole(rejected, lambda temporary: pq.write_table(split.bad.to_arrow(), temporary, compression="zstd"))
    if split.good.height:
        write_whole(target, lambda temporary: _rewrite(table, split.good, temporary))
    part.unlink()


def landed_parts(home: Home, identity: dict[str, Any]) -> list[LandedPart]:
    """What of the level in `identity` lies in `raw/` and `quarantine/`, read from the files themselves."""
    wanted = {path.name for path, name in _present(home, identity) if name.level_index == identity["level_index"]}
    return [_landed(home, name, identity) for name in sorted(wanted)]


def levels_present(home: Home, run: dict[str, Any]) -> set[int]:
    """Levels of an attempt with parts in `raw/` or `quarantine/`, noted or not."""
    return {name.level_index for _, name in _present(home, run)}


def _present(home: Home, run: dict[str, Any]) -> Iterator[tuple[Path, PartName]]:
    """Parts of an attempt in `raw/` and `quarantine/`; a part that is in both comes twice."""
    for table in LANDED_TABLES:
        for folder in _places(home, table, "", run):
            for path in folder.glob("a*.parquet"):
                name = PartName.of(path)
                if name is not None and name.attempt == run["attempt"]:
                    yield path, name


def _landed(home: Home, name: str, identity: dict[str, Any]) -> LandedPart:
    table = _table_of(Path(name))
    target, rejected = _places(home, table, name, identity)
    reasons, bad = _reasons(rejected)
    level = identity["level_index"]
    if not target.exists():
        return LandedPart(table.name, None, level, 0, None, bad, reasons)
    path, rows = str(target.relative_to(home.root)), pq.read_metadata(target).num_rows
    return LandedPart(table.name, path, level, rows, file_digest(target), bad, reasons)


def _table_of(part: Path) -> Table:
    name = PartName.of(part)
    assert name is not None, f"{part.name} is not the name of a part"
    return name.table


def _places(home: Home, table: Table, name: str, identity: dict[str, Any]) -> tuple[Path, Path]:
    folder = Path(table.name) / partition(identity)
    return home.raw / folder / name, home.quarantine / folder / name


def _not_newer(part: Path, table: Table, frame: pl.DataFrame) -> None:
    """Quarantine is for what is wrong: a part of a newer version waits for an upgrade."""
    version = frame["schema_version"].max() if "schema_version" in frame.columns else None
    if isinstance(version, int) and version > TRACE_SCHEMA_VERSION:
        unknown = ", ".join(sorted(set(frame.columns) - {column.name for column in table.columns}))
        raise LandingError(
            f"{part} was written by a newer Ratecard (schema version {version}, columns unknown here: {unknown or 'none'}): "
            "upgrade ratecard to land it; it is kept where it is"
        )


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


def _rewrite(table: Table, frame: pl.DataFrame, path: Path) -> None:
    schema = arrow_schema(table)
    pq.write_table(frame.to_arrow().select(schema.names).cast(schema), path, **write_options(table))


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
