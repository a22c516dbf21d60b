"""The worker as a process: events on stdout, exit codes, signals, a parent that is gone."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from loadgen.clock_pair import clock_pair
from loadgen.spec import ShardSpec

ROOT = Path(__file__).parents[2]


async def start(
    spec: ShardSpec, folder: Path, *flags: str, stdout: int = subprocess.PIPE
) -> asyncio.subprocess.Process:
    path = folder / "spec.json"
    spec.write(path)
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadgen", str(path), *flags,
        cwd=ROOT, stdin=subprocess.PIPE, stdout=stdout, stderr=subprocess.PIPE,
    )  # fmt: skip


def events_of(stdout: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stdout.splitlines()]


async def ready_of(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """Its `ready` event; a busy machine may tell of progress before."""
    while (event := json.loads(await process.stdout.readline()))["event"] != "ready":
        assert event["event"] == "progress", event
    return event


@pytest.fixture
def slow(wire):
    """One token at once, the end after half a minute."""

    async def answer(body, writer) -> None:
        writer.write(wire.STREAM_HEAD + wire.chunk(wire.token("a")))
        await writer.drain()
        await asyncio.sleep(30)

    return answer


def test_a_shard_runs_to_its_end(serve, wire, make_spec, tmp_path: Path) -> None:
    async def answer(body, writer) -> None:
        await asyncio.sleep(0.3)
        writer.write(wire.stream("a", "b"))

    async def scenario() -> tuple[int | None, bytes, bytes]:
        async with serve(answer) as server:
            process = await start(make_spec(server.url, requests=10), tmp_path)
            stdout, stderr = await process.communicate()
            return process.returncode, stdout, stderr

    code, stdout, stderr = asyncio.run(scenario())
    events = events_of(stdout)
    assert (code, stderr) == (0, b"")
    assert [event["event"] for event in events[:-1]] == ["progress"] * (len(events) - 1)
    assert len(events) >= 3  # 5 rounds of 0.3 s: at least one line on the way, one at the end
    assert events[-1]["event"] == "done"
    assert events[-1]["rows"] == pq.read_table(tmp_path / "part.parquet").num_rows == 10
    assert set(events[-1]["health"]) == {
        "late_start_ms", "cpu_share", "loop_lag_p99_ms", "merged_reads", "late_sends", "connections_opened", "clock_sources",
    }  # fmt: skip


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT twice", "stdin"])
def test_an_interrupted_worker_writes_its_part(serve, slow, make_spec, tmp_path: Path, how: str) -> None:
    async def scenario() -> tuple[int | None, bytes]:
        async with serve(slow) as server:
            process = await start(make_spec(server.url), tmp_path, "--stop-on-stdin-eof")
            while server.in_flight < 2:
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.2)
            if how == "stdin":
                process.stdin.close()
            else:
                for _ in range(2 if "twice" in how else 1):
                    process.send_signal(getattr(signal, how.split()[0]))
            stdout = await process.stdout.read()
            return await process.wait(), stdout

    code, stdout = asyncio.run(scenario())
    done = events_of(stdout)[-1]
    assert code == 130
    assert done["interrupted"]
    assert done["outcomes"] == {"interrupted": 2}
    assert pq.read_table(tmp_path / "part.parquet").num_rows == 2


def test_a_worker_says_that_it_is_ready_and_begins_when_it_is_told(serve, wire, make_spec, tmp_path: Path) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.stream("a"))

    async def scenario() -> tuple[dict[str, Any], list[Any], int, bytes]:
        async with serve(answer) as server:
            process = await start(make_spec(server.url), tmp_path, "--wait-for-start")
            ready = await ready_of(process)
            before = [server.connections, len(server.bodies)]
            start_ns = time.monotonic_ns() + 100_000_000
            process.stdin.write(json.dumps({"start_ns": start_ns}).encode() + b"\n")
            monotonic, wall = clock_pair(20)
            stdout = await process.stdout.read()
            await process.wait()
            return ready, before, start_ns + wall - monotonic, stdout

    ready, before, start_wall_ns, stdout = asyncio.run(scenario())
    assert ready == {"event": "ready", "shard": 0}
    assert before == [2, 0]  # connected, and nothing sent
    assert events_of(stdout)[-1]["health"]["late_start_ms"] >= 0
    rows = pq.read_table(tmp_path / "part.parquet").to_pylist()
    first = min(rows, key=lambda row: row["scheduled_ns"])
    epoch_ns = (first["epoch_wall_at"].replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(
        microseconds=1
    )
    # the instant told, as both processes' clocks have it
    assert epoch_ns * 1000 + first["scheduled_ns"] == pytest.approx(start_wall_ns, abs=5e6)
    assert all(row["sent_ns"] >= row["scheduled_ns"] for row in rows)


def test_a_worker_whose_interval_is_narrow_goes_on_until_all_are_told_to_stop(
    serve, wire, make_spec, tmp_path: Path
) -> None:
    async def answer(body, writer) -> None:
        await asyncio.sleep(0.02)
        writer.write(wire.stream("a", "b"))

    async def scenario() -> tuple[int | None, list[dict[str, Any]], int]:
        async with serve(answer) as server:
            rule = {"requests": 3000, "confidence_metric": "ttft", "confidence_share": 100.0}
            process = await start(make_spec(server.url, shards=2, **rule), tmp_path, "--wait-for-start")
            await ready_of(process)
            process.stdin.write(json.dumps({"start_ns": time.monotonic_ns()}).encode() + b"\n")
            while not json.loads(await process.stdout.readline())["satisfied"]:
                pass
            before = len(server.bodies)
            while len(server.bodies) < before + 20:
                await asyncio.sleep(0.01)
            process.stdin.write(b'{"stop": "confidence"}\n')
            stdout = await process.stdout.read()
            return await process.wait(), events_of(stdout), len(server.bodies)

    code, events, sent = asyncio.run(scenario())
    assert (code, events[-1]["stop_reason"], events[-1]["interrupted"]) == (0, "confidence", False)
    assert events[-1]["outcomes"] == {"ok": sent}  # what was in flight is followed to its end


def test_a_worker_that_waits_ends_with_its_parent(serve, slow, make_spec, tmp_path: Path) -> None:
    async def scenario() -> tuple[int | None, bytes, int]:
        async with serve(slow) as server:
            process = await start(make_spec(server.url), tmp_path, "--wait-for-start")
            await process.stdout.readline()
            process.stdin.close()
            stdout = await process.stdout.read()
            return await process.wait(), stdout, len(server.bodies)

    code, stdout, sent = asyncio.run(scenario())
    assert (code, sent) == (130, 0)
    assert events_of(stdout)[-1]["interrupted"]


def test_a_broken_pipe_does_not_lose_the_part(serve, wire, make_spec, tmp_path: Path) -> None:
    async def answer(body, writer) -> None:
        await asyncio.sleep(0.4)
        writer.write(wire.stream("a"))

    async def scenario() -> tuple[int, bytes]:
        read_end, write_end = os.pipe()
        async with serve(answer) as server:
            process = await start(make_spec(server.url, requests=8), tmp_path, stdout=write_end)
            os.close(read_end)
            os.close(write_end)
            stderr = await process.stderr.read()
            return await process.wait(), stderr

    assert asyncio.run(scenario()) == (0, b"")
    assert pq.read_table(tmp_path / "part.parquet").num_rows == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "No such file"), ("{", "is not a shard spec"), ('{"target": {}}', "is not a shard spec")],
)
def test_a_spec_that_cannot_be_read_is_an_error_event(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "spec.json"
    if text is not None:
        path.write_text(text)
    process = subprocess.run(
        [sys.executable, "-m", "loadgen", str(path)], cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert (process.returncode, process.stderr) == (1, b"")
    (event,) = events_of(process.stdout)
    assert event["event"] == "error"
    assert message in event["message"]


def test_the_worker_imports_nothing_of_the_rest_of_the_house() -> None:
    code = "import sys, loadgen.worker; print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in process.stdout.split()}
    assert not loaded & {"pydantic", "polars", "duckdb", "pandera", "prefect", "pyarrow"}
