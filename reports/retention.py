"""What a retention did, or would do, for a terminal: by action, table and rule."""

from collections.abc import Sequence
from datetime import date
from itertools import groupby

from reports.tables import plain_table
from warehouse.retain import Outcome

_COLUMNS = ("action", "table", "rule", "nights", "runs", "files", "rows", "MiB", "failed")


def retention_text(outcomes: Sequence[Outcome], as_of: date, *, dry_run: bool) -> str:
    """One line for each action, table and rule; `5 → 1` is before and after, where it is known."""
    if not outcomes:
        return f"Nothing is due on {as_of}."

    def key(outcome: Outcome) -> tuple[str, str, str]:
        return outcome.step.action, outcome.step.table, outcome.step.rule

    rows = [[*about, *_figures(list(group))] for about, group in groupby(sorted(outcomes, key=key), key=key)]
    title = f"Retention as of {as_of}" + (", dry run: nothing was touched" if dry_run else "")
    return plain_table(_COLUMNS, rows, title)


def _figures(outcomes: list[Outcome]) -> list[str | int]:
    runs = {(o.step.run["run_id"], o.step.run["attempt"]) for o in outcomes}
    return [
        len({o.step.run["night"] for o in outcomes}),
        len(runs),
        _change([o.before.files for o in outcomes], [o.after and o.after.files for o in outcomes]),
        _change([o.before.rows for o in outcomes], [o.after and o.after.rows for o in outcomes]),
        _change(
            [o.before.bytes / 2**20 for o in outcomes], [o.after and o.after.bytes / 2**20 for o in outcomes], digits=2
        ),
        sum(o.problem is not None for o in outcomes),
    ]


def _change(before: Sequence[float], after: Sequence[float | None], digits: int = 0) -> str:
    """Sums before and after; what was not done stays as it was, and a dry run knows no after."""
    first = f"{sum(before):,.{digits}f}"
    if all(value is None for value in after):
        return first
    total = sum(was if value is None else value for was, value in zip(before, after, strict=True))
    return f"{first} → {total:,.{digits}f}"
