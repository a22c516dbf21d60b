"""Endpoints as child processes, for the tests."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class Child:
    """A running endpoint: its `ready` event, its progress messages, and the ways to end it."""

    def __init__(self, process: "subprocess.Popen[str]", events: list[dict[str, Any]]) -> None:
        self.process, self.events, self.ready = process, events, events[-1]

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None and parts.port is not None
        return parts.hostname, parts.port

    def close_stdin(self) -> int:
        """Close stdin and return the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(timeout=10)


@contextmanager
def spawn(module: str, *arguments: object) -> Iterator[Child]:
    """Run `python -m module` until the block ends; its stdout must be JSON lines."""
    command = [sys.executable, "-m", module, *map(str, arguments), "--stop-on-stdin-eof"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        events = []
        for line in process.stdout:
            events.append(json.loads(line))
            if events[-1]["event"] != "progress":
                break
        yield Child(process, events)
    finally:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()


class Reference:
    """Starts reference endpoints; `truth` stops one and reads its log."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack, self.log = stack, folder / "truth.jsonl"

    def __call__(self, *arguments: object) -> Child:
        quick = ("--ttft-ms", 20, "--itl-ms", 2, "--log", self.log)
        return self._stack.enter_context(spawn("endpoints.reference", *quick, *arguments))

    def truth(self, child: Child) -> list[dict[str, Any]]:
        assert child.close_stdin() == 0
        return self.read()

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]
