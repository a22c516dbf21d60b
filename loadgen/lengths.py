"""Lengths in tokens as the catalog distributes them: a number, or one of its distributions as JSON.

Normal and lognormal lengths are drawn from what lies between `min` and `max`, by inverting the distribution: one
uniform number a length, however narrow the cut. A lognormal states mean m and standard deviation s of the lengths
themselves, so that of their logarithms sigma^2 = ln(1 + s^2 / m^2) and mu = ln m - sigma^2 / 2.
"""

import math
import random
from functools import lru_cache
from statistics import NormalDist, fmean
from typing import Any

from schemas.errors import SpecError
from schemas.records import csv_rows, json_lines, text_lines, whole_number

Length = int | dict[str, Any]
"""Tokens, or a distribution of `schemas.catalog` as JSON."""

_SMALLEST = 1e-12  # the ends of a distribution without an end
_NARROW = 1e-6


def draw(config: Length, rng: random.Random) -> int:
    """One length, at least 1 token; the same `rng` gives the same. Raises SpecError."""
    if isinstance(config, int):
        return config
    kind = config.get("distribution", "fixed")
    if kind == "fixed":
        return int(config["tokens"])
    if kind == "uniform":
        return rng.randint(config["min"], config["max"])
    if kind == "empirical":
        return rng.choice(_values(config["file"], config.get("column")))
    cut = _Cut(config)
    return cut.at(rng.random())


def mean(config: Length) -> float:
    """Mean length in tokens, of a normal or lognormal what lies between `min` and `max`. Raises SpecError."""
    if isinstance(config, int):
        return float(config)
    kind = config.get("distribution", "fixed")
    if kind == "fixed":
        return float(config["tokens"])
    if kind == "uniform":
        return float(config["min"] + config["max"]) / 2
    if kind == "empirical":
        return fmean(_values(config["file"], config.get("column")))
    return _Cut(config).mean()


class _Cut:
    """A normal or lognormal distribution between `min` and `max`. Raises SpecError for another one."""

    def __init__(self, config: dict[str, Any]) -> None:
        kind = config["distribution"]
        if kind not in ("normal", "lognormal"):
            raise SpecError(
                f"a length's distribution is {kind!r}, expected fixed, uniform, normal, lognormal or empirical"
            )
        self._mean, stddev = float(config["mean"]), float(config["stddev"])
        self._least, self._most = config.get("min") or 1, config.get("max") or math.inf
        self._log = kind == "lognormal"
        sigma = math.sqrt(math.log1p((stddev / self._mean) ** 2)) if self._log else stddev
        mu = math.log(self._mean) - sigma**2 / 2 if self._log else self._mean
        self._curve = NormalDist(mu, sigma) if sigma > _NARROW else None
        # half a token beyond both ends, since lengths are rounded
        self._from, self._to = self._share_below(self._least - 0.5), self._share_below(self._most + 0.5)

    def at(self, share: float) -> int:
        """The length that `share` of all lengths are below."""
        if self._curve is None:
            return self._bounded(self._mean)
        share = self._from + share * (self._to - self._from)
        z = self._curve.inv_cdf(min(max(share, _SMALLEST), 1 - _SMALLEST))
        return self._bounded(math.exp(z) if self._log else z)

    def mean(self) -> float:
        """Mean of a truncated normal, or of a truncated lognormal (Johnson, Kotz: Continuous distributions, 1994)."""
        curve, inside = self._curve, self._to - self._from
        if curve is None or inside < _SMALLEST:
            return float(self._bounded(self._mean))
        low, high = self._least - 0.5, self._most + 0.5
        if self._log:
            shifted = NormalDist(curve.mean + curve.variance, curve.stdev)
            upper = 1.0 if high == math.inf else shifted.cdf(math.log(high))
            mean = self._mean * (upper - shifted.cdf(math.log(low))) / inside
        else:
            upper = 0.0 if high == math.inf else curve.pdf(high)
            mean = self._mean + curve.variance * (curve.pdf(low) - upper) / inside
        return float(min(max(mean, self._least), self._most))

    def _share_below(self, length: float) -> float:
        if self._curve is None or length == math.inf:
            return 1.0
        return self._curve.cdf(math.log(length) if self._log else length)

    def _bounded(self, length: float) -> int:
        return round(min(max(length, self._least), self._most))


@lru_cache(maxsize=8)
def _values(file: str, column: str | None) -> list[int]:
    """Lengths of a file: a column of a CSV, a key of JSON lines, or one number a line."""
    if column is None:
        values = [whole_number(text, where) for where, text in text_lines(file)]
    elif file.endswith((".jsonl", ".ndjson", ".json")):
        values = [whole_number(entry.get(column), f"{where}: {column}") for where, entry in json_lines(file)]
    else:
        values = [whole_number(row[column.lower()], f"{where}: {column}") for where, row in csv_rows(file, [column])]
    if not values:
        raise SpecError(f"{file}:1: holds no lengths")
    return values
