"""Nights that die where a test says: `python -m tests.flows.mortal` forks one for each line that it reads.

The fork runs the flow's own function, with tasks called as the functions that they are and a load generator that writes
the same rows every time, so that two homes can be compared to the last digit. An audit hook sees every file that Python
opens, renames, removes under the home, and the connection passes each statement on to DuckDB: these are the moments of a night,
counted from 0. At moment `die_at`, or the first that begins as `die_before` (a pattern) says, the process kills itself
with SIGKILL, before the thing happens.
"""

import asyncio
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from flows.settings import quiet_prefect

quiet_prefect()

import duckdb  # noqa: E402
import hypothesis.strategies  # noqa: E402, F401  - pandera imports it at its first frame: once for all forks
import prefect.events.utilities  # noqa: E402
from prefect.artifacts import Artifact  # noqa: E402
from prefect.tasks import Task  # noqa: E402

import flows.night  # noqa: E402
import flows.publish  # noqa: E402
import reports.page  # noqa: E402, F401  - a night imports both where it needs them: once for all forks
import schemas.contracts  # noqa: E402, F401
from flows.children import Event  # noqa: E402
from flows.night import NightParameters, night  # noqa: E402
from loadgen.spec import ShardSpec  # noqa: E402
from reports import bundle  # noqa: E402
from schemas.errors import NightFailedError  # noqa: E402
from tests.flows.nights import REQUESTS  # noqa: E402
from tests.traces import frame, row  # noqa: E402

FIRST_PART = 5
"""Of them are a part of its own, too few for a point that could be chosen."""
TAKES_NS = 161_000_000
"""Of a request of `tests.traces.row`."""
_SEEN = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}


def main() -> None:
    """Fork a night for each line {home, catalog, suite, night, publish, wait_s, takes_s, die_at,
    die_before, stop_after}; answers with what it saw."""
    bundle.begin()()  # Vega is the same in every report: once for all forks
    for line in sys.stdin:
        asked = json.loads(line)
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            os.close(reader)
            _live(asked, writer)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            seen = [json.loads(moment) for moment in pipe]
        _, status, used = os.wait4(child, 0)
        code = os.waitstatus_to_exitcode(status)
        print(json.dumps({"moments": seen, "code": code, "cpu_s": used.ru_utime + used.ru_stime}), flush=True)


def _live(asked: dict[str, Any], writer: int) -> None:
    """In the fork: a night, and no return."""
    code = 70
    try:
        _plain_tasks()
        flows.levels.run_worker = _worker(asked.get("stop_after"), asked.get("takes_s", 0.0))  # type: ignore[attr-defined]
        moments = Moments(Path(asked["home"]), asked.get("die_at"), asked.get("die_before"), writer)
        moments.stand_for_prefect()
        moments.watch()
        names = ("home", "catalog", "night", "publish", "suite", "wait_s")
        parameters = NightParameters(calibrate=False, **{n: asked[n] for n in names if n in asked})
        asyncio.run(night.fn(parameters))
        code = 0
    except NightFailedError as error:
        print(error, file=sys.stderr)
        code = 1
    except BaseException as error:
        import traceback

        traceback.print_exception(error)
    finally:
        sys.stderr.flush()
        os._exit(code)


def _plain_tasks() -> None:
    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        return self.fn(*arguments, **named)

    Task.__call__ = call  # type: ignore[method-assign, assignment]


@dataclass
class Moments:
    """Counts what happens under `home`, tells it through `writer`, and kills this process where it is told to."""

    home: Path
    die_at: int | None
    die_before: str | None
    writer: int
    count: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def watch(self) -> None:
        sys.addaudithook(self._audited)
        connect = duckdb.connect
        duckdb.connect = lambda *given, **named: Told(connect(*given, **named), self)  # type: ignore[assignment, return-value]

    def _audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _SEEN or not isinstance(arguments[0], str | os.PathLike):
            return
        path = Path(os.fsdecode(arguments[0]))
        if not path.is_absolute() or not path.is_relative_to(self.home):
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            return  # who only reads changes nothing
        if (event == "os.mkdir" and path.is_dir()) or (event == "os.remove" and not path.exists()):
            return
        to = f" -> {Path(os.fsdecode(arguments[1])).name}" if event == "os.rename" else ""
        self.happens(f"{event} {path.relative_to(self.home)}{to}")

    def stand_for_prefect(self) -> None:
        """Artifacts and events happen, and go nowhere."""
        told = self

        async def artifact(self: Artifact, client: object = None) -> SimpleNamespace:
            told.happens(f"artifact {self.key}")
            return SimpleNamespace(id=uuid4())

        def event() -> bool:
            told.happens("event")
            return False

        Artifact.acreate = artifact  # type: ignore[method-assign, assignment]
        prefect.events.utilities.should_emit_events = event

    def happens(self, what: str) -> None:
        with self.lock:
            os.write(self.writer, (json.dumps(what) + "\n").encode())
            if self.count == self.die_at or (self.die_before and re.match(self.die_before, what)):
                os.kill(os.getpid(), signal.SIGKILL)
            self.count += 1


class Told:
    """A connection to DuckDB that tells of each statement."""

    def __init__(self, con: duckdb.DuckDBPyConnection, moments: Moments) -> None:
        self._con, self._moments = con, moments

    def __getattr__(self, name: str) -> Any:
        return getattr(self._con, name)

    def __enter__(self) -> "Told":
        return self

    def __exit__(self, *_: object) -> None:
        self._con.close()

    def execute(self, query: str, *given: Any) -> Any:
        self._moments.happens(f"sql {' '.join(query.split())[:60]}")
        return self._con.execute(query, *given)


def _worker(stop_after: int | None, takes_s: float) -> Callable[..., Any]:
    """Stands for the load generator: two parts a level; a stop is asked for after `stop_after` levels."""

    async def run_worker(spec_path: Path, lock: object, stop: asyncio.Event, tell: object, together: object) -> Event:
        spec = ShardSpec.of(json.loads(spec_path.read_bytes()))
        level: int = spec.identity["level_index"]
        await asyncio.sleep(takes_s)
        if level == 0:
            done = _probed(spec)
        else:
            rows = [_row(spec, index) for index in range(REQUESTS)]
            for number, some in enumerate((rows[:FIRST_PART], rows[FIRST_PART:])):
                _part(spec, number, some)
            done = _done({"ok": REQUESTS})
        if stop_after is not None and level >= stop_after:
            stop.set()
        return done

    return run_worker


def _probed(spec: ShardSpec) -> Event:
    _part(spec, 0, [_row(spec, 0, phase="probe")])
    points = [{"chars": 100, "input_tokens": 25}, {"chars": 200, "input_tokens": 50}]
    return _done({"ok": 1}) | {"probe": points, "keeps_connections": True}


def _done(outcomes: dict[str, int]) -> Event:
    return {
        "event": "done", "stop_reason": "count", "interrupted": False, "outcomes": outcomes, "health": None,
        "first_failure": None,
    }  # fmt: skip


def _row(spec: ShardSpec, index: int, **changes: Any) -> dict[str, Any]:
    """Request `index` of a closed loop whose requests take `TAKES_NS` each."""
    made, width = row(index), spec.shape.concurrency or 1
    later = (index // width) * TAKES_NS - made["sent_ns"]
    times = {name: at + later for name, at in made.items() if name.endswith("_ns") and at is not None}
    identity = {name: value for name, value in spec.identity.items() if name in made}
    identity["run_date"] = date.fromisoformat(identity["run_date"])
    return made | times | identity | {"concurrency": width, "model": spec.target.model} | changes


def _part(spec: ShardSpec, number: int, rows: list[dict[str, Any]]) -> None:
    path = Path(spec.part_path)
    path = path.with_name(f"{path.stem}-p{number:03d}.parquet") if number else path
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as file:
        frame(*rows).write_parquet(file)
    temporary.rename(path)


if __name__ == "__main__":
    main()
