"""The load generator's own health: one row of `raw.client_health` per worker and second.

    sampler = HealthSampler(spec.identity, spec.shard, level.started_ns)
    beat.on_lag = sampler.loop_lags.add       # ns and a weight, each beat
    clock.on_lag = sampler.read_lags.add      # ns, each read with a kernel stamp
    writer.add(sampler.sample(Counts(...)))   # once a second

Counts are so far; the sampler takes the differences that make a second of them.
"""

import contextlib
import os
import resource
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from statistics import median
from time import process_time_ns
from typing import Any

from loadgen.clock_pair import clock_pair

_BUCKET_NS = 10_000
_MOST_SOCKETS = 32
_TCP_INFO_BYTES = 72
_TCP_RTT = struct.Struct("=I")
_TCP_RTT_AT = 68  # tcpi_rtt in <linux/tcp.h>, microseconds, smoothed
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


class Lags:
    """Lags of one second, counted in steps of 10 us, so that a hundred thousand of them cost no memory or sorting."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._worst_ns = 0

    def add(self, lag_ns: int, times: int = 1) -> None:
        """Count a lag so many times; a negative one counts as none."""
        bucket = max(0, lag_ns) // _BUCKET_NS
        self._counts[bucket] = self._counts.get(bucket, 0) + times
        if lag_ns > self._worst_ns:
            self._worst_ns = lag_ns

    def take(self) -> tuple[float | None, float | None, float | None]:
        """(p50, p99, maximum) in milliseconds since the last call; nulls where there was none."""
        counts, worst_ns = self._counts, self._worst_ns
        self._counts, self._worst_ns = {}, 0
        if not counts:
            return None, None, None
        return _at_share(counts, 0.5), _at_share(counts, 0.99), max(worst_ns, max(counts) * _BUCKET_NS) / 1e6


def _at_share(counts: dict[int, int], share: float) -> float:
    needed, seen = share * sum(counts.values()), 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= needed:
            return bucket * _BUCKET_NS / 1e6
    raise AssertionError("no lags")


@dataclass(frozen=True, slots=True)
class Counts:
    """What a worker counts: `in_flight` and `connections_open` now, the others since the level started."""

    in_flight: int
    sent: int
    done: int
    late_sends: int
    reads: int
    merged_reads: int
    connections_open: int
    connections_opened: int
    requests_on_reused: int


@dataclass(frozen=True, slots=True)
class Clocks:
    """The process at an instant: both clocks, the CPU time that it has used, and its resident memory."""

    monotonic_ns: int
    wall_ns: int
    cpu_ns: int
    rss_mib: float | None

    @classmethod
    def now(cls) -> "Clocks":
        """Read them, the two clocks back to back."""
        return cls(*clock_pair(3), process_time_ns(), _rss_mib())


class HealthSampler:
    """Builds the rows of one shard of one level; make it when the level starts, at `started_ns` (monotonic).

    `identity` has the columns that a shard's traces share (ShardSpec.identity). `loop_lags` and `read_lags` take the
    lags of each second.
    """

    def __init__(
        self,
        identity: Mapping[str, Any],
        shard: int,
        started_ns: int,
        *,
        clocks: Callable[[], Clocks] = Clocks.now,
    ) -> None:
        self._constants = {
            **{name: identity[name] for name in ("run_id", "attempt", "endpoint", "level_index")},
            "run_date": date.fromisoformat(str(identity["run_date"])),
            "shard": shard,
        }
        self._started_ns = started_ns
        self._clocks = clocks
        self._last = clocks()
        self._offset_ns = self._last.wall_ns - self._last.monotonic_ns
        self._counted = Counts(0, 0, 0, 0, 0, 0, 0, 0, 0)
        self.loop_lags = Lags()
        self.read_lags = Lags()

    def sample(self, counts: Counts, tcp_rtt_ms: float | None = None) -> dict[str, Any]:
        """The row of the time since the last call."""
        now, last, before = self._clocks(), self._last, self._counted
        self._last, self._counted = now, counts
        loop_p50, loop_p99, loop_max = self.loop_lags.take()
        return {
            **self._constants,
            "sampled_at": datetime.fromtimestamp(now.wall_ns / 1e9, UTC).replace(tzinfo=None),
            "elapsed_s": max(0, now.monotonic_ns - self._started_ns) / 1e9,
            "in_flight": counts.in_flight,
            "sent": counts.sent,
            "done": counts.done,
            "late_sends": counts.late_sends - before.late_sends,
            "merged_reads": counts.merged_reads - before.merged_reads,
            "reads": counts.reads - before.reads,
            "loop_lag_p50_ms": loop_p50,
            "loop_lag_p99_ms": loop_p99,
            "loop_lag_max_ms": loop_max,
            "read_lag_p99_ms": self.read_lags.take()[1],
            "cpu_share": (now.cpu_ns - last.cpu_ns) / max(1, now.monotonic_ns - last.monotonic_ns),
            "connections_open": counts.connections_open,
            "connections_opened": counts.connections_opened,
            "requests_on_reused": counts.requests_on_reused,
            "tcp_rtt_ms": tcp_rtt_ms,
            "clock_step_ms": (now.wall_ns - now.monotonic_ns - self._offset_ns) / 1e6,
            "rss_mib": now.rss_mib,
        }


def health_path(part_path: Path) -> Path:
    """Where a shard's health goes: `a1-l001-s000.client_health.parquet` beside its traces."""
    return part_path.with_suffix(".client_health.parquet")


def tcp_rtt_ms(sock: socket.socket) -> float | None:
    """Smoothed round trip of a connected TCP socket in milliseconds; null where the system does not say (Linux does)."""
    if sys.platform != "linux":
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        return None
    if len(info) < _TCP_INFO_BYTES:
        return None
    microseconds: int = _TCP_RTT.unpack_from(info, _TCP_RTT_AT)[0]
    return microseconds / 1000 if microseconds else None


def median_tcp_rtt_ms(sockets: Iterable[socket.socket]) -> float | None:
    """Median of the first 32 sockets that say: a system call each, and a level may have thousands."""
    known = [rtt for rtt in map(tcp_rtt_ms, islice(sockets, _MOST_SOCKETS)) if rtt is not None]
    return median(known) if known else None


def _rss_mib() -> float | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE_MIB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # the highest so far; bytes on macOS
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
