"""Each second of a worker becomes a row that keeps the contract; differences, lags and clock steps by hand."""

import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from loadgen.health import Clocks, Counts, HealthSampler, Lags, health_path, median_tcp_rtt_ms, tcp_rtt_ms
from loadgen.parts import PartWriter
from schemas.columns import CLIENT_HEALTH
from schemas.contracts import SPLITTERS

IDENTITY = {
    "run_id": "r", "attempt": 1, "suite": "s", "endpoint": "e", "workload": "w", "load": "l", "run_date": "2026-11-20",
    "level_index": 2, "load_kind": "closed", "concurrency": 8, "request_rate": None,
}  # fmt: skip
WALL_NS = 1_795_140_000_000_000_000  # 2026-11-20T02:00:00Z
COUNTS = Counts(
    in_flight=8, sent=20, done=12, late_sends=1, reads=400, merged_reads=3, connections_open=8, connections_opened=9,
    requests_on_reused=11,
)  # fmt: skip


def sampler(*clocks: Clocks) -> HealthSampler:
    """A sampler whose level started at 5 s, made at 5 s, that then reads `clocks`."""
    made = Clocks(5_000_000_000, WALL_NS, 1_000_000_000, 100.0)
    readings: Iterator[Clocks] = iter((made, *clocks))
    return HealthSampler(IDENTITY, 3, 5_000_000_000, clocks=lambda: next(readings))


def at(second: float, *, cpu_s: float = 0.0, step_ms: float = 0.0) -> Clocks:
    """The process so many seconds after the level started."""
    ns = round(second * 1e9)
    return Clocks(5_000_000_000 + ns, WALL_NS + ns + round(step_ms * 1e6), 1_000_000_000 + round(cpu_s * 1e9), 120.0)


def test_counts_of_a_second_are_differences_and_the_others_go_on() -> None:
    health = sampler(at(1, cpu_s=0.25), at(2, cpu_s=0.75))
    first = health.sample(COUNTS, tcp_rtt_ms=0.5)
    second = health.sample(replace(COUNTS, sent=50, done=40, late_sends=4, reads=1000, merged_reads=3))
    assert [(row["late_sends"], row["reads"], row["merged_reads"]) for row in (first, second)] == [
        (1, 400, 3),
        (3, 600, 0),
    ]
    assert [(row["sent"], row["done"]) for row in (first, second)] == [(20, 12), (50, 40)]
    assert [row["cpu_share"] for row in (first, second)] == [pytest.approx(0.25), pytest.approx(0.5)]
    assert [row["elapsed_s"] for row in (first, second)] == [1.0, 2.0]
    assert [row["tcp_rtt_ms"] for row in (first, second)] == [0.5, None]
    assert first["sampled_at"] == datetime(2026, 11, 20, 2, 0, 1)
    assert (first["run_id"], first["shard"], first["run_date"]) == ("r", 3, date(2026, 11, 20))


def test_a_stepped_wall_clock_shows_from_then_on() -> None:
    health = sampler(at(1), at(2, step_ms=-80.0), at(3, step_ms=-80.0))
    assert [health.sample(COUNTS)["clock_step_ms"] for _ in range(3)] == [0.0, -80.0, -80.0]


def test_lags_are_those_of_the_second() -> None:
    # 99 lags of 1 ms and one of 30 ms: p50 and p99 are 1 ms, the largest 30 ms. The next second has none.
    health = sampler(at(1), at(2))
    for lag_ns in [1_000_000] * 99 + [30_000_000]:
        health.loop_lags.add(lag_ns)
    row = health.sample(COUNTS)
    assert (row["loop_lag_p50_ms"], row["loop_lag_p99_ms"], row["loop_lag_max_ms"]) == (1.0, 1.0, 30.0)
    assert row["read_lag_p99_ms"] is None
    assert health.sample(COUNTS)["loop_lag_max_ms"] is None


def test_a_lag_below_zero_counts_as_none() -> None:
    lags = Lags()
    lags.add(-5_000)
    assert lags.take() == (0.0, 0.0, 0.0)


def test_the_rows_keep_the_contract_as_they_are_written(tmp_path: Path) -> None:
    path = health_path(tmp_path / "a1-l002-s003.parquet")
    assert path.name == "a1-l002-s003.client_health.parquet"
    health = HealthSampler(IDENTITY, 3, Clocks.now().monotonic_ns)  # of this process
    writer = PartWriter(path, CLIENT_HEALTH)
    for lag_ns in (20_000, 40_000):
        health.loop_lags.add(lag_ns)
        writer.add(health.sample(COUNTS))
    writer.close()
    split = SPLITTERS["client_health"](pl.read_parquet(path))
    assert (split.good.height, split.bad.height) == (2, 0), split.bad
    assert all(rss_mib > 1 for rss_mib in split.good["rss_mib"])


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_INFO is Linux's")
def test_the_round_trip_of_an_open_connection_is_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"x")
            accepted.recv(1)
            rtt_ms = tcp_rtt_ms(client)
            assert rtt_ms is not None
            assert 0 < rtt_ms < 1000
            assert median_tcp_rtt_ms([client]) is not None


def test_a_socket_without_a_round_trip_has_none() -> None:
    with socket.socket() as unconnected:
        assert tcp_rtt_ms(unconnected) is None
        assert median_tcp_rtt_ms([unconnected]) is None
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert tcp_rtt_ms(ours) is None
