"""How many tokens a second does one worker hold, and would the reference endpoint have held more?

Streams of 20 ms tokens, ever more of them, until the error of the p99 ITL has been above its bound twice. Beside each
step stands how late the endpoint itself was, since it shares the machine: whoever is late first has given way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from benchmarks.clients import Observed, Streams, observe
from benchmarks.endpoint import ITL_MS, TTFT_MS
from benchmarks.tables import Section
from warehouse.calibration import HELD_ITL_P99_MS

STREAMS = (256, 512, 1000, 1500, 2000, 2500, 3000, 4000, 5000, 6000)
ROUNDS, OUTPUT_TOKENS = 2, 128
FAILURES = 2


@dataclass(frozen=True)
class Row:
    """One step. `tokens_per_s` is what the endpoint sent, over the whole step.

    `held`: the error is within the bound. `endpoint_late_*`: when a token left minus when it was due, and
    `true_itl_p99_over_ms` the p99 of the true gaps minus the 20 ms that were asked for.
    """

    streams: int
    tokens_per_s: int
    itl_p99_error_ms: float
    ttft_error_ms: float
    held: bool
    client_cpu_share: float
    client_loop_lag_p99_ms: float | None
    endpoint_late_p50_ms: float
    endpoint_late_p99_ms: float
    true_itl_p99_over_ms: float


def run(quick: bool) -> list[Section]:
    """All steps, or the first two with short answers."""
    steps, tokens = (STREAMS[:2], 16) if quick else (STREAMS, OUTPUT_TOKENS)
    rows = list(climb(steps, tokens))
    best = max((row.tokens_per_s for row in rows if row.held), default=None)
    note = "no step was held" if best is None else f"held: {best:,} tokens a second by one worker"
    return [Section("ceiling", f"streamed tokens held with |p99 ITL error| <= {HELD_ITL_P99_MS:g} ms", rows, (note,))]


def climb(steps: Sequence[int], output_tokens: int) -> Iterator[Row]:
    """A row a step, up to the second that is not held."""
    failed = 0
    for streams in steps:
        row = _row(observe("ratecard", Streams(streams, ROUNDS * streams, output_tokens)))
        yield row
        failed += not row.held
        if failed == FAILURES:
            return


def _row(seen: Observed) -> Row:
    errors, health = seen.errors, seen.seen.health
    assert errors is not None
    endpoint_late_ms = late_ms(seen.truth)
    return Row(
        streams=seen.load.streams,
        tokens_per_s=round(errors.tokens_per_s),
        itl_p99_error_ms=errors.itl_error_p99_ms,
        ttft_error_ms=errors.ttft_error_mean_ms,
        held=errors.held,
        client_cpu_share=health["cpu_share"],
        client_loop_lag_p99_ms=health["loop_lag_p99_ms"],
        endpoint_late_p50_ms=float(endpoint_late_ms.quantile(0.5, "linear")),  # type: ignore[arg-type]
        endpoint_late_p99_ms=float(endpoint_late_ms.quantile(0.99, "linear")),  # type: ignore[arg-type]
        true_itl_p99_over_ms=seen.true_itl_p99_ms - ITL_MS,
    )


def late_ms(truth: pl.DataFrame) -> pl.Series:
    """For each token, when it left minus when it was due: `TTFT_MS` after the request came, then every `ITL_MS`."""
    position = pl.int_range(pl.len()).over("prompt_sha256")
    due_ms = TTFT_MS + position * ITL_MS
    tokens = truth.select(
        "prompt_sha256", "sent_ns", came_ns=pl.col("sent_ns").list.first() - (pl.col("ttft_ms") * 1e6).cast(pl.Int64)
    ).explode("sent_ns")
    return tokens.select((pl.col("sent_ns") - pl.col("came_ns")) / 1e6 - due_ms).to_series()
