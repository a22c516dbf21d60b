"""Units as files name them, and whether figures fit the unit that they claim."""

from schemas.errors import ResultFileError

TIME_MS = {
    "ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1000.0, "sec": 1000.0, "seconds": 1000.0, "milliseconds": 1.0,
    "nanoseconds": 1e-6, "microseconds": 1e-3,
}  # fmt: skip
RATE = dict.fromkeys(
    ("requests/sec", "tokens/sec", "tokens/sec/user", "requests/s", "tokens/s", "per_sec", "per second", "req/s"), 1.0
)
COUNT = dict.fromkeys(("tokens", "requests", "count", "", "tokens/request"), 1.0)


def scale(value: float, unit: str, known: dict[str, float], name: str) -> float:
    """`value` in the unit of ours.

    Raises:
        ResultFileError: the unit is none that the metric can have.

    """
    factor = known.get(unit)
    if factor is None:
        raise ResultFileError(f"{name}: found unit {unit!r}, expected one of {', '.join(k for k in known if k)}")
    return value * factor
