"""Mean and percentiles of samples, as the warehouse interpolates them."""

import math
from collections.abc import Sequence

from schemas.columns import STATISTICS


def mean(samples: Sequence[float]) -> float:
    """Arithmetic mean of at least one sample."""
    return math.fsum(samples) / len(samples)


def statistics_of(samples: Sequence[float]) -> dict[str, float]:
    """Mean, percentiles by linear interpolation, and max, of at least one sample."""
    ordered = sorted(samples)
    found = {"mean": mean(ordered), "max": ordered[-1]}
    for name, probability in STATISTICS.items():
        if probability is not None:
            place = probability * (len(ordered) - 1)
            below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
            found[name] = below + (above - below) * (place - math.floor(place))
    return found
