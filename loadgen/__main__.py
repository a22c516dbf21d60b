"""python -m loadgen SPEC.json [--stop-on-stdin-eof] [--wait-for-start]: run one shard; JSON lines on stdout.

Exit codes: 0 done, 130 interrupted (what was measured is written), 1 it could not be run or written (an `error`
event says why).
"""

import argparse
import asyncio
import contextlib
import os
import select
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import orjson

from loadgen.level import Level
from loadgen.spec import ShardSpec
from loadgen.worker import run_shard
from schemas.errors import LoadgenError

try:
    import uvloop
except ImportError:  # Windows has none
    uvloop = None  # type: ignore[assignment]


def main() -> int:
    """Run the worker; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m loadgen", description="Run one shard of a load level.")
    parser.add_argument("spec", type=Path, help="shard spec (JSON)")
    parser.add_argument(
        "--stop-on-stdin-eof", action="store_true", help="interrupt when stdin closes: the parent is gone"
    )
    parser.add_argument(
        "--wait-for-start",
        action="store_true",
        help='say `ready`, then wait for {"start_ns": N} on stdin: begin then, by the monotonic clock of this machine; '
        '{"stop": REASON} stops the level',
    )
    arguments = parser.parse_args()
    try:
        spec = ShardSpec.read(arguments.spec)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop if uvloop else None) as runner:
            done = runner.run(_run(spec, arguments.stop_on_stdin_eof, arguments.wait_for_start))
    except (LoadgenError, OSError, httpx.InvalidURL) as error:
        return _fatal(str(error))
    except (KeyError, TypeError, ValueError) as error:
        return _fatal(f"{arguments.spec} is not a shard spec that can be run: {type(error).__name__}: {error}")
    except KeyboardInterrupt:  # before anything was sent
        return 130
    _write(done)
    return 130 if done["interrupted"] else 0


async def _run(spec: ShardSpec, stop_on_stdin_eof: bool, wait_for_start: bool) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    told: asyncio.Future[int] = loop.create_future()

    def on_start(level: Level) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            # not the loop's handlers, which end with it: a second signal must not lose the part or the last word
            signal.signal(number, lambda *_: _interrupt(loop, level))
        if stop_on_stdin_eof or wait_for_start:
            threading.Thread(target=_listen, args=(loop, level, told), daemon=True).start()

    async def common_start() -> int:
        _write({"event": "ready", "shard": spec.shard})
        return await told

    return await run_shard(spec, _write_if_room, on_start, common_start if wait_for_start else None)


def _listen(loop: asyncio.AbstractEventLoop, level: Level, told: "asyncio.Future[int]") -> None:
    """Hear from the parent when to start and to stop, and that it is gone."""
    # no stdin at all is an end too, and the level may be over first
    with contextlib.suppress(OSError, RuntimeError), open(0, "rb", buffering=0, closefd=False) as stdin:
        for line in stdin:
            with contextlib.suppress(ValueError, KeyError, TypeError):  # not our parent's
                message = orjson.loads(line)
                if "stop" in message:
                    loop.call_soon_threadsafe(level.stop, str(message["stop"]))
                else:
                    loop.call_soon_threadsafe(_tell, told, int(message["start_ns"]))
    _interrupt(loop, level)


def _tell(told: "asyncio.Future[int]", start_ns: int) -> None:
    if not told.done():
        told.set_result(start_ns)


def _interrupt(loop: asyncio.AbstractEventLoop, level: Level) -> None:
    with contextlib.suppress(RuntimeError):  # the level was over first
        loop.call_soon_threadsafe(level.interrupt)


def _write_if_room(event: dict[str, Any]) -> None:
    """Write an event unless the reader is behind: a full pipe must not stall the event loop."""
    with contextlib.suppress(OSError, ValueError):  # stdout is closed
        if select.select([], [1], [], 0)[1]:
            _write(event)


def _write(event: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # the parent is gone; the part is what counts
        os.write(1, orjson.dumps(event) + b"\n")


def _fatal(message: str) -> int:
    _write({"event": "error", "message": message})
    return 1


if __name__ == "__main__":
    sys.exit(main())
