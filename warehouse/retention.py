"""What a retention policy means for what has landed: which parts are to be compacted, thinned or dropped."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from schemas.columns import LANDED_TABLES, REQUEST_TRACES
from schemas.retention import Policy, Rule
from warehouse.home import Home
from warehouse.manifests import Manifest

MOST_BYTES = 256 << 20
"""Parts are put together up to this size; one that is larger stays as it is."""

Part = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One thing to do: to the parts of one table of one attempt."""

    action: str  # compact, thin or drop
    rule: str
    manifest: Manifest
    table: str
    share: float | None  # of the requests, where they are thinned

    @property
    def run(self) -> dict[str, Any]:
        """Whose parts."""
        return self.manifest.run

    @property
    def parts(self) -> list[Part]:
        """The parts that are there now."""
        return present(self.manifest, self.table)


def present(manifest: Manifest, table: str) -> list[Part]:
    """The parts of a table that have a file, in order of level, shard and number."""
    found = [part for part in manifest.parts if part["table"] == table and part["path"]]
    return sorted(found, key=lambda part: (part["level_index"] or 0, str(part["path"]).removesuffix(".parquet")))


def steps(home: Home, manifests: list[Manifest], policy: Policy, as_of: date) -> Iterator[Step]:
    """What `policy` asks for on the day `as_of`, in order of night, run and table."""
    for manifest in manifests:
        age_days = (as_of - date.fromisoformat(manifest.run["run_date"])).days
        for table in (table.name for table in LANDED_TABLES):
            decided = policy.rule_for(manifest.run["suite"], manifest.run["endpoint"], table)
            if decided is not None:
                name, rule = decided
                action = _action(home, manifest, table, rule, age_days)
                if action is not None:
                    share = rule.keep_share_of_requests if action == "thin" else None
                    yield Step(action, name, manifest, table, share)


def _action(home: Home, manifest: Manifest, table: str, rule: Rule, age_days: int) -> str | None:
    """What is due: the last thing that is, since dropping makes thinning needless; null where it is done already."""
    parts = present(manifest, table)
    if not parts:
        return None
    if _is_due(rule.drop_after_days, age_days):
        return "drop"
    is_thinned = any((part.get("retained") or {}).get("action") == "thinned" for part in parts)
    if table == REQUEST_TRACES.name and not is_thinned and _is_due(rule.thin_after_days, age_days):
        return "thin"
    is_compact = all(len(group) == 1 for group in groups(home, parts))
    return "compact" if not is_compact and _is_due(rule.compact_after_days, age_days) else None


def _is_due(after_days: int | None, age_days: int) -> bool:
    return after_days is not None and age_days >= after_days


def groups(home: Home, parts: list[Part]) -> list[list[Part]]:
    """Neighbours that fit into one file of MOST_BYTES together."""
    found: list[list[Part]] = []
    room = 0
    for part in parts:
        size = size_of(home, part)
        if not found or size > room:
            found.append([])
            room = MOST_BYTES
        found[-1].append(part)
        room -= size
    return found


def size_of(home: Home, part: Part) -> int:
    """Bytes of a part; 0 where its file is missing, which whoever reads it will tell."""
    try:
        return file_of(home, part).stat().st_size
    except FileNotFoundError:
        return 0


def file_of(home: Home, part: Part) -> Path:
    """The file of a part that has one."""
    return home.root / str(part["path"])
