"""Catalog models -> RunPlan -> LevelPlan -> ShardSpec.

A RunPlan is one attempt at one endpoint x workload x load on one night, frozen and kept as JSON: it is the whole of
what the flow and, later, a reader of the manifest need to know about what was asked.
"""

import json
import math
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadgen import CLIENT_VERSION
from loadgen.spec import PromptScale, Shape, ShardSpec, StopRules, Target
from loadgen.workload_facts import workload_facts
from schemas.columns import TRACE_SCHEMA_VERSION
from schemas.digest import digest, file_digest
from schemas.errors import SpecError
from schemas.trace_file import Trace, read_trace

if TYPE_CHECKING:  # a worker machine has no pydantic
    from schemas.catalog.endpoints import Endpoint
    from schemas.catalog.loads import Load
    from schemas.catalog.workloads import Workload

CLOSED_LOOP_FACTOR = 7
"""A level sends at least this many requests per unit of concurrency (docs/metrics.md: the steady-state window)."""

LEAST_SLOTS = 32
"""Requests in flight of each worker of a closed loop, unless the load says how many workers there are.

Each worker sends its own part of the level's requests. Of few slots, with answers of different lengths, one worker is done
long before another: the level would end with fewer in flight than it should hold.
"""

OPEN_WARMUP_S = 5.0
"""Seconds of an open loop's rate that are warm-up unless the load says how many requests are."""

PROBE_STAGES = (2, 6)
"""Requests of a probe: a first guess at the characters a token, then more around the length that is wanted."""
PROBE_STAGE_S = 120.0
"""Seconds after which a stage of a probe sends nothing more: what is slow is asked less."""
PROBE_ANSWER_S = 120.0
"""Longest wait for a probe's short answer: of an endpoint that hangs, ten minutes a plan would be lost of the night."""


@dataclass(frozen=True, slots=True)
class LevelPlan:
    """One load level; counts are over all shards."""

    level_index: int
    shape: Shape
    stop: StopRules
    warmup_requests: int
    shards: int

    @property
    def least_requests(self) -> int:
        """Measured requests that the level sends at least, unless it is stopped or its trace is shorter."""
        if self.stop.requests is not None:
            return self.stop.requests
        begins = self.shape.ramp_from if self.shape.arrivals == "ramp" else self.shape.rate or 0
        by_rate = (begins + (self.shape.rate or 0)) / 2 * (self.stop.duration_s or 0)
        return max(self.stop.min_requests, math.floor(by_rate if self.shape.kind == "open" else 0))


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One attempt at one measured endpoint x workload x load on one night.

    The levels of a search are not known beforehand: `levels` has those begun so far.
    """

    run_id: str
    attempt: int
    suite: str
    endpoint: str
    workload: str
    load: str
    night: str  # ISO 8601, UTC, without an offset
    run_date: str
    config_hash: str
    seed: int
    target: Target
    endpoint_config: dict[str, Any]
    workload_config: dict[str, Any]
    load_config: dict[str, Any]
    levels: tuple[LevelPlan, ...]
    client_version: str = CLIENT_VERSION

    @property
    def launch(self) -> dict[str, Any] | None:
        """The server to start for it; null where one runs already."""
        launch: dict[str, Any] | None = self.endpoint_config["launch"]
        return launch

    @property
    def search(self) -> dict[str, Any] | None:
        """How its levels are found; null where the catalog lists them."""
        search: dict[str, Any] | None = self.load_config["search"]
        return search

    @classmethod
    def read(cls, path: Path) -> "RunPlan":
        """Read a plan that was kept as JSON (`dataclasses.asdict`)."""
        raw = json.loads(path.read_text())
        raw["target"] = Target(**raw["target"])
        raw["levels"] = tuple(
            LevelPlan(**(level | {"shape": Shape(**level["shape"]), "stop": StopRules(**level["stop"])}))
            for level in raw["levels"]
        )
        return cls(**raw)


def api_base(url: str) -> str:
    """`url` as the API base ending in /v1, whether given with or without it."""
    base = url.rstrip("/")
    return base if base.endswith("/v1") else f"{base}/v1"


def plan_levels(load: "Load", trace: Trace | None = None) -> tuple[LevelPlan, ...]:
    """Load levels, numbered from 1 (0 is the probe); none for a search, whose levels are found as it goes.

    `trace` is the workload's. Raises SpecError where the load replays a trace and there is none.
    """
    if load.concurrency is not None:
        return tuple(closed_level(load, index, c) for index, c in enumerate(load.concurrency, start=1))
    if load.rate is not None:
        return tuple(open_level(load, index, rate) for index, rate in enumerate(load.rate, start=1))
    if load.speed is not None and trace is None:
        raise SpecError("speed replays a workload's trace, and this workload has none: give rate or concurrency")
    levels = enumerate(load.speed or (), start=1)
    return tuple(trace_level(load, index, speed, trace) for index, speed in levels if trace is not None)


def closed_level(load: "Load", index: int, concurrency: int) -> LevelPlan:
    """Level `index` with `concurrency` requests in flight."""
    shape = Shape(kind="closed", concurrency=concurrency, **_cancellation(load))
    least = CLOSED_LOOP_FACTOR * concurrency
    return LevelPlan(
        level_index=index,
        shape=shape,
        stop=_stop_rules(load, least, None if load.requests is None else max(load.requests, least)),
        warmup_requests=concurrency if load.warmup_requests is None else load.warmup_requests,
        shards=min(load.shards, concurrency) if load.shards else min(_workers(), max(1, concurrency // LEAST_SLOTS)),
    )


def open_level(load: "Load", index: int, rate: float) -> LevelPlan:
    """Level `index` at `rate` requests a second."""
    shape = Shape(
        kind="open",
        rate=rate,
        arrivals=load.arrivals,
        burstiness=load.burstiness,
        ramp_from=load.ramp_from,
        max_in_flight=load.max_in_flight,
        **_cancellation(load),
    )
    warmup = math.ceil(OPEN_WARMUP_S * rate) if load.warmup_requests is None else load.warmup_requests
    return LevelPlan(index, shape, _stop_rules(load, 1, load.requests), warmup, _shards(load))


def trace_level(load: "Load", index: int, speed: float, trace: Trace) -> LevelPlan:
    """Level `index`: the workload's trace, `speed` times as fast as it was recorded.

    Nothing of a trace is warm-up unless the load says so: its beginning is part of what happened. The rate is the mean
    one of the arrivals that are replayed. Raises SpecError where the warm-up leaves none of them.
    """
    warmup = load.warmup_requests or 0
    if warmup >= len(trace):
        raise SpecError(f"warmup_requests ({warmup}) leaves none of the trace's {len(trace)} arrivals to measure")
    requests = min(load.requests or len(trace), len(trace) - warmup)
    shape = Shape(
        kind="open",
        rate=trace.rate(warmup + requests) * speed,
        arrivals="trace",
        speed=speed,
        max_in_flight=load.max_in_flight,
        **_cancellation(load),
    )
    return LevelPlan(index, shape, _stop_rules(load, 1, requests), warmup, _shards(load))


def _shards(load: "Load") -> int:
    """Of an open loop; each may have one request in flight at least."""
    shards = load.shards or _workers()
    return shards if load.max_in_flight is None else min(shards, load.max_in_flight)


def _workers() -> int:
    return max(1, cores() - 1)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cancellation(load: "Load") -> dict[str, Any]:
    cancel = load.cancel
    return {"cancel_share": cancel.share, "cancel_after_s": cancel.after_s} if cancel else {}


def _stop_rules(load: "Load", min_requests: int, requests: int | None) -> StopRules:
    confidence = load.confidence
    return StopRules(
        requests=requests,
        duration_s=load.duration_s,
        min_requests=min_requests,
        max_duration_s=load.max_duration_s,
        error_share=load.stop_error_share,
        grace_s=load.grace_s,
        over_saturation=load.over_saturation_stop,
        confidence_metric=confidence.metric if confidence else None,
        confidence_share=confidence.relative if confidence else 0.0,
    )


def plan_run(
    *,
    suite: str,
    names: tuple[str, str, str],
    endpoint: "Endpoint",
    workload: "Workload",
    load: "Load",
    night: datetime,
    attempt: int = 1,
) -> RunPlan:
    """Plan of `names` = (endpoint, workload, load) for `night` (aware; kept in UTC)."""
    endpoint_name, workload_name, load_name = names
    config_hash = digest(
        {
            # a field that a later version adds must not look like a change of the configuration
            "endpoint": endpoint.model_dump(mode="json", exclude_defaults=True)
            | ({"tokenizer": _content(endpoint.tokenizer)} if endpoint.tokenizer else {}),
            "workload": _by_content(workload.model_dump(mode="json", exclude_defaults=True)),
            "load": load.model_dump(mode="json", exclude_defaults=True),
        }
    )
    workload_config = workload.model_dump(mode="json")
    if endpoint.role == "prefill":
        workload_config["output_tokens"] = 1  # all that a prefill pool does: the decode pool goes on from there
    trace = read_trace(workload_config["trace"]) if workload.trace else None
    at = night.astimezone(UTC).replace(tzinfo=None)
    identity = digest([suite, endpoint_name, workload_name, load_name, at.isoformat(), config_hash])
    run_id = f"{at.date()}_{endpoint_name}_{workload_name}_{identity[:8]}"
    return RunPlan(
        run_id=run_id,
        attempt=attempt,
        suite=suite,
        endpoint=endpoint_name,
        workload=workload_name,
        load=load_name,
        night=at.isoformat(),
        run_date=str(at.date()),
        config_hash=config_hash,
        seed=int(digest([run_id, attempt])[:15], 16) if workload.seed is None else workload.seed,
        target=Target(
            url=api_base(endpoint.url or "http://unlaunched.invalid"),
            api=endpoint.api,
            model=endpoint.model or "",
            api_key_env=endpoint.api_key_env,
            headers=endpoint.headers,
            extra_body=endpoint.extra_body,
            timeout_s=endpoint.timeout_s,
            verify_tls=endpoint.verify_tls,
            proxy=endpoint.proxy,
            proxy_auth_env=endpoint.proxy_auth_env,
            http2=endpoint.http2,
            tokenizer=endpoint.tokenizer,
        ),
        endpoint_config=endpoint.model_dump(mode="json"),
        workload_config=workload_config | workload_facts(workload_config) | {"shares_prefix": workload.shares_prefix},
        load_config=load.model_dump(mode="json"),
        levels=plan_levels(load, trace),
    )


def _by_content(config: Any) -> Any:
    """`config` with the digest of each file in place of its path: other data are another configuration."""
    if isinstance(config, dict):
        return {name: _content(value) if name == "file" else _by_content(value) for name, value in config.items()}
    return config


def _content(file: str) -> str:
    try:
        return file_digest(Path(file))
    except OSError as error:
        raise SpecError(f"{file}: cannot be read: {error.strerror or error}") from None


def shard_specs(
    plan: RunPlan,
    level: LevelPlan,
    scale: PromptScale,
    folder: Path,
    *,
    keeps_connections: bool | None = None,
    start_at: float | None = None,
) -> list[ShardSpec]:
    """One spec per worker of `level`, to start together at `start_at` (wall clock); parts are to land in `folder`.

    `scale` and `keeps_connections` are what the probe found out.
    """
    aimed = replace(plan, target=replace(plan.target, keeps_connections=keeps_connections))
    return [
        _spec(
            aimed,
            level.level_index,
            folder,
            phase="measure",
            shard=shard,
            shards=level.shards,
            shape=level.shape,
            stop=level.stop,
            warmup_requests=level.warmup_requests,
            prompt_scale=scale,
            start_at=start_at,
        )
        for shard in range(level.shards)
    ]


def probe_spec(plan: RunPlan, stage: int, scale: PromptScale, folder: Path) -> ShardSpec:
    """A few requests one after another before the levels: is the endpoint there, and how long are its tokens?

    `scale` is what the stage before found out.
    """
    requests = PROBE_STAGES[stage]
    return replace(
        _spec(
            replace(plan, target=replace(plan.target, timeout_s=min(PROBE_ANSWER_S, plan.target.timeout_s))),
            0,
            folder,
            phase="probe",
            shard=stage,  # the stages are one level: its rows are told apart by this
            shards=1,
            shape=Shape(kind="closed", concurrency=1),
            stop=StopRules(requests, None, requests, PROBE_STAGE_S, error_share=0.5),
            warmup_requests=0,
            prompt_scale=scale,
        ),
        part_path=_part_path(plan, 0, stage, folder),
    )


def _spec(plan: RunPlan, level_index: int, folder: Path, **what: Any) -> ShardSpec:
    shape: Shape = what["shape"]
    return ShardSpec(
        identity={
            "run_id": plan.run_id,
            "attempt": plan.attempt,
            "suite": plan.suite,
            "endpoint": plan.endpoint,
            "workload": plan.workload,
            "load": plan.load,
            "run_date": plan.run_date,
            "level_index": level_index,
            "load_kind": shape.kind,
            "concurrency": shape.concurrency,
            "request_rate": shape.rate,
            "model": plan.target.model,
            "api": plan.target.api,
            "config_hash": plan.config_hash,
            "client_version": plan.client_version,
            "schema_version": TRACE_SCHEMA_VERSION,
        },
        target=plan.target,
        workload=plan.workload_config,
        seed=plan.seed,
        part_path=_part_path(plan, level_index, what["shard"], folder),
        **what,
    )


def _part_path(plan: RunPlan, level_index: int, shard: int, folder: Path) -> str:
    return str(folder / f"a{plan.attempt}-l{level_index:03d}-s{shard:03d}.parquet")
