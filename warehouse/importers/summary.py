"""Columns of a summary point, and the checks that give a wrong unit away.

A unit is not believed: requests in flight follow from rate and latency (Little's law), and must be about what the load
says; a rate times the duration is a count; the time to the first token and those after it add up to the whole.
"""

from pathlib import Path
from typing import Any

from schemas.columns import LATENCY_METRICS, STATISTICS
from schemas.errors import ResultFileError
from warehouse.importers.levels import Level

STATISTIC_NAMES = (*STATISTICS, "max")
_COUNT_TOLERANCE = 0.05
_ADD_UP = {"mean": 1.7, "p50": 2.5}
"""How far TTFT and the tokens after it may miss the whole: lengths vary, and medians do not add up; another unit is 1000."""
_LEAST_IN_FLIGHT, _MOST_IN_FLIGHT = 1 / 40, 2.0
"""Of the concurrency, by Little's law: ramps and stragglers cost some; another unit is 1000."""
_MEASURED_IN_FLIGHT = 10.0
"""Factor from what the file itself counted in flight."""
_LEAST_TPOT_MS = 0.1
"""10,000 tokens a second to one user: what no server gives, and tens of milliseconds are, read as seconds."""


def latency(columns: dict[str, Any], metrics: tuple[str, ...], statistic: str, value_ms: float | None) -> None:
    """Set `statistic` of each of `metrics`, which the tool's figure stands for."""
    if value_ms is not None and statistic in STATISTIC_NAMES:
        for metric in metrics:
            assert metric in LATENCY_METRICS, metric
            columns[f"{metric}_{statistic}_ms"] = value_ms


def check(path: Path, where: str, level: Level, *, unit: str) -> None:
    """Hold the figures of a summary against each other; `unit` says how the file's latencies were read.

    Raises:
        ResultFileError: they cannot all be true: the message has the figures that show it.

    """
    columns = level.summary or {}
    _check_counts(path, where, columns)
    statistic, (ttft, tpot, e2e) = _typical(columns)
    tokens = columns.get("output_tokens_mean")
    for name, value in columns.items():
        if name.endswith("_ms") and value is not None and value < 0:
            raise ResultFileError(f"{path}: {where}: {name}: found {value:g}, expected no negative latency")
    predicted = ttft + tpot * (tokens - 1) if ttft is not None and tpot is not None and tokens and tokens >= 1 else None
    if e2e and ttft and ttft > 1.5 * e2e:
        raise ResultFileError(
            f"{path}: {where}: TTFT {ttft:g} ms is longer than the whole request, {e2e:g} ms ({unit}): one of them is in another unit"
        )
    if e2e and predicted and not 1 / _ADD_UP[statistic] <= predicted / e2e <= _ADD_UP[statistic]:
        raise ResultFileError(
            f"{path}: {where}: TTFT {ttft:g} ms and {tokens:g} tokens {tpot:g} ms apart make {predicted:.5g} ms, but the request latency "
            f"is {e2e:g} ms ({unit}): one of them is in another unit"
        )
    if ttft and tpot and ttft < 0.02 * tpot:
        raise ResultFileError(
            f"{path}: {where}: TTFT {ttft:g} ms is below a fiftieth of the time of one token, {tpot:g} ms ({unit}): "
            "it is in another unit"
        )
    _check_in_flight(path, where, level, e2e or predicted, tpot, unit)


def _check_in_flight(path: Path, where: str, level: Level, e2e_ms: float | None, tpot: float | None, unit: str) -> None:
    columns = level.summary or {}
    rate, duration = columns.get("request_rps"), columns.get("duration_s")
    if not e2e_ms or not rate:
        return
    in_flight = rate * e2e_ms / 1000
    if level.load_kind == "closed" and level.concurrency:
        share = in_flight / level.concurrency
        if not _LEAST_IN_FLIGHT <= share <= _MOST_IN_FLIGHT:
            raise ResultFileError(
                f"{path}: {where}: {rate:.5g} requests/s x {e2e_ms / 1000:.5g} s a request ({unit}) would be {in_flight:.5g} in flight, at "
                f"a concurrency of {level.concurrency}: latency or rate is in another unit than it seems"
            )
    elif (counted := columns.get("mean_in_flight")) and not (
        counted / _MEASURED_IN_FLIGHT <= in_flight <= counted * _MEASURED_IN_FLIGHT
    ):
        raise ResultFileError(
            f"{path}: {where}: {rate:.5g} requests/s x {e2e_ms / 1000:.5g} s a request ({unit}) would be {in_flight:.5g} in flight, and the "
            f"file counted {counted:.5g}: latency or rate is in another unit than it seems"
        )
    elif duration and e2e_ms / 1000 > 2 * duration:
        raise ResultFileError(
            f"{path}: {where}: a request takes {e2e_ms / 1000:.5g} s ({unit}), the whole test took {duration:.5g} s: one of them is in "
            "another unit"
        )
    elif tpot and tpot < _LEAST_TPOT_MS:
        raise ResultFileError(
            f"{path}: {where}: tokens come {tpot:.3g} ms apart ({unit}), {1000 / tpot:,.0f} a second to each user: no server does that; "
            "it is in another unit"
        )
    elif e2e_ms < 0.05:
        raise ResultFileError(
            f"{path}: {where}: a request takes {e2e_ms:.3g} ms ({unit}): no LLM answers in under 50 µs; it is in another unit"
        )


def _check_counts(path: Path, where: str, columns: dict[str, Any]) -> None:
    duration, completed = columns.get("duration_s"), columns.get("completed_requests")
    if duration is not None and duration <= 0:
        raise ResultFileError(f"{path}: {where}: duration: found {duration:g} s, expected more than 0")
    if not duration or not completed:
        return
    counted = {"request_rps": completed}
    for name in ("input", "output"):
        mean = columns.get(f"{name}_tokens_mean")
        if mean is not None:
            counted[f"{name}_tps"] = mean * completed
    for name, count in counted.items():
        rate = columns.get(name)
        if rate is not None and abs(rate * duration - count) > _COUNT_TOLERANCE * max(count, 1e-9):
            what = "requests" if name == "request_rps" else f"{name.removesuffix('_tps')} tokens"
            raise ResultFileError(
                f"{path}: {where}: {name}: {rate:.6g}/s x {duration:.6g} s = {rate * duration:.6g} {what}, but the file counts {count:.6g}: "
                "rate, duration or count is in another unit, or of another test"
            )


def _typical(columns: dict[str, Any]) -> tuple[str, list[float | None]]:
    """TTFT, TPOT and latency of a request, ms: all of one statistic where that is there, else mean or median of each."""
    by_statistic = {statistic: _figures(columns, statistic) for statistic in _ADD_UP}
    for statistic, found in by_statistic.items():
        if all(found):
            return statistic, found
    return "p50", [mean if mean is not None else median for mean, median in zip(*by_statistic.values(), strict=True)]


def _figures(columns: dict[str, Any], statistic: str) -> list[float | None]:
    ttft, tpot, e2e, to_close = (
        columns.get(f"{name}_{statistic}_ms") for name in ("ttft", "tpot", "e2e", "e2e_to_close")
    )
    return [ttft, tpot, to_close if e2e is None else e2e]
