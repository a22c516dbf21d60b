"""What is left of the truth where other processes keep every core busy?"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.clients import Observed, Streams, observe
from benchmarks.tables import Section

STREAMS, ROUNDS = 256, 5


@dataclass(frozen=True)
class Row:
    """One client beside `busy_processes` that compute without a pause; errors are its figure minus the true one.

    `true_itl_p99_ms` says how late the endpoint itself was, which wants to send every 20 ms.
    """

    client: str
    busy_processes: int
    streams: int
    requests: int
    true_itl_p99_ms: float
    ttft_error_ms: float
    ttft_p99_error_ms: float
    itl_p99_error_ms: float
    merged_share: float | None
    loop_lag_p99_ms: float | None


def run(quick: bool) -> list[Section]:
    """As many busy processes as cores, and twice as many; httpx only once, since it takes its time."""
    cores = os.cpu_count() or 1
    cases = [("ratecard", cores)] if quick else [("ratecard", cores), ("httpx", cores), ("ratecard", 2 * cores)]
    load = Streams(64, 128) if quick else Streams(STREAMS, ROUNDS * STREAMS)
    rows: list[Row] = []
    notes: list[str] = []
    for client, count in cases:
        with hogs(count):
            seen = observe(client, load)
        rows.append(_row(seen, count))
        notes += seen.notes
    return [Section("busy", "clients on a machine whose cores are busy with something else", rows, tuple(notes))]


@contextmanager
def hogs(count: int) -> Iterator[list[int]]:
    """Keep `count` processes (their ids) busy as long as the block lasts."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _row(seen: Observed, busy_processes: int) -> Row:
    errors = seen.errors
    assert errors is not None
    return Row(
        client=seen.client,
        busy_processes=busy_processes,
        streams=seen.load.streams,
        requests=seen.load.requests,
        true_itl_p99_ms=seen.true_itl_p99_ms,
        ttft_error_ms=errors.ttft_error_mean_ms,
        ttft_p99_error_ms=errors.ttft_error_p99_ms,
        itl_p99_error_ms=errors.itl_error_p99_ms,
        merged_share=seen.merged_share,
        loop_lag_p99_ms=seen.seen.health.get("loop_lag_p99_ms"),
    )
