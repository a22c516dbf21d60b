"""Catalog models -> RunPlan -> LevelPlan -> ShardSpec.

A RunPlan is one attempt at one endpoint x workload x load on one night, frozen and kept as JSON: it is the whole of
what the flow and, later, a reader of the manifest need to know about what was asked.
"""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadgen import CLIENT_VERSION
from loadgen.spec import PromptScale, ShardSpec, Target
from schemas.columns import TRACE_SCHEMA_VERSION
from schemas.digest import digest

if TYPE_CHECKING:  # a worker machine has no pydantic
    from schemas.catalog import Endpoint, Load, Workload

CLOSED_LOOP_FACTOR = 7
"""A level sends at least this many requests per unit of concurrency (docs/metrics.md: the steady-state window)."""

PROBE_STAGES = (2, 6)
"""Requests of a probe: a first guess at the characters a token, then more around the length that is wanted."""
PROBE_PATIENCE_S = 120.0
"""Longest wait for a probe's short answer: an endpoint that hangs is told within this time."""


@dataclass(frozen=True, slots=True)
class LevelPlan:
    """One closed-loop load level; counts and concurrency are over all shards."""

    level_index: int
    concurrency: int
    requests: int | None
    duration_s: float | None
    max_duration_s: float
    warmup_requests: int
    shards: int

    @property
    def least_requests(self) -> int:
        """Measured requests that the level sends at least, unless it is stopped."""
        return max(self.requests or 0, CLOSED_LOOP_FACTOR * self.concurrency)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One attempt at one measured endpoint x workload x load on one night."""

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
    stop_error_share: float
    target: Target
    endpoint_config: dict[str, Any]
    workload_config: dict[str, Any]
    levels: tuple[LevelPlan, ...]
    client_version: str = CLIENT_VERSION

    @property
    def launch(self) -> dict[str, Any] | None:
        """The server to start for it; null where one runs already."""
        launch: dict[str, Any] | None = self.endpoint_config["launch"]
        return launch

    @classmethod
    def read(cls, path: Path) -> "RunPlan":
        """Read a plan that was kept as JSON (`dataclasses.asdict`)."""
        raw = json.loads(path.read_text())
        raw["target"] = Target(**raw["target"])
        raw["levels"] = tuple(LevelPlan(**level) for level in raw["levels"])
        return cls(**raw)


def api_base(url: str) -> str:
    """`url` as the API base ending in /v1, whether given with or without it."""
    base = url.rstrip("/")
    return base if base.endswith("/v1") else f"{base}/v1"


def plan_levels(load: "Load") -> tuple[LevelPlan, ...]:
    """Load levels, numbered from 1 (0 is the probe)."""
    return tuple(
        LevelPlan(
            level_index=index,
            concurrency=concurrency,
            requests=None if load.requests is None else max(load.requests, CLOSED_LOOP_FACTOR * concurrency),
            duration_s=load.duration_s,
            max_duration_s=load.max_duration_s,
            warmup_requests=concurrency if load.warmup_requests is None else load.warmup_requests,
            shards=load.shards,
        )
        for index, concurrency in enumerate(load.concurrency, start=1)
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
    config = {
        "endpoint": endpoint.model_dump(mode="json"),
        "workload": workload.model_dump(mode="json"),
        "load": load.model_dump(mode="json"),
    }
    config_hash = digest(config)
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
        stop_error_share=load.stop_error_share,
        target=Target(
            url=api_base(endpoint.url or "http://unlaunched.invalid"),
            api=endpoint.api,
            model=endpoint.model or "",
            api_key_env=endpoint.api_key_env,
            headers=endpoint.headers,
            extra_body=endpoint.extra_body,
            timeout_s=endpoint.timeout_s,
            verify_tls=endpoint.verify_tls,
        ),
        endpoint_config=config["endpoint"],
        workload_config=config["workload"],
        levels=plan_levels(load),
    )


def shard_specs(plan: RunPlan, level: LevelPlan, scale: PromptScale, folder: Path) -> list[ShardSpec]:
    """One spec per worker of `level`; parts are to land in `folder`."""
    return [
        _spec(
            plan,
            level.level_index,
            folder,
            phase="measure",
            shard=shard,
            shards=level.shards,
            concurrency=_share(level.concurrency, shard, level.shards),
            level_concurrency=level.concurrency,
            warmup_requests=_share(level.warmup_requests, shard, level.shards),
            requests=None if level.requests is None else _share(level.requests, shard, level.shards),
            duration_s=level.duration_s,
            min_requests=_share(level.least_requests, shard, level.shards),
            max_duration_s=level.max_duration_s,
            prompt_scale=scale,
        )
        for shard in range(level.shards)
    ]


def probe_spec(plan: RunPlan, stage: int, scale: PromptScale, folder: Path) -> ShardSpec:
    """A few requests one after another before the levels: is the endpoint there, and how long are its tokens?

    `scale` is what the stage before found out.
    """
    patience_s = min(PROBE_PATIENCE_S, plan.target.timeout_s)
    return _spec(
        replace(plan, target=replace(plan.target, timeout_s=patience_s)),
        0,
        folder,
        phase="probe",
        shard=stage,
        shards=len(PROBE_STAGES),
        concurrency=1,
        level_concurrency=1,
        warmup_requests=0,
        requests=PROBE_STAGES[stage],
        duration_s=None,
        min_requests=PROBE_STAGES[stage],
        max_duration_s=patience_s,
        prompt_scale=scale,
    )


def _spec(plan: RunPlan, level_index: int, folder: Path, *, level_concurrency: int, **what: Any) -> ShardSpec:
    shard = what["shard"]
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
            "load_kind": "closed",
            "concurrency": level_concurrency,
            "request_rate": None,
            "shard": shard,
            "model": plan.target.model,
            "api": plan.target.api,
            "config_hash": plan.config_hash,
            "client_version": plan.client_version,
            "schema_version": TRACE_SCHEMA_VERSION,
        },
        target=plan.target,
        input_tokens=plan.workload_config["input_tokens"],
        output_tokens=plan.workload_config["output_tokens"],
        seed=plan.seed,
        stop_error_share=plan.stop_error_share,
        part_path=str(folder / f"a{plan.attempt}-l{level_index:03d}-s{shard:03d}.parquet"),
        **what,
    )


def _share(total: int, shard: int, shards: int) -> int:
    """This shard's part of `total`, as even as can be."""
    return total // shards + (shard < total % shards)
