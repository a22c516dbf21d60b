"""Retracting runs, and taking that back: which attempts are meant, and what is said of them."""

import getpass
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches

from schemas.errors import LandingError, UsageError
from warehouse import archive, manifests, recovery, retractions
from warehouse.home import Home, exclusive_in_turn
from warehouse.retractions import Word
from warehouse.runs import now

_CLOSED = re.compile(r"(?P<run>.+)-a(?P<attempt>\d+)")
_NEAREST, _MOST = 3, 10


@dataclass(frozen=True)
class Correction:
    """What became of one attempt: `changed` now, or as `word` had said already; null: nothing was ever said of it."""

    run_id: str
    attempt: int
    changed: bool
    word: Word | None


def retract(home: Home, run: str, why: str, attempt: int | None = None) -> list[Correction]:
    """Retract `run` (its id, or a beginning that only one has): every closed attempt, or the one that is given.

    Raises:
        UsageError: no reason, no such run or attempt, or it is being measured.
        LandingError: the home cannot be written; what is not in the answer was not said.

    """
    return _say(home, run, why, attempt, retracted=True)


def restore(home: Home, run: str, why: str, attempt: int | None = None) -> list[Correction]:
    """Take a retraction back: the attempts count again. Both stay on record. Raises as `retract` does."""
    return _say(home, run, why, attempt, retracted=False)


def _say(home: Home, run: str, why: str, attempt: int | None, *, retracted: bool) -> list[Correction]:
    # an argument may hold bytes that are no text, which no table could hold
    reason = why.strip().encode("utf-8", "replace").decode()
    if not reason:
        raise UsageError('--why is empty: expected the reason, as --why "the engine was misconfigured"')
    home.prepare()
    recovery.recover(home)
    with correcting(home):
        run_id, attempts = _meant(home, run, attempt)
        _check_not_archived(home, run_id)
        # the latest first: were the disk full after it, an older one must not stand in its place unsaid
        return [_correct(home, run_id, number, reason, retracted=retracted) for number in sorted(attempts)[::-1]]


def _correct(home: Home, run_id: str, attempt: int, why: str, *, retracted: bool) -> Correction:
    said = retractions.words(home, run_id, attempt)
    last = said[-1] if said else None
    if (last is not None and last.retracted) == retracted:
        return Correction(run_id, attempt, False, last)
    word = Word(retracted, now(), why, _who())
    retractions.add(home, run_id, attempt, word)
    return Correction(run_id, attempt, True, word)


def being_measured(home: Home) -> dict[str, list[int]]:
    """Attempts that are open, by run."""
    names = (path.name for path in home.incoming.glob("*-a*"))
    return _by_run(name for name in names if not name.startswith("."))


@contextmanager
def correcting(home: Home) -> Iterator[None]:
    """Hold the lock on corrections. Raises LandingError: another has it, and had for a minute."""
    busy = LandingError("another correction is under way: try again when it is done")
    # a name that no endpoint's lock can have
    with exclusive_in_turn(home.locks / ".corrections.lock", 60.0, busy):
        yield


def _meant(home: Home, run: str, attempt: int | None) -> tuple[str, list[int]]:
    """(run id, closed attempts) that the user means."""
    closed = _by_run(path.stem for path in (home.raw / "manifests").glob("run_date=*/*.json"))
    opened = being_measured(home)
    run_id = _named(home, run, sorted({*closed, *opened}))
    attempts = closed.get(run_id, [])
    if attempt is not None and attempt in attempts:
        return run_id, [attempt]
    if attempt in opened.get(run_id, []) or not attempts:
        number = attempt or opened[run_id][-1]
        raise UsageError(
            f"{run_id} attempt {number} is being measured: stop it (Ctrl-C keeps what it has measured) or wait for its end, "
            "then retract it"
        )
    if attempt is not None:
        have = ", ".join(map(str, sorted(attempts)))
        raise UsageError(f"{run_id} has no attempt {attempt}: expected one of {have}, or none given for all")
    return run_id, attempts


def _check_not_archived(home: Home, run_id: str) -> None:
    for path in (home.raw / "manifests").glob(f"run_date=*/{run_id}-a*.json"):
        run = manifests.read_one(home, path).run
        if run["run_id"] == run_id and archive.is_frozen(home, run["run_date"], run["night"]):
            raise UsageError(
                f"{run_id} is of the night {run['night']}, which is archived: its traces were thinned or dropped "
                "(retention.yaml), so that nothing could be chosen in place of what it takes out. It stays as it is"
            )


def _named(home: Home, run: str, known: list[str]) -> str:
    if run in known:
        return run
    found = [run_id for run_id in known if run and run_id.startswith(run)]
    if len(found) == 1:
        return found[0]
    if not known:
        raise UsageError(f"no run {run!r}: nothing has landed in {home.raw} yet")
    if found:
        shown = [f"  {run_id}" for run_id in found[:_MOST]]
        more = [f"  and {len(found) - _MOST} more"] if len(found) > _MOST else []
        raise UsageError("\n".join([f"{run!r} begins the ids of {len(found)} runs: which?", *shown, *more]))
    near = get_close_matches(run, known, n=_NEAREST, cutoff=0.0)
    everything = 'All of them: ratecard sql "select run_id, attempt, night, status from runs order by night"'
    raise UsageError("\n".join([f"no run {run!r}. The nearest ids:", *(f"  {run_id}" for run_id in near), everything]))


def _by_run(names: Iterator[str]) -> dict[str, list[int]]:
    """Attempts by run id, of names such as `<run_id>-a1`."""
    found: dict[str, list[int]] = {}
    for name in names:
        if match := _CLOSED.fullmatch(name):
            found.setdefault(match["run"], []).append(int(match["attempt"]))
    return {run_id: sorted(attempts) for run_id, attempts in found.items()}


def _who() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container without an entry for its user
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
