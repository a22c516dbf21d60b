"""How many conversations a shard begins, and how many of their requests are built before they are needed."""

import math

from loadgen.spec import ShardSpec
from schemas.errors import SpecError
from schemas.trace_file import read_trace

_AHEAD_ROUNDS = 4
_AHEAD_S = 4.0
_MARGIN = 1.1  # random arrivals may be more than their mean


def has_turns(spec: ShardSpec) -> bool:
    """Whether an answer may be followed by a further turn; a probe sends first turns only."""
    dataset = spec.workload.get("dataset") or {}
    return spec.phase != "probe" and bool(spec.workload.get("turns") or dataset.get("multi_turn"))


def limit_of(spec: ShardSpec) -> int | None:
    """Conversations that the shard begins, warm-up included; null for endless: the level says when it is over.

    Raises SpecError where nothing says how long the level is.
    """
    requests = spec.stop.requests
    if spec.shape.arrivals == "trace":
        return spec.share(_replayed(spec))
    if requests is None and (spec.stop.duration_s is None or spec.phase == "probe"):
        raise SpecError("stop.requests is null: a level needs requests or duration_s, a probe needs requests")
    if requests is None or has_turns(spec):
        return None
    warmup = 0 if spec.phase == "probe" else spec.warmup_requests
    return spec.share(warmup + requests)


def stock_of(spec: ShardSpec, limit: int | None, mean_turns: float) -> tuple[int, int]:
    """How many opening requests are kept ready at the least, whatever they weigh, and at the most."""
    stop, is_open = spec.stop, spec.shape.kind == "open"
    rate = (spec.shape.rate or 1.0) / spec.shards / mean_turns
    least = math.ceil(rate * _AHEAD_S) if is_open else _AHEAD_ROUNDS * spec.share(spec.shape.concurrency or 1)
    if limit is not None:
        return least, limit
    warmup = spec.share(spec.warmup_requests)
    if stop.requests is not None:  # as many conversations as they should take
        return least, max(least, warmup + math.ceil(spec.share(stop.requests) / mean_turns))
    seconds = min(stop.duration_s or math.inf, stop.max_duration_s) if is_open else 0.0
    return least, max(least, warmup + math.ceil(_MARGIN * rate * seconds))


def _replayed(spec: ShardSpec) -> int:
    """Arrivals that are replayed, over all shards: all of the trace, or as many as the level asks for."""
    if not spec.workload.get("trace"):
        raise SpecError("shape.arrivals is trace, but the workload has no trace to replay")
    arrivals = len(read_trace(spec.workload["trace"]))
    return arrivals if spec.stop.requests is None else min(arrivals, spec.warmup_requests + spec.stop.requests)
