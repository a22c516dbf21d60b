"""Are requests sent when the schedule says? An open loop at the reference endpoint, requests built beforehand."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks import endpoint
from benchmarks.shards import Level, work
from benchmarks.tables import Section
from loadgen.spec import Shape
from warehouse.calibration import Comparison, compare, seen_by_client

ON_TIME_MS = 5.0
TTFT_MS, E2E_MS = 200, 2000
"""A request takes 2 s: twice the rate are in flight."""
ITLS_MS = (20, 50)
"""Fast streams keep a worker busy with tokens while it is to send; those of 20 tokens a second are what users read."""
WARMUP_S, MEASURED_S = 3, 20


@dataclass(frozen=True)
class Row:
    """One arrival process. Lateness: first byte handed to the socket minus schedule, a connection opened included.

    `in_flight_mean` and `in_flight_peak` are of the measured requests, warm-up left out.
    """

    arrivals: str
    rate: int
    itl_ms: int
    requests: int
    in_flight_mean: float
    in_flight_peak: int
    on_time_share: float
    late_p50_ms: float
    late_p99_ms: float
    late_max_ms: float
    ttft_error_ms: float
    itl_p99_error_ms: float


def run(quick: bool) -> list[Section]:
    """Poisson and constant arrivals, about 1,000 in flight, at two speeds of the streams."""
    rate, seconds = (50, 4) if quick else (500, MEASURED_S)
    rows = [measure(arrivals, rate, seconds, itl_ms) for itl_ms in ITLS_MS for arrivals in ("poisson", "constant")]
    return [Section("open_loop", f"open loop: sent within {ON_TIME_MS:g} ms of schedule", rows)]


def measure(arrivals: str, rate: int, seconds: int, itl_ms: int) -> Row:
    """Run one open level of `seconds` after its warm-up."""
    shape = Shape(kind="open", rate=float(rate), arrivals=arrivals)
    output_tokens = 1 + (E2E_MS - TTFT_MS) // itl_ms
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with endpoint.reference(folder, ttft_ms=TTFT_MS, itl_ms=itl_ms) as url:
            worked = work(url, Level(shape, rate * seconds, output_tokens, warmup=rate * WARMUP_S), folder)
        errors = compare(seen_by_client(worked.parts), endpoint.truth(folder), streams=2 * rate)
        return _row(arrivals, rate, itl_ms, _measured(worked.parts), errors)


def _measured(parts: Sequence[Path]) -> pl.DataFrame:
    columns = ["phase", "scheduled_ns", "sent_ns", "closed_ns"]
    return pl.read_parquet(list(parts), columns=columns).filter(pl.col("phase") == "measure")


def _row(arrivals: str, rate: int, itl_ms: int, measured: pl.DataFrame, errors: Comparison) -> Row:
    late_ms = (measured["sent_ns"] - measured["scheduled_ns"]) / 1e6
    mean, peak = in_flight(measured)
    return Row(
        arrivals=arrivals,
        rate=rate,
        itl_ms=itl_ms,
        requests=measured.height,
        in_flight_mean=mean,
        in_flight_peak=peak,
        on_time_share=float((late_ms <= ON_TIME_MS).mean()),  # type: ignore[arg-type]
        late_p50_ms=float(late_ms.quantile(0.5, "linear")),  # type: ignore[arg-type]
        late_p99_ms=float(late_ms.quantile(0.99, "linear")),  # type: ignore[arg-type]
        late_max_ms=float(late_ms.max()),  # type: ignore[arg-type]
        ttft_error_ms=errors.ttft_error_mean_ms,
        itl_p99_error_ms=errors.itl_error_p99_ms,
    )


def in_flight(measured: pl.DataFrame) -> tuple[float, int]:
    """Requests between sent and closed: the mean between the first and the last sent, and the most at once."""
    steps = pl.concat([
        measured.select(at=pl.col("sent_ns"), step=pl.lit(1)),
        measured.select(at=pl.col("closed_ns"), step=pl.lit(-1)),
    ]).sort("at").with_columns(now=pl.col("step").cum_sum())  # fmt: skip
    last_sent: int = measured["sent_ns"].max()  # type: ignore[assignment]
    sending = steps.filter(pl.col("at") <= last_sent)
    held_ns = sending["at"].diff().shift(-1).fill_null(0)
    span_ns = max(1, int(held_ns.sum()))
    return float((held_ns * sending["now"]).sum()) / span_ns, int(steps["now"].max())  # type: ignore[arg-type]
