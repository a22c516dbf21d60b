"""What a retention did, or would do, for a terminal: by action, table and rule."""

from collections.abc import Callable, Sequence
from datetime import date
from itertools import groupby

from reports.tables import plain_table
from warehouse.retain import Amount, Outcome

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
        _change(outcomes, lambda amount: f"{amount.files:,}"),
        _change(outcomes, lambda amount: f"{amount.rows:,}"),
        _change(outcomes, lambda amount: f"{amount.bytes / 2**20:,.2f}"),
        sum(o.problem is not None for o in outcomes),
    ]


def _change(outcomes: list[Outcome], shown: Callable[[Amount], str]) -> str:
    """Sums before and after; what was not done stays as it was, and a dry run knows no after."""
    before = shown(Amount.sum(o.before for o in outcomes))
    if all(o.after is None for o in outcomes):
        return before
    return f"{before} → {shown(Amount.sum(o.after or o.before for o in outcomes))}"
