"""Applies a retention policy: what it would do, or did, with files, rows and bytes before and after.

A night's curated rows are archived before a byte of its traces goes (`warehouse.archive`); how files take each other's
place is in `warehouse.replacing`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from typing import Any

from schemas.errors import RatecardError, WarehouseError
from schemas.retention import Policy
from warehouse import archive, manifests, recovery, replacing
from warehouse.archiving import archived
from warehouse.build import build
from warehouse.corrections import correcting
from warehouse.home import Home, exclusive_in_turn
from warehouse.retention import Part, Step, size_of, steps
from warehouse.scratch import one_at_a_time

_BUILD_WAIT_S = 600.0
_QUIET_DAYS = 7
"""So long without a run is nothing to speak of: a suite may be weekly."""


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

    @classmethod
    def sum(cls, amounts: "Iterable[Amount]") -> "Amount":
        """All of them together."""
        each = list(amounts)
        return cls(sum(a.files for a in each), sum(a.rows for a in each), sum(a.bytes for a in each))


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


def as_of_today(home: Home, policy: Policy, today: date, say: Callable[[str], None]) -> date:
    """The day that ages count to where nobody names one: `today`, or the day of the last run, if that is earlier.

    A clock that runs ahead would make all that was ever measured old at once. `say` is told where the two are far apart.

    Raises:
        LandingError: a manifest cannot be read.

    """
    if not policy.rules:  # no age is asked for
        return today
    last = max((_began(manifest.run) for manifest in manifests.read_all(home)), default=today)
    if (today - last).days > _QUIET_DAYS:
        say(
            f"the last run began on {last}, {(today - last).days} days before today, {today}: ages count to that day, lest a "
            f"clock that is wrong makes everything old. If it is right, `ratecard retention --as-of {today}` counts to today"
        )
    if (last - today).days > 1:
        say(f"a run began on {last}, which is after today, {today}: is this machine's clock right? Ages count to today")
    return min(last, today)


def _began(run: dict[str, Any]) -> date:
    return date.fromisoformat(str(run["started_at"])[:10])


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
        # what frees space comes first
        lossy = list(_thinned_and_dropped(home, [step for step in todo if step.action != "compact"], say))
        return lossy + [_compacted(home, step) for step in todo if step.action == "compact"]


def raise_problems(outcomes: Iterable[Outcome]) -> None:
    """Tell what could not be done, each problem once. Raises RatecardError if there is any."""
    problems = dict.fromkeys(outcome.problem for outcome in outcomes if outcome.problem)
    if problems:
        raise RatecardError("\n".join(["not everything was done, and nothing was lost:", *map(str, problems)]))


def _thinned_and_dropped(home: Home, todo: list[Step], say: Callable[[str], None]) -> Iterator[Outcome]:
    if todo:
        try:
            build(home)  # what is archived is what was published: it must stand on all that has landed of the night
        except RatecardError as error:
            say(f"{error}\nA night that is published as it landed is archived all the same")
    for night, of_night in groupby(todo, key=lambda step: str(step.run["night"])):
        planned = [Outcome(step, Amount.of(home, step.parts)) for step in of_night]
        try:
            # no build reads meanwhile, and nothing is retracted between the archive and the loss
            with one_at_a_time(home, _BUILD_WAIT_S), correcting(home):
                if archived(home, planned[0].step.run["run_date"], night):
                    say(
                        f"archived the curated rows of the night {night}: {archive.size_of(home, night) / 2**10:,.0f} KiB"
                    )
                done = [_replaced(home, outcome) for outcome in planned]
        except (RatecardError, OSError) as error:
            done = [replace(outcome, problem=str(error)) for outcome in planned]
        yield from done


def _replaced(home: Home, outcome: Outcome) -> Outcome:
    """The caller holds the lock of the builds."""
    try:
        replacement = replacing.prepare(home, outcome.step)
        replacing.commit(home, replacement)
    except (RatecardError, OSError) as error:
        return replace(outcome, problem=str(error))
    return replace(outcome, after=Amount.of(home, replacement.new))


def _compacted(home: Home, step: Step) -> Outcome:
    outcome = Outcome(step, Amount.of(home, step.parts))
    try:
        replacement = replacing.prepare(home, step)
        with one_at_a_time(home, _BUILD_WAIT_S):
            replacing.commit(home, replacement)
    except (RatecardError, OSError) as error:
        return replace(outcome, problem=str(error))
    return replace(outcome, after=Amount.of(home, replacement.new))
