"""Imported levels into runs: written as parts, landed through the contract, closed by a manifest.

A run is all levels of one endpoint, workload and tool on one day. Its manifest grows by levels, in one atomic step each
time, and never changes what it has: files given together or one after another come to the same. A level's index is made
of what names the measurement; one that is there with the same content is left alone, with another it is a conflict, and
goes to quarantine with the values of both.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.arrow import arrow_schema, write_options
from schemas.catalog import Catalog
from schemas.columns import SUMMARY_POINTS
from schemas.errors import EndpointBusyError, LandingError, ResultFileError
from warehouse import manifests
from warehouse.archive import is_frozen
from warehouse.files import write_bytes
from warehouse.home import Home, exclusive
from warehouse.importers.content import Content
from warehouse.importers.files import as_written_by
from warehouse.importers.levels import Level, Said
from warehouse.importers.parts import Parts, collector_off
from warehouse.importers.runs import run_of
from warehouse.importers.traces import constants_of, table_of
from warehouse.landing import LandedPart, land_part, landed_parts

_PREFIX = "import-"


@dataclass
class Outcome:
    """What became of one level."""

    level: Level
    run_id: str
    status: str
    """landed, already there, conflict or refused."""
    requests: int | None = 0
    """Null where a summary does not count them."""
    quarantined: int = 0
    message: str = ""
    notes: list[str] = field(default_factory=list)


def land(
    home: Home, levels: list[Level], said: Said, endpoint: dict[str, Any], money: Callable[[str], Catalog]
) -> list[Outcome]:
    """Land `levels` of `said.endpoint`, whose configuration is `endpoint`; `money` is the catalog for a workload.

    Raises:
        EndpointBusyError: another import of the endpoint is going on.
        LandingError: the home cannot be written; what had landed before is kept.

    """
    with _alone(home, said.endpoint):
        placed, outcomes = [], []
        for level in levels:
            try:
                with as_written_by(level.tool, level.source):
                    placed.append((run_of(level, said, endpoint), level))
            except ResultFileError as error:
                outcomes.append(Outcome(level, "", "refused", message=str(error)))
        placed.sort(key=lambda entry: (entry[0]["run_id"], entry[1].level_index))
        return outcomes + [_Landing(home, run, level, money(run["workload"])).land() for run, level in placed]


@contextmanager
def _alone(home: Home, endpoint: str) -> Iterator[None]:
    """One import of an endpoint at a time; what one that died left in `incoming/` is removed, since none of it counts."""
    with exclusive(home.locks / f".{_PREFIX}{endpoint}.lock") as descriptor:
        if descriptor is None:
            raise EndpointBusyError(f"another import for endpoint {endpoint} is going on: try again when it is done")
        for left in home.incoming.glob(f"{_PREFIX}*_{endpoint}_*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


class _Landing:
    """One level on its way."""

    def __init__(self, home: Home, run: dict[str, Any], level: Level, catalog: Catalog) -> None:
        self.home, self.level, self.catalog = home, level, catalog
        self.closed = _closed(home, run)
        attempt = 1 if self.closed is None else int(self.closed.run["attempt"])
        if self.closed is not None and self.closed.run.get("retracted_at"):
            attempt, self.closed = attempt + 1, None
        self.run = run | {"attempt": attempt}
        self.index, self.there = self._place()
        self.folder = home.incoming / f"{_PREFIX}{run['run_id']}-a{attempt}"

    @property
    def _identity(self) -> dict[str, Any]:
        return {name: self.run[name] for name in ("run_id", "attempt", "endpoint", "run_date")} | {
            "level_index": self.index
        }

    def _place(self) -> tuple[int, dict[str, Any] | None]:
        """The level's index, and what the manifest says of it, if it is there; two tests that hash alike move on by one."""
        known = {} if self.closed is None else {entry["level_index"]: entry for entry in self.closed.plan["levels"]}
        index = self.level.level_index
        while index in known and known[index]["identity"] != self.level.identity:
            index += 1
        return index, known.get(index)

    def land(self) -> Outcome:
        """Write, compare, land, close."""
        if is_frozen(self.home, self.run["run_date"], self.run["night"]):
            return self._outcome(
                "refused",
                message=f"{self.level.source}: the night {self.run['night']} is archived, its traces are thinned or dropped: nothing can be "
                "added to it; give another --night",
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with as_written_by(self.level.tool, self.level.source):
                content = self._write()
            if self.level.finish is not None:
                self.level.finish()
            return self._decide(content)
        except ResultFileError as error:
            return self._outcome("refused", message=str(error))
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _decide(self, content: Content) -> Outcome:
        if self.there is not None and self.there["content_sha256"] == content.sha256:
            return self._outcome("already there", requests=content.rows)
        if self.there is not None:
            return self._conflict(content)
        landed = self._move()
        self._reject()
        good, bad = sum(part.rows for part in landed), sum(part.rows_quarantined for part in landed)
        bad += len(self.level.rejected) if self.level.records else 0
        if not good:
            reasons = ", ".join(f"{name} ({n})" for part in landed for name, n in list(part.reasons.items())[:3])
            where = self.home.quarantine
            return self._outcome(
                "refused",
                quarantined=bad,
                message=f"{self.level.source}: nothing of it keeps the contract ({reasons}): see {where}",
            )
        self._close(landed, content, good, bad)
        requests = good if self.level.records else (self.level.summary or {}).get("requests")
        return self._outcome("landed", requests=requests, quarantined=bad)

    def _outcome(self, status: str, **rest: Any) -> Outcome:
        return Outcome(self.level, self.run["run_id"], status, notes=self.level.notes, **rest)

    # -- parts

    def _write(self) -> Content:
        return self._write_records() if self.level.records else self._write_summary()

    def _write_records(self) -> Content:
        assert self.level.records is not None
        shared = constants_of(self.run, self.level) | {"level_index": self.index, "attempt": self.run["attempt"]}
        epoch = datetime.combine(
            (self.level.started_at or datetime.fromisoformat(self.run["night"])).date(), datetime.min.time()
        )
        content = Content()
        name = f"a{self.run['attempt']}-l{self.index:03d}-s000"
        try:
            with collector_off(), Parts(self.folder, name) as parts:
                for records in self.level.records():
                    table = table_of(records, shared, epoch)
                    if self.level.inspect is not None:
                        self.level.inspect(table)
                    parts.add(table, content)
        except OSError as error:
            raise LandingError(
                f"cannot write {self.folder}: {error.strerror or error}; free some space and import again"
            ) from error
        if not content.rows:
            raise ResultFileError(f"{self.level.source}: no record in it could be read: {self._first_reason()}")
        return content

    def _first_reason(self) -> str:
        return self.level.rejected[0].reason if self.level.rejected else "it has none"

    def _write_summary(self) -> Content:
        level, columns = self.level, self.level.summary or {}
        content = Content.of_summary(columns)
        row = columns | self._identity | {
            "run_date": datetime.fromisoformat(self.run["run_date"]).date(), "load_kind": level.load_kind,
            "concurrency": level.concurrency, "request_rate": level.request_rate, "tool": level.tool,
            "tool_version": level.tool_version, "source_file": level.source.name, "content_sha256": content.sha256,
            "started_at": level.started_at,
        }  # fmt: skip
        schema = arrow_schema(SUMMARY_POINTS)
        table = pa.Table.from_pylist([{name: row.get(name) for name in schema.names}], schema=schema)
        path = self.folder / f"a{self.run['attempt']}-l{self.index:03d}.summary_points.parquet"
        pq.write_table(table, path, **write_options(SUMMARY_POINTS))
        return content

    def _move(self) -> list[LandedPart]:
        for stale in self._stale():
            stale.unlink()
        for part in sorted(self.folder.glob("*.parquet")):
            land_part(self.home, part, self._identity)
        return landed_parts(self.home, self._identity)

    def _stale(self) -> Iterator[Path]:
        """Parts of an import that died before its manifest: no manifest vouches for them."""
        for part in landed_parts(self.home, self._identity):
            if part.path is not None:
                yield self.home.root / part.path

    # -- quarantine and manifest

    def _reject(self) -> None:
        """Keep what was not taken, each with its reason."""
        if self.level.rejected:
            lines = [
                json.dumps(
                    {"source": r.source, "where": r.where, "reason": r.reason, "content": r.content}, default=str
                )
                for r in self.level.rejected
            ]
            write_bytes(self._aside("rejected.jsonl"), ("\n".join(lines) + "\n").encode())

    def _aside(self, name: str) -> Path:
        run = self.run
        folder = self.home.quarantine / "imports" / f"run_date={run['run_date']}" / f"endpoint={run['endpoint']}"
        return folder / f"{run['run_id']}-a{run['attempt']}-l{self.index:03d}.{name}"

    def _conflict(self, content: Content) -> Outcome:
        """The same measurement with other values: what was first stays, the other goes to quarantine with both."""
        assert self.there is not None
        differing = content.differences(self.there["figures"])
        path = self._aside(f"conflict-{content.sha256[:8]}.json")
        both = {
            "source": str(self.level.source), "kept": self.there, "offered": content.figures, "content_sha256": content.sha256,
            "differing": {name: {"kept": kept, "offered": offered} for name, kept, offered in differing},
        }  # fmt: skip
        write_bytes(path, json.dumps(both, indent=1, default=str).encode())
        for part in self.folder.glob("*.parquet"):
            shutil.move(part, path.with_name(f"{path.stem}.{part.name}"))
        self._reject()
        shown = "; ".join(
            f"{name} {_shown(kept)} there, {_shown(offered)} here" for name, kept, offered in differing[:4]
        )
        return self._outcome(
            "conflict",
            quarantined=content.rows,
            message=f"{self.level.source}: {self.level.load}: this measurement is there with other values ({shown or 'in single requests'}). What "
            f"was first is kept, this is in {path}. If the new one is right: ratecard retract {self.run['run_id']}, then import again",
        )

    def _close(self, landed: list[LandedPart], content: Content, good: int, bad: int) -> None:
        """Add the level to the manifest, which vouches for its parts."""
        level = self.level
        row = {
            "run_id": self.run["run_id"], "attempt": self.run["attempt"], "level_index": self.index, "load_kind": level.load_kind,
            "concurrency": level.concurrency, "request_rate": level.request_rate, "status": "complete", "failure": None,
            "rows_landed": good if level.records else 0, "rows_quarantined": bad,
        }  # fmt: skip
        entry = {
            "level_index": self.index, "identity": level.identity, "content_sha256": content.sha256, "figures": content.figures,
            "source_file": level.source.name, "client_version": constants_of(self.run, level)["client_version"],
            "began": (level.started_at or datetime.fromisoformat(self.run["night"])).isoformat(),
            "ended": content.ended(level, self.run), "is_summary": level.records is None,
        }  # fmt: skip
        before = self.closed or manifests.Manifest({}, [], [], {"imported": True, "levels": []})
        levels = sorted([*before.levels, row], key=lambda r: r["level_index"])
        entries = sorted([*before.plan["levels"], entry], key=lambda e: e["level_index"])
        parts = sorted(
            [*before.parts, *(p.as_json() for p in landed)], key=lambda p: (p["level_index"], str(p["path"]))
        )
        # what was said of the run since stands beside its manifest, not in it
        known = {name: v for name, v in before.run.items() if not name.startswith("retracted_")} or self.run | {
            "catalog_hash": manifests.write_catalog(self.home, self.catalog)
        }
        run = known | {
            "started_at": min(e["began"] for e in entries),
            "ended_at": max(e["ended"] for e in entries),
            "client_version": ", ".join(sorted({e["client_version"] for e in entries})),
            "levels_planned": len(levels),
            "levels_measured": len(levels),
            "rows_quarantined": sum(r["rows_quarantined"] for r in levels),
            "status": "complete",
            "failure": None,
        }
        manifests.write(self.home, manifests.Manifest(run, levels, parts, before.plan | {"levels": entries}))


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else str(value)


def _closed(home: Home, run: dict[str, Any]) -> manifests.Manifest | None:
    """The manifest of the run's latest attempt; null where it has none."""
    found = [
        manifest for manifest in manifests.of_run(home, run["run_id"], run["run_date"]) if manifest.plan.get("imported")
    ]
    return max(found, key=lambda manifest: int(manifest.run["attempt"]), default=None)
