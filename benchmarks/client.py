"""How true is our client, and what does a token cost it? Against the reference endpoint's log, beside other clients.

Each client runs alone, closed loop, against an endpoint that sends the first token after 200 ms and then one every
20 ms. True TTFT is the first token's departure minus the request's arrival, both by the endpoint's kernel stamps.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.clients import CLIENTS, Observed, Streams, missing, observe
from benchmarks.tables import Section

ROUNDS = 5
"""Requests a stream: the first round starts together, the others spread."""

ALL = tuple(CLIENTS)
CASES: tuple[tuple[int, tuple[str, ...]], ...] = ((64, ALL), (256, ALL), (1000, ("bare", "ratecard")))
"""Streams, and the clients that can be waited for there."""


@dataclass(frozen=True)
class Row:
    """One client. Errors are its figure minus the true one; the p99 ITL is that of all gaps between chunks.

    `cpu_vs_bare` and `cpu_vs_httpx` are ratios of CPU a token in this run, `merged_share` merged reads a token,
    `cpu_share` and `loop_lag_p99_ms` the worker's own word about its health.
    """

    client: str
    streams: int
    requests: int
    true_ttft_ms: float
    client_ttft_ms: float | None
    ttft_error_ms: float | None
    ttft_p99_error_ms: float | None
    itl_p99_error_ms: float | None
    cpu_us_per_token: float | None
    cpu_vs_bare: float | None
    cpu_vs_httpx: float | None
    merged_share: float | None
    cpu_share: float | None
    loop_lag_p99_ms: float | None


def run(quick: bool) -> list[Section]:
    """64, 256 and 1,000 streams, or a short look at 64."""
    return [table([(64, ALL)], rounds=2) if quick else table(CASES, ROUNDS)]


def table(
    cases: Iterable[tuple[int, Sequence[str]]], rounds: int, output_tokens: int = Streams.output_tokens
) -> Section:
    """A row for each client of each case; those that are not installed are named below."""
    rows: list[Row] = []
    notes: list[str] = []
    for streams, names in cases:
        notes += [why for name in names if (why := missing(name)) and why not in notes]
        seen = [
            observe(name, Streams(streams, rounds * streams, output_tokens)) for name in names if missing(name) is None
        ]
        rows += _rows(seen)
        notes += [note for one in seen for note in one.notes]
    return Section("client", "clients beside the reference endpoint's kernel stamps", rows, tuple(notes))


def _rows(observed: Sequence[Observed]) -> list[Row]:
    cpu_us = {one.client: one.cpu_us_per_token for one in observed}
    return [_row(one, cpu_us.get("bare"), cpu_us.get("httpx")) for one in observed]


def _row(seen: Observed, bare_us: float | None, httpx_us: float | None) -> Row:
    errors, health = seen.errors, seen.seen.health
    true_ttft_ms = float(seen.truth["ttft_ms"].mean())  # type: ignore[arg-type]
    return Row(
        client=seen.client,
        streams=seen.load.streams,
        requests=seen.load.requests,
        true_ttft_ms=true_ttft_ms,
        client_ttft_ms=None if errors is None else true_ttft_ms + errors.ttft_error_mean_ms,
        ttft_error_ms=None if errors is None else errors.ttft_error_mean_ms,
        ttft_p99_error_ms=None if errors is None else errors.ttft_error_p99_ms,
        itl_p99_error_ms=None if errors is None else errors.itl_error_p99_ms,
        cpu_us_per_token=seen.cpu_us_per_token,
        cpu_vs_bare=bare_us and seen.cpu_us_per_token / bare_us,
        cpu_vs_httpx=httpx_us and seen.cpu_us_per_token / httpx_us,
        merged_share=seen.merged_share,
        cpu_share=health.get("cpu_share"),
        loop_lag_p99_ms=health.get("loop_lag_p99_ms"),
    )
