"""Progress of the workers on the screen: bars in a terminal, plain lines in a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

Event = dict[str, Any]
LINE_EVERY_S = 10.0


class Progress:
    """Renders what workers tell. `console` is where; a console that is no terminal gets plain lines."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )

    def say(self, message: str) -> None:
        """A line of its own."""
        if message:
            self.console.print(message, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def level(self, label: str) -> Iterator[Callable[[int, Event], None]]:
        """Yields what to call with a shard's number and each of its events; all shards of `label` are shown as one."""
        shown = self._bar(label) if self.console.is_terminal else nullcontext(self._lines(label))
        with shown as show:
            shards: dict[int, Event] = {}

            def tell(shard: int, event: Event) -> None:
                if event["event"] == "progress":
                    shards[shard] = event
                    show(_sum(list(shards.values())))

            yield tell

    @contextmanager
    def _bar(self, label: str) -> Iterator[Callable[[Event], None]]:
        task = self._bars.add_task(label, total=None, note="")
        self._bars.start()
        try:
            yield lambda sums: self._bars.update(task, completed=sums["done"], total=sums["planned"], note=_note(sums))
        finally:
            self._bars.remove_task(task)
            if not self._bars.tasks:
                self._bars.stop()

    def _lines(self, label: str) -> Callable[[Event], None]:
        last = time.monotonic()

        def show(sums: Event) -> None:
            nonlocal last
            if time.monotonic() - last >= LINE_EVERY_S:
                last = time.monotonic()
                self.say(f"  {label}: {_note(sums)}")

        return show

    def level_done(self, label: str, row: dict[str, Any], done: list[Event]) -> None:
        """One line for a finished level."""
        outcomes: dict[str, int] = {}
        for event in done:
            for outcome, count in event["outcomes"].items():
                outcomes[outcome] = outcomes.get(outcome, 0) + count
        said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items(), key=lambda item: -item[1]))
        why = f": {row['failure']}" if row["failure"] else ""
        if row["status"] == "failed":  # who died had no last word about its requests
            why += f"; {row['rows_landed']} rows landed, its finished parts included"
        self.say(f"  {label}: {row['status']}, {said or 'no requests'}, warm-up included{why}")


def _sum(shards: list[Event]) -> Event:
    """Progress of all shards; `planned` is null where one does not know."""
    sums = {name: sum(event[name] for event in shards) for name in ("done", "failed", "in_flight", "output_tokens")}
    planned = [event["planned"] for event in shards]
    return sums | {"planned": None if None in planned else sum(planned)}


def _note(sums: Event) -> str:
    planned = f" of {sums['planned']}" if sums["planned"] else ""
    failed = f", {sums['failed']} failed" if sums["failed"] else ""
    return f"{sums['done']}{planned} done{failed}, {sums['in_flight']} in flight, {sums['output_tokens']} tokens"
