"""How wrong the client is: its traces of the reference endpoint beside that endpoint's own log.

Both sides carry kernel stamps, so a difference is the client's error. A figure's error is the client's percentile
minus the true one, over the requests that both know (joined on the hash of the prompt). Frames of requests have
`prompt_sha256`, `ttft_ms` and `gaps_ms` (milliseconds between token chunks, a list).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from schemas.errors import EndpointError

TTFT_BOUND_MS = 1.0
ITL_BOUND_MS = 0.5
"""Errors of the medians above these make a night's points `clock_suspect` (docs/metrics.md: validity)."""

HELD_ITL_P99_MS = 1.0
"""A token rate is held while the error of the p99 ITL stays within this."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one load at the reference endpoint showed; errors are the client's figure minus the true one."""

    streams: int
    requests: int
    ttft_error_mean_ms: float
    ttft_error_p50_ms: float
    ttft_error_p99_ms: float
    itl_error_p50_ms: float
    itl_error_p99_ms: float
    tokens_per_s: float

    @property
    def held(self) -> bool:
        """Whether the client kept up with the token rate."""
        return abs(self.itl_error_p99_ms) <= HELD_ITL_P99_MS

    @property
    def within_bounds(self) -> bool:
        """Whether a night measured with this error may be believed."""
        return abs(self.ttft_error_p50_ms) <= TTFT_BOUND_MS and abs(self.itl_error_p50_ms) <= ITL_BOUND_MS


def seen_by_client(parts: Sequence[Path | str]) -> pl.DataFrame:
    """The requests that went well, of trace parts (`raw.request_traces`)."""
    traces = pl.read_parquet(
        [Path(part) for part in parts], columns=["prompt_sha256", "sent_ns", "first_token_ns", "gaps_us", "outcome"]
    )
    return traces.filter(pl.col("outcome") == "ok").select(
        "prompt_sha256",
        ttft_ms=(pl.col("first_token_ns") - pl.col("sent_ns")) / 1e6,
        gaps_ms=pl.col("gaps_us").list.eval(pl.element() / 1e3),
    )


def logged_by_endpoint(log: Path) -> pl.DataFrame:
    """The truth of each request in the reference endpoint's log, with when its tokens left (`sent_ns`, wall clock)."""
    records = pl.read_ndjson(
        log, schema={"prompt_sha256": pl.String, "received_ns": pl.Int64, "sent_ns": pl.List(pl.Int64)}
    )
    return records.filter(pl.col("sent_ns").list.len() > 0).select(
        "prompt_sha256",
        "sent_ns",
        ttft_ms=(pl.col("sent_ns").list.first() - pl.col("received_ns")) / 1e6,
        gaps_ms=pl.col("sent_ns").list.diff(null_behavior="drop").list.eval(pl.element() / 1e6),
    )


def compare(seen: pl.DataFrame, truth: pl.DataFrame, streams: int) -> Comparison:
    """The errors of `seen` against `truth` (with `sent_ns`), at a load of `streams` requests in flight.

    Raises:
        EndpointError: no request is in both.

    """
    both = seen.join(truth, on="prompt_sha256", suffix="_true")
    if both["gaps_ms"].explode().drop_nulls().is_empty():
        raise EndpointError(
            f"none of the client's {seen.height} good requests with several tokens is among the {truth.height} of the "
            "reference endpoint's log: nothing to calibrate with"
        )
    ttft_seen, ttft_true = both["ttft_ms"], both["ttft_ms_true"]
    gaps_seen, gaps_true = (both[name].explode().drop_nulls() for name in ("gaps_ms", "gaps_ms_true"))
    left = both["sent_ns"].explode().drop_nulls()
    return Comparison(
        streams=streams,
        requests=both.height,
        ttft_error_mean_ms=_mean(ttft_seen) - _mean(ttft_true),
        ttft_error_p50_ms=_quantile(ttft_seen, 0.5) - _quantile(ttft_true, 0.5),
        ttft_error_p99_ms=_quantile(ttft_seen, 0.99) - _quantile(ttft_true, 0.99),
        itl_error_p50_ms=_quantile(gaps_seen, 0.5) - _quantile(gaps_true, 0.5),
        itl_error_p99_ms=_quantile(gaps_seen, 0.99) - _quantile(gaps_true, 0.99),
        tokens_per_s=left.len() / (_span_s(left) or float("inf")),
    )


def run_columns(steps: Sequence[Comparison]) -> dict[str, Any]:
    """Columns `calibration_*` of `raw.runs`: errors of the first step, the highest token rate of those held."""
    first = steps[0]
    return {
        "calibration_streams": first.streams,
        "calibration_ttft_error_p50_ms": first.ttft_error_p50_ms,
        "calibration_ttft_error_p99_ms": first.ttft_error_p99_ms,
        "calibration_itl_error_p50_ms": first.itl_error_p50_ms,
        "calibration_itl_error_p99_ms": first.itl_error_p99_ms,
        "calibration_tokens_per_s": max((step.tokens_per_s for step in steps if step.held), default=None),
    }


def in_words(steps: Sequence[Comparison]) -> str:
    """One line: the error at the first step, and what rate was held."""
    first = steps[0]
    rate = run_columns(steps)["calibration_tokens_per_s"]
    holds = "holds no rate that was tried" if rate is None else f"holds {round(rate, -2):,.0f} tokens/s"
    suspect = "" if first.within_bounds else (
        f"; above the bound (TTFT p50 {TTFT_BOUND_MS:g} ms, ITL p50 {ITL_BOUND_MS:g} ms): tonight's points are marked "
        "clock_suspect. Is the machine busy with something else?"
    )  # fmt: skip
    return (
        f"client error at {first.streams} streams: "
        f"TTFT p50 {first.ttft_error_p50_ms:+.2f} / p99 {first.ttft_error_p99_ms:+.2f} ms, "
        f"ITL p50 {first.itl_error_p50_ms:+.2f} / p99 {first.itl_error_p99_ms:+.2f} ms; {holds}{suspect}"
    )


def _mean(values: pl.Series) -> float:
    return float(values.mean())  # type: ignore[arg-type]


def _quantile(values: pl.Series, probability: float) -> float:
    return float(values.quantile(probability, interpolation="linear"))  # type: ignore[arg-type]


def _span_s(stamps_ns: pl.Series) -> float:
    return float(stamps_ns.max() - stamps_ns.min()) / 1e9  # type: ignore[operator,arg-type]
