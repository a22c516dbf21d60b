"""The requests of a shard, in order: warm-up, then measured, or the probe. Built before they are needed."""

import asyncio
import hashlib
from collections import deque
from dataclasses import dataclass

import httpx

from loadgen.prompts import make_prompt, prompt_chars, request_body
from loadgen.spec import ShardSpec
from schemas.errors import SpecError

_AHEAD_BYTES = 64 * 2**20
_PROBE_OUTPUT_TOKENS = 4
_PATHS = {"chat": "/chat/completions", "completions": "/completions"}


@dataclass(frozen=True, slots=True)
class Job:
    """One request, ready to send, and what its row says about it."""

    index: int
    phase: str  # probe | warmup | measure
    target_input_tokens: int
    target_output_tokens: int
    prompt_chars: int
    prompt_sha256: str
    request: httpx.Request


class JobQueue:
    """Jobs of a shard. `limit` is how many there are, null for a level that a duration ends.

    Everything is built beforehand where that takes no more than 64 MiB of prompts; beyond that (and without a limit)
    a few per slot are kept ready. Raises SpecError for an API or phase that does not exist.
    """

    def __init__(self, spec: ShardSpec, client: httpx.AsyncClient) -> None:
        if spec.target.api not in _PATHS:
            raise SpecError(f"target.api is {spec.target.api!r}, expected one of {', '.join(_PATHS)}")
        if spec.phase not in ("probe", "measure"):
            raise SpecError(f"phase is {spec.phase!r}, expected probe or measure")
        if spec.requests is None and (spec.duration_s is None or spec.phase == "probe"):
            raise SpecError("requests is null: a level needs requests or duration_s, a probe needs requests")
        self._spec = spec
        self._client = client
        self._url = spec.target.url.rstrip("/") + _PATHS[spec.target.api]
        self._warmup = 0 if spec.phase == "probe" else spec.warmup_requests
        self.limit = None if spec.requests is None else self._warmup + spec.requests
        per_job = prompt_chars(spec.input_tokens, spec.prompt_scale) + 2048
        self._ahead = max(4 * spec.concurrency, _AHEAD_BYTES // per_job if self.limit is not None else 0)
        self._ready: deque[Job] = deque()
        self._built = 0
        self._taken = asyncio.Event()

    def __bool__(self) -> bool:
        return bool(self._ready) or self._may_build()

    def next_is_measured(self) -> bool:
        """Whether the next job is past the warm-up."""
        return self._built - len(self._ready) >= self._warmup

    def take(self) -> Job:
        """The next job."""
        self._taken.set()
        return self._ready.popleft() if self._ready else self._build()

    async def fill(self) -> None:
        """Build jobs until enough are ready."""
        while self._may_build() and len(self._ready) < self._ahead:
            self._ready.append(self._build())
            await asyncio.sleep(0)

    async def keep_filled(self) -> None:
        """Build further jobs as they are taken, until cancelled."""
        while self._may_build():
            await self._taken.wait()
            self._taken.clear()
            await self.fill()

    def _may_build(self) -> bool:
        return self.limit is None or self._built < self.limit

    def _build(self) -> Job:
        spec, index = self._spec, self._built
        self._built += 1
        phase = "probe" if spec.phase == "probe" else "warmup" if index < self._warmup else "measure"
        input_tokens, output_tokens = spec.input_tokens, spec.output_tokens
        if phase == "probe":
            input_tokens = _probe_tokens(index, spec.requests or 1, input_tokens)
            output_tokens = min(output_tokens, _PROBE_OUTPUT_TOKENS)
        chars = prompt_chars(input_tokens, spec.prompt_scale)
        prompt = make_prompt(chars, self._key(phase, index))
        request = self._client.build_request("POST", self._url, json=request_body(spec.target, prompt, output_tokens))
        digest = hashlib.sha256(prompt.encode()).hexdigest()
        return Job(index, phase, input_tokens, output_tokens, chars, digest, request)

    def _key(self, phase: str, index: int) -> str:
        level_index = self._spec.identity.get("level_index")
        return "/".join(str(part) for part in (self._spec.seed, level_index, self._spec.shard, phase, index))


def _probe_tokens(index: int, requests: int, input_tokens: int) -> int:
    """Target lengths spread evenly from half to one and a half times the workload's; a single probe takes its own."""
    share = 1.0 if requests == 1 else 0.5 + index / (requests - 1)
    return max(1, round(input_tokens * share))
