"""What a worker process reads and nothing more: the shard spec, frozen dataclasses as a JSON file.

Standard library only, the errors too: a worker needs neither the catalog nor pydantic.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from schemas.errors import LoadgenError


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go. `url` is the API base ending in `/v1`; secrets are named, never held."""

    url: str
    api: str  # chat | completions | responses
    model: str
    api_key_env: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    extra_body: dict[str, Any] = field(default_factory=dict)
    timeout_s: float = 600.0
    connect_timeout_s: float = 10.0
    verify_tls: bool = True
    proxy: str | None = None
    proxy_auth_env: str | None = None
    http2: bool = False
    tokenizer: str | None = None  # a tokenizer.json on this machine
    keeps_connections: bool | None = None  # after a stream, as the probe saw; null: to be found out


@dataclass(frozen=True, slots=True)
class PromptScale:
    """Server's prompt tokens = `overhead_tokens` + characters / `chars_per_token`, as the probe measured it.

    With a tokenizer file `chars_per_token` is 0 and the overhead counts from the tokenizer's own count.
    """

    chars_per_token: float = 4.0
    overhead_tokens: float = 0.0


@dataclass(frozen=True, slots=True)
class Shape:
    """The load of one level, over all its shards.

    `closed`: `concurrency` requests in flight. `open`: requests start when `arrivals` says, at `rate` a second
    (constant, poisson, gamma with shape `burstiness`, ramp from `ramp_from` up to `rate`), or as the workload's trace
    recorded them, `speed` times as fast.
    """

    kind: str  # closed | open
    concurrency: int | None = None
    rate: float | None = None
    arrivals: str | None = None  # constant | poisson | gamma | ramp | trace
    burstiness: float = 1.0
    ramp_from: float = 0.0
    speed: float = 1.0
    max_in_flight: int | None = None
    cancel_share: float = 0.0
    cancel_after_s: float = 0.0

    @property
    def label(self) -> str:
        """The level in a word: `c=8`, `4/s`, `trace x2`."""
        if self.kind == "closed":
            return f"c={self.concurrency}"
        return f"trace x{self.speed:g}" if self.arrivals == "trace" else f"{self.rate:g}/s"


@dataclass(frozen=True, slots=True)
class StopRules:
    """When a level ends; counts are over all its shards.

    It ends after `requests`, or once `duration_s` has passed and `min_requests` were sent (measured ones both), or
    when the arrivals end; at `max_duration_s` whatever was sent. `grace_s` after the last was sent, what is still in
    flight is cut and counts as a time-out; null follows it to its end. It ends early when more than `error_share`
    fail, when an open loop's queue only grows (`over_saturation`), or when the 95 % interval of the mean of
    `confidence_metric` is within +/- `confidence_share` of it.
    """

    requests: int | None
    duration_s: float | None
    min_requests: int
    max_duration_s: float
    error_share: float
    grace_s: float | None = None
    over_saturation: bool = True
    confidence_metric: str | None = None  # request_rps | ttft | tpot | e2e
    confidence_share: float = 0.0


@dataclass(frozen=True, slots=True)
class ShardSpec:
    """One worker's share of one load level.

    The level's requests are dealt out one after another to its slots (open loop: to its shards), and slot s is one of
    shard s modulo `shards`: all slots have as much to do, and a shard of more slots more than one of fewer. Warm-up requests come first, with prompts of their own. `identity` holds the constant columns of the traces,
    `workload` the catalog's entry as JSON (`schemas.catalog.workloads.Workload`).
    """

    identity: dict[str, Any]
    target: Target
    phase: str  # "probe" sends `stop.requests` probe prompts of different lengths; "measure" is a load level
    shard: int
    shards: int
    shape: Shape
    stop: StopRules
    warmup_requests: int  # over all shards
    workload: dict[str, Any]
    prompt_scale: PromptScale
    seed: int
    part_path: str
    start_at: float | None = None  # wall clock, to start several shards together

    def share(self, total: int) -> int:
        """This shard's part of `total` requests or slots."""
        rounds, rest = divmod(total, self._dealt)
        return rounds * self._mine(self._dealt) + self._mine(rest)

    def number(self, index: int) -> int:
        """Number in the level of this shard's request or conversation `index`, both from 0."""
        rounds, place = divmod(index, self._mine(self._dealt))
        return rounds * self._dealt + self.shard + self.shards * place

    @property
    def _dealt(self) -> int:
        """Requests of one round of dealing."""
        return max(self.shape.concurrency or 0, self.shards)

    def _mine(self, places: int) -> int:
        return places // self.shards + (self.shard < places % self.shards)

    def write(self, path: Path) -> None:
        """Write the spec as JSON. Raises LoadgenError."""
        try:
            path.write_text(json.dumps(asdict(self), indent=1, sort_keys=True))
        except OSError as error:
            raise LoadgenError(
                f"cannot write {path}: {error.strerror or error}; free some space there, then run the night again"
            ) from error

    @classmethod
    def read(cls, path: Path) -> "ShardSpec":
        """Read a spec written by `write`."""
        return cls.of(json.loads(path.read_text()))

    @classmethod
    def of(cls, raw: dict[str, Any]) -> "ShardSpec":
        """A spec from its JSON object."""
        parts = {
            "target": Target(**raw["target"]),
            "prompt_scale": PromptScale(**raw["prompt_scale"]),
            "shape": Shape(**raw["shape"]),
            "stop": StopRules(**raw["stop"]),
        }
        return cls(**(raw | parts))
