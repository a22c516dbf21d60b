"""What a worker process reads and nothing more: the shard spec, a frozen dataclass as a JSON file.

Standard library only: a worker needs neither the catalog nor pydantic.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go. `url` is the API base ending in `/v1`; the key is named, never held."""

    url: str
    api: str  # chat | completions
    model: str
    api_key_env: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    extra_body: dict[str, Any] = field(default_factory=dict)
    timeout_s: float = 600.0
    connect_timeout_s: float = 10.0
    verify_tls: bool = True


@dataclass(frozen=True, slots=True)
class PromptScale:
    """Server's prompt tokens = `overhead_tokens` + characters / `chars_per_token`, as the probe measured it."""

    chars_per_token: float = 4.0
    overhead_tokens: float = 0.0


@dataclass(frozen=True, slots=True)
class ShardSpec:
    """One worker's share of one load level (closed loop).

    Measured requests stop at `requests` (this shard's count) or, if `duration_s` is set, once that time has passed
    and `min_requests` were sent; `max_duration_s` ends the level either way. Warm-up requests come first, through
    the same slots, with prompts of their own. `identity` holds the constant columns of the traces.
    """

    identity: dict[str, Any]
    target: Target
    phase: str  # "probe" sends `requests` probe prompts of different lengths; "measure" is a load level
    shard: int
    shards: int
    concurrency: int
    warmup_requests: int
    requests: int | None
    duration_s: float | None
    min_requests: int
    max_duration_s: float
    input_tokens: int
    output_tokens: int
    prompt_scale: PromptScale
    seed: int
    stop_error_share: float  # a level whose requests fail beyond this share (after a few) is stopped
    part_path: str
    start_at: float | None = None  # wall clock, to start several shards together

    def write(self, path: Path) -> None:
        """Write the spec as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1, sort_keys=True))

    @classmethod
    def read(cls, path: Path) -> "ShardSpec":
        """Read a spec written by `write`."""
        raw = json.loads(path.read_text())
        raw["target"] = Target(**raw["target"])
        raw["prompt_scale"] = PromptScale(**raw["prompt_scale"])
        return cls(**raw)
