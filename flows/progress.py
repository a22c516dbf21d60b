"""Progress of the workers on the screen: bars in a terminal, plain lines in a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    def level(self, label: str) -> Iterator[Callable[[Event], None]]:
        """Yields what to call with each event of a worker that measures `label`."""
        if self.console.is_terminal:
            with self._bar(label) as tell:
                yield tell
        else:
            yield self._lines(label)

    @contextmanager
    def _bar(self, label: str) -> Iterator[Callable[[Event], None]]:
        task = self._bars.add_task(label, total=None, note="")
        self._bars.start()
        try:
            yield (
                lambda event: (
                    self._bars.update(task, completed=event["done"], total=event.get("planned"), note=_note(event))
                    if event["event"] == "progress"
                    else None
                )
            )
        finally:
            self._bars.remove_task(task)
            if not self._bars.tasks:
                self._bars.stop()

    def _lines(self, label: str) -> Callable[[Event], None]:
        last = time.monotonic()

        def tell(event: Event) -> None:
            nonlocal last
            if event["event"] == "progress" and time.monotonic() - last >= LINE_EVERY_S:
                last = time.monotonic()
                self.say(f"  {label}: {_note(event)}")

        return tell

    def level_done(self, label: str, row: dict[str, Any], done: list[Event]) -> None:
        """One line for a finished level."""
        outcomes: dict[str, int] = {}
        for event in done:
            for outcome, count in event["outcomes"].items():
                outcomes[outcome] = outcomes.get(outcome, 0) + count
        said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items(), key=lambda item: -item[1]))
        why = f": {row['failure']}" if row["failure"] else ""
        self.say(f"  {label}: {row['status']}, {said or 'no requests'}, warm-up included{why}")


def _note(event: Event) -> str:
    planned = f" of {event['planned']}" if event.get("planned") else ""
    failed = f", {event['failed']} failed" if event.get("failed") else ""
    return f"{event['done']}{planned} done{failed}, {event['output_tokens']} tokens"
