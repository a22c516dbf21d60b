"""When the requests of an open loop are to start: arrival times that the seed gives, alike in every shard.

Every offset is computed from the level's start, never from the request before it as it was really sent, so that a
late request makes no other one late. The random gaps of a level are scaled to their mean, as vLLM's benchmark does: a
short level offers the rate that it is named for, not what chance made of it.
"""

import math
import random
from collections.abc import Iterator
from itertools import count, islice

from loadgen.jobs import Job
from loadgen.spec import ShardSpec
from schemas.errors import SpecError

ARRIVALS = ("constant", "poisson", "gamma", "ramp", "trace")

_MOST_SCALED = 100_000
"""Gaps of so many random arrivals have their mean by themselves, within 0.3 %."""


class Schedule:
    """Seconds from the level's start to each arrival of one shard, in order.

    An arrival opens a conversation; with `mean_turns` requests to each, they come at `rate / mean_turns`, so that
    requests come at `rate`. Raises SpecError for a shape that has no arrivals.
    """

    def __init__(self, spec: ShardSpec, mean_turns: float = 1.0) -> None:
        self._speed = spec.shape.speed
        self._duration_s = math.inf if spec.stop.duration_s is None else spec.stop.duration_s
        self._warm_s = 0.0
        self._offsets = (
            None if _is_trace(spec) else islice(all_offsets(spec, mean_turns), spec.shard, None, spec.shards)
        )

    def next_s(self, job: Job) -> float | None:
        """When the next arrival, which is `job`'s, is due; null: the level's time of arrivals is over."""
        if self._offsets is not None:
            return next(self._offsets, None)
        if job.at_s is None:
            raise SpecError("shape.arrivals is trace, but the workload has no trace with times of its own")
        offset = job.at_s / self._speed
        if job.phase == "warmup":
            self._warm_s = offset
        elif offset - self._warm_s >= self._duration_s:
            return None
        return offset


def all_offsets(spec: ShardSpec, mean_turns: float = 1.0) -> Iterator[float]:
    """Seconds from the level's start to each arrival over all shards, the warm-up's first.

    With `stop.duration_s` they end that long after the last warm-up arrival; else they are endless but for a ramp.
    """
    if spec.shape.arrivals == "ramp":
        yield from _ramp(spec, mean_turns)
        return
    last_warm_s, duration_s = 0.0, spec.stop.duration_s
    for number, offset in enumerate(_steady(spec, mean_turns)):
        if number < spec.warmup_requests:
            last_warm_s = offset
        elif duration_s is not None and offset - last_warm_s >= duration_s:
            return
        yield offset


def _steady(spec: ShardSpec, mean_turns: float) -> Iterator[float]:
    shape, rate = spec.shape, _rate(spec) / mean_turns
    if shape.arrivals == "constant":
        yield from (number / rate for number in count())
        return
    first, scale = spec.warmup_requests, 1.0
    last = first + _measured(spec, rate, mean_turns)  # the one after the last that is scaled
    if 2 <= last - first <= _MOST_SCALED:
        drawn = math.fsum(islice(_gaps(spec, rate), first + 1, last))
        scale = (last - first - 1) / rate / drawn if drawn else 1.0
    at = 0.0
    for number, gap in enumerate(_gaps(spec, rate)):
        at += gap * scale if first < number < last else gap
        yield at


def _gaps(spec: ShardSpec, rate: float) -> Iterator[float]:
    shape, rng = spec.shape, random.Random(f"{spec.seed}/{spec.identity.get('level_index')}/arrivals")
    form = shape.burstiness if shape.arrivals == "gamma" else 1.0
    while True:
        # a gamma of form 1 is the exponential distribution: Poisson arrivals
        yield rng.gammavariate(form, 1 / (rate * form)) if form != 1 else rng.expovariate(rate)


def _measured(spec: ShardSpec, rate: float, mean_turns: float) -> int:
    """How many arrivals the measured part should have."""
    requests, duration_s = spec.stop.requests, spec.stop.duration_s
    expected = (
        math.inf if requests is None else requests / mean_turns,
        math.inf if duration_s is None else duration_s * rate,
    )
    return round(min(*expected, _MOST_SCALED + 1))


def _ramp(spec: ShardSpec, mean_turns: float) -> Iterator[float]:
    """Warm-up at the ramp's mean rate, then arrival i at the time t at which a*t + (b - a)*t^2 / (2*length) is i."""
    start, end = spec.shape.ramp_from / mean_turns, _rate(spec) / mean_turns
    mean = (start + end) / 2
    if spec.stop.duration_s is not None:
        length = spec.stop.duration_s
    elif spec.stop.requests is not None:
        length = spec.stop.requests / mean_turns / mean
    else:
        raise SpecError("a ramp needs stop.requests or stop.duration_s: how long it climbs")
    yield from (number / mean for number in range(spec.warmup_requests))
    begin = spec.warmup_requests / mean
    growth = (end - start) / length
    for number in range(math.ceil(mean * length - 1e-9)):
        # the form of the root that is exact where the growth is none
        at = 2 * number / (start + math.sqrt(start**2 + 2 * growth * number)) if number else 0.0
        yield begin + at


def _rate(spec: ShardSpec) -> float:
    if not spec.shape.rate or spec.shape.rate <= 0:
        raise SpecError(f"shape.rate is {spec.shape.rate}: an open loop needs requests a second above 0")
    return spec.shape.rate


def _is_trace(spec: ShardSpec) -> bool:
    if spec.shape.arrivals not in ARRIVALS:
        raise SpecError(f"shape.arrivals is {spec.shape.arrivals!r}, expected one of {', '.join(ARRIVALS)}")
    return spec.shape.arrivals == "trace"
