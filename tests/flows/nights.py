"""Asks `tests.flows.mortal` for nights of one catalog: two levels of a made-up endpoint."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.catalogs import SUITE, AdHoc, write_adhoc
from tests.flows.conftest import ROOT
from tests.traces import STARTER
from warehouse.home import Home

REQUESTS = 40
"""Of a level."""
RUN = r"{date}_e_in64-out4_\w+"
"""Id of the run of a date, as a pattern."""


class Nights:
    """A process that has nights."""

    def __init__(self, process: subprocess.Popen[str], catalog: Path) -> None:
        self.process, self.catalog = process, catalog

    def __call__(self, home: Home, night: datetime, **asked: Any) -> list[str]:
        """A night; returns its moments. One that is to die must die there, another must not."""
        self.begin(home, night, **asked)
        code, moments = self.end()
        dies, stops = {"die_at", "die_before"} & asked.keys(), "stop_after" in asked
        assert code == (-9 if dies else 1 if stops else 0), (asked, moments[-5:])
        return moments

    def begin(self, home: Home, night: datetime, **asked: Any) -> None:
        """Start a night."""
        assert self.process.stdin is not None
        whole = {"home": str(home.root), "catalog": str(self.catalog), "suite": SUITE, "night": night.isoformat()}
        self.process.stdin.write(json.dumps(whole | {"wait_s": 0} | asked) + "\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, list[str]]:
        """Exit code and moments of the night that was begun."""
        assert self.process.stdout is not None
        answer = json.loads(self.process.stdout.readline())
        return answer["code"], answer["moments"]


@contextmanager
def nights_of(folder: Path) -> Iterator[Nights]:
    """A process of nights, whose catalog is written into `folder`."""
    what = AdHoc(
        endpoint={"url": "http://e.invalid", "model": "m"},
        workload={"input_tokens": 64, "output_tokens": 4},
        load={"concurrency": [1, 2], "requests": REQUESTS, "warmup_requests": 0, "shards": 1},
        name="e",
    )
    write_adhoc(what, STARTER, folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.flows.mortal"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    yield Nights(process, folder)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    process.wait(20)
    process.stdout.close()
