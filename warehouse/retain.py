"""Applies a retention policy: what it would do, or did, with files, rows and bytes before and after.

A night's curated rows are archived before a byte of its traces goes (`warehouse.archive`); how files take each other's
place is in `warehouse.replacing`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from typing import Any

from schemas.errors import RatecardError, WarehouseError
from schemas.retention import Policy
from warehouse import manifests, recovery, replacing
from warehouse.build import one_at_a_time
from warehouse.home import Home, exclusive_in_turn
from warehouse.retention import Part, Step, size_of, steps

_BUILD_WAIT_S = 600.0


@dataclass(frozen=True)
class Amount:
    """Files, rows and bytes of some parts."""

    files: int
    rows: int
    bytes: int

    @classmethod
    def of(cls, home: Home, parts: list[Part]) -> "Amount":
        """Of the parts that have a file."""
        there = [part for part in parts if part["path"]]
        return cls(len(there), sum(part["rows"] for part in there), sum(size_of(home, part) for part in there))


@dataclass(frozen=True)
class Outcome:
    """A step and what there was before; `after` is null where it was not done: a dry run, or `problem` says why."""

    step: Step
    before: Amount
    after: Amount | None = None
    problem: str | None = None

    def as_row(self) -> dict[str, Any]:
        """For scripts."""
        run, after = self.step.run, self.after
        return {
            "action": self.step.action,
            "rule": self.step.rule,
            "table": self.step.table,
            **{name: run[name] for name in ("night", "run_id", "attempt", "suite", "endpoint")},
            "share": self.step.share,
            "files_before": self.before.files,
            "files_after": after.files if after else None,
            "rows_before": self.before.rows,
            "rows_after": after.rows if after else None,
            "bytes_before": self.before.bytes,
            "bytes_after": after.bytes if after else None,
            "problem": self.problem,
        }


def would(home: Home, policy: Policy, as_of: date) -> list[Outcome]:
    """What `apply` would do; nothing is touched.

    Raises:
        LandingError: a manifest cannot be read.

    """
    todo = steps(home, manifests.read_all(home), policy, as_of)
    return [Outcome(step, Amount.of(home, step.parts)) for step in todo]


def apply(home: Home, policy: Policy, as_of: date, say: Callable[[str], None]) -> list[Outcome]:
    """Do what `policy` asks for on the day `as_of`. What goes wrong with one run or night is told, the others go on.

    Raises:
        LandingError: a manifest cannot be read, or the home cannot be written.
        WarehouseError: another retention is under way, or the warehouse cannot be built.

    """
    home.prepare()
    busy = WarehouseError("another retention is under way: try again when it is done")
    with exclusive_in_turn(home.locks / ".retention.lock", 0.0, busy):
        for line in recovery.recover(home):
            say(line)
        closed = manifests.read_all(home)
        replacing.clear(home, closed)
        todo = list(steps(home, closed, policy, as_of))
        return [_compacted(home, step) for step in todo if step.action == "compact"]


def _compacted(home: Home, step: Step) -> Outcome:
    outcome = Outcome(step, Amount.of(home, step.parts))
    try:
        replacement = replacing.prepare(home, step)
        with one_at_a_time(home, _BUILD_WAIT_S):
            replacing.commit(home, replacement)
    except (RatecardError, OSError) as error:
        return replace(outcome, problem=str(error))
    return replace(outcome, after=Amount.of(home, replacement.new))
