"""The requests of a shard, in order: warm-up, then measured, or the probe. Built before they are needed.

Shards take their conversations from one sequence per level (`ShardSpec.number`), so that the bytes that are sent do not
depend on the number of shards.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
import orjson

from loadgen.conversations import Conversation, Source, Synthetic, Turn, key_of_level
from loadgen.prompts import Message, completions_prompt, request_body
from loadgen.replays import Collection, Recording
from loadgen.spec import ShardSpec
from loadgen.supply import has_turns, limit_of, stock_of
from loadgen.tokens import Tokenizer, ruler_of
from schemas.errors import SpecError

_AHEAD_BYTES = 64 * 2**20
_REQUEST_BYTES = 6144
_PROBE_OUTPUT_TOKENS = 4
_PATHS = {"chat": "/chat/completions", "completions": "/completions", "responses": "/responses"}


@dataclass(frozen=True, slots=True)
class Job:
    """One request, ready to send, and what its row says about it.

    Target lengths are in tokens: of the whole prompt as the server should count it (earlier turns included), and of
    the answer. `prompt_sha256` is taken over the user's texts joined, or the whole prompt of the completions API.
    """

    index: int  # position among the requests that this shard built
    phase: str  # probe | warmup | measure
    target_input_tokens: int
    target_output_tokens: int
    prompt_chars: int
    prompt_sha256: str
    request: httpx.Request
    at_s: float | None = None  # as a trace recorded it, seconds after the trace's first arrival
    conversation_index: int | None = None  # multi-turn only
    turn_index: int | None = None  # multi-turn only, from 0
    prefix_group: int | None = None
    think_s: float | None = None  # pause between this answer and the next turn; null: there is none
    local_tokens: int | None = None  # probe: what the tokenizer file counts
    messages: tuple[Message, ...] = field(default=(), repr=False)
    later: tuple[Turn, ...] = field(default=(), repr=False)


class JobQueue:
    """Jobs of a shard.

    `limit` is how many conversations it begins in all, warm-up included (a request without further turns is a
    conversation of one); null for endless. `mean_turns` is how many requests a conversation has, `repeats_after`
    after how many conversations of the level the same prompts come again (null: never).

    Everything is built beforehand where its number is known and it takes no more than 64 MiB; beyond that a few per
    slot, or what some seconds need, are kept ready. Raises SpecError for what cannot be run.
    """

    def __init__(self, spec: ShardSpec, client: httpx.AsyncClient) -> None:
        if spec.target.api not in _PATHS:
            raise SpecError(f"target.api is {spec.target.api!r}, expected one of {', '.join(_PATHS)}")
        if spec.phase not in ("probe", "measure"):
            raise SpecError(f"phase is {spec.phase!r}, expected probe or measure")
        self._spec = spec
        # the client puts its headers and the address together once: that takes it longer than all the rest of a request
        model = client.build_request("POST", spec.target.url.rstrip("/") + _PATHS[spec.target.api], json={})
        self._url, self._headers = model.url, model.headers
        del self._headers["content-length"]
        self._probe = spec.phase == "probe"
        self._source = _source(spec)
        self._tokenizer = Tokenizer(spec.target.tokenizer) if self._probe and spec.target.tokenizer else None
        self._many_turns = has_turns(spec)
        self._warmup = 0 if self._probe else spec.share(spec.warmup_requests)
        self.mean_turns = 1.0 if self._probe else self._source.mean_turns
        self.repeats_after = None if self._probe else self._source.repeats_after
        self.limit = limit_of(spec)
        self._least, self._enough = stock_of(spec, self.limit, self.mean_turns)
        self._ready: deque[Job] = deque()
        self._ready_bytes = 0
        self._begun = 0  # conversations built
        self._built = 0  # requests built
        self._taken = asyncio.Event()

    def __bool__(self) -> bool:
        return bool(self._ready) or self._may_begin()

    def next_is_measured(self) -> bool:
        """Whether the next conversation is past the warm-up."""
        return self._begun - len(self._ready) >= self._warmup

    def take(self) -> Job:
        """The opening request of the next conversation."""
        self._taken.set()
        if not self._ready:
            return self._begin()
        job = self._ready.popleft()
        self._ready_bytes -= _bytes(job)
        return job

    def next_turn(self, job: Job, answer: str, input_tokens: int | None, output_tokens: int | None) -> Job:
        """The turn after `job` (whose `think_s` is not null), with the `answer` that was really received.

        The counts are the server's for `job`; null where it told none.
        """
        turn, assistant = job.later[0], Message(role="assistant", content=answer.encode("utf-8", "replace").decode())
        said = job.target_input_tokens if input_tokens is None else input_tokens
        answered = job.target_output_tokens if output_tokens is None else output_tokens
        conversation = Conversation(job.later, job.prefix_group)
        return self._job(
            conversation, job.phase, (*job.messages, assistant), said + answered + turn.input_tokens,
            job.conversation_index, (job.turn_index or 0) + 1,
        )  # fmt: skip

    async def fill(self) -> None:
        """Build jobs until enough are ready."""
        while self._may_begin() and len(self._ready) < self._enough:
            if len(self._ready) >= self._least and self._ready_bytes >= _AHEAD_BYTES:
                break
            job = self._begin()
            self._ready.append(job)
            self._ready_bytes += _bytes(job)
            await asyncio.sleep(0)

    async def keep_filled(self) -> None:
        """Build further jobs as they are taken, until cancelled."""
        while self._may_begin():
            await self._taken.wait()
            self._taken.clear()
            await self.fill()

    def _may_begin(self) -> bool:
        return self.limit is None or self._begun < self.limit

    def _begin(self) -> Job:
        spec, place = self._spec, self._begun
        self._begun += 1
        if self._probe:
            return self._probe_job(place)
        number = spec.number(place)
        phase = "warmup" if number < spec.warmup_requests else "measure"
        talk = self._source.conversation(number, self._key(phase, number))
        return self._job(talk, phase, (), talk.turns[0].input_tokens, number if self._many_turns else None, 0)

    def _probe_job(self, number: int) -> Job:
        """Lengths spread evenly from half to one and a half times the workload's; a single probe takes its own."""
        requests = self._spec.stop.requests or 1
        share = 1.0 if requests == 1 else 0.5 + number / (requests - 1)
        turn = self._source.probe(share, self._key(f"probe of {requests}", number))
        turn = Turn(turn.text, turn.input_tokens, _PROBE_OUTPUT_TOKENS)
        return self._job(Conversation((turn,)), "probe", (), turn.input_tokens, None, None)

    def _job(
        self, talk: Conversation, phase: str, before: tuple[Message, ...], input_tokens: int,
        conversation_index: int | None, turn_index: int | None,
    ) -> Job:  # fmt: skip
        """The first of the turns of `talk`, after the messages of `before`."""
        turn, *later = talk.turns
        messages = (*before, Message(role="user", content=turn.text))
        body = request_body(self._spec.target, messages, turn.output_tokens)
        job = Job(
            index=self._built,
            phase=phase,
            target_input_tokens=input_tokens,
            target_output_tokens=turn.output_tokens,
            prompt_chars=sum(len(message["content"]) for message in messages),
            prompt_sha256=self._hash(messages),
            request=httpx.Request("POST", self._url, headers=self._headers, content=orjson.dumps(body)),
            at_s=talk.at_s if self._spec.shape.arrivals == "trace" else None,
            conversation_index=conversation_index,
            turn_index=None if conversation_index is None else turn_index,
            prefix_group=talk.prefix_group,
            think_s=later[0].think_s if later else None,
            local_tokens=self._tokenizer.count(turn.text) if self._tokenizer else None,
            messages=messages if later else (),
            later=tuple(later),
        )
        self._built += 1
        return job

    def _hash(self, messages: Sequence[Message]) -> str:
        if self._spec.target.api == "completions":
            text = completions_prompt(messages)
        else:
            text = "".join(message["content"] for message in messages if message["role"] == "user")
        return hashlib.sha256(text.encode()).hexdigest()

    def _key(self, phase: str, number: int) -> str:
        return f"{key_of_level(self._spec)}/{phase}/{number}"


def _source(spec: ShardSpec) -> Source:
    ruler = ruler_of(spec.target, spec.prompt_scale)
    if spec.workload.get("trace"):
        return Recording(spec, ruler)
    if spec.workload.get("dataset"):
        return Collection(spec, ruler)
    return Synthetic(spec, ruler)


def _bytes(job: Job) -> int:
    return len(job.request.content) + sum(len(turn.text) for turn in job.later) + _REQUEST_BYTES
