"""The monotonic and the wall clock, read as one."""

from time import monotonic_ns, time_ns


def clock_pair(tries: int) -> tuple[int, int]:
    """(monotonic ns, wall ns) of one instant: of `tries` readings the one in which the two lay closest together."""
    readings = [(monotonic_ns(), time_ns(), monotonic_ns()) for _ in range(tries)]
    before, wall, after = min(readings, key=lambda reading: reading[2] - reading[0])
    return (before + after) // 2, wall
