"""What is sent does not depend on who sends it: same seed, same bytes, in one shard or in several."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from loadgen.jobs import Job
from loadgen.spec import PromptScale, ShardSpec
from schemas.errors import SpecError
from tests.loadgen.queues import all_jobs, queue_of, taken, text, texts

SPREAD = {
    "input_tokens": {"distribution": "lognormal", "mean": 100, "stddev": 80, "min": 10, "max": 900},
    "output_tokens": {"distribution": "uniform", "min": 1, "max": 50},
}
TURNS = {"count": {"distribution": "uniform", "min": 1, "max": 4}, "think_time_s": 2.0, "think_time": "exponential"}
BLOCK = 16


def level(make_spec, **fields: Any) -> ShardSpec:
    return make_spec("http://x/v1", **fields)


def blocks(prompt: str) -> set[tuple[str, int]]:
    """The blocks that a prefix cache of 16-character blocks would keep: each known by all that stands before it."""
    return {(prompt[:end], end) for end in range(BLOCK, len(prompt) + 1, BLOCK)}


@pytest.mark.parametrize("workload", [SPREAD, SPREAD | {"shared_prefix": {"tokens": 20, "prefixes": 3}}])
def test_one_shard_and_three_send_the_same_bytes(make_spec, workload: dict[str, Any]) -> None:
    spec = level(make_spec, requests=20, warmup_requests=5, **workload)
    again = level(make_spec, requests=20, warmup_requests=5, **workload)
    whole = [(job.request.content, job.phase) for job in all_jobs(spec)]
    assert len(whole) == 25
    assert whole == [(job.request.content, job.phase) for job in all_jobs(again)]
    for shards in (3, 25):
        parts = [
            [(job.request.content, job.phase) for job in all_jobs(level(
                make_spec, requests=20, warmup_requests=5, shard=shard, shards=shards, **workload
            ))]
            for shard in range(shards)
        ]  # fmt: skip
        assert [whole[shard::shards] for shard in range(shards)] == parts


def test_each_slot_of_a_closed_loop_gets_as_much_to_do_however_they_lie_on_shards(make_spec) -> None:
    # 5 slots on 2 shards: 0, 2 and 4 on the first, 1 and 3 on the second; 23 requests are 4 rounds and 3 more
    first, second = (
        level(make_spec, concurrency=5, requests=20, warmup_requests=3, shard=shard, shards=2) for shard in (0, 1)
    )
    assert [first.number(index) for index in range(7)] == [0, 2, 4, 5, 7, 9, 10]
    assert [second.number(index) for index in range(5)] == [1, 3, 6, 8, 11]
    assert (first.share(23), second.share(23)) == (4 * 3 + 2, 4 * 2 + 1)
    assert (first.share(5), second.share(5)) == (3, 2)
    whole = {job.request.content for job in all_jobs(level(make_spec, requests=20, warmup_requests=3))}
    parts = [job.request.content for spec in (first, second) for job in all_jobs(spec)]
    assert len(parts) == len(whole) == 23
    assert set(parts) == whole


def test_shards_say_when_their_part_of_the_warm_up_is_over(make_spec) -> None:
    # 5 warm-up conversations over 2 shards: numbers 0, 2, 4 and 1, 3
    for shard, warm in ((0, 3), (1, 2)):
        queue = queue_of(level(make_spec, requests=4, warmup_requests=5, shard=shard, shards=2))
        measured = [(queue.next_is_measured(), queue.take().phase) for _ in range(4)]
        assert measured == [(False, "warmup")] * warm + [(True, "measure")] * (4 - warm)
    assert queue.limit == 4  # 9 in all, the other shard takes 5


def test_no_prefix_cache_is_hit_over_workloads_levels_and_phases(make_spec) -> None:
    identity = level(make_spec).identity
    jobs = [
        *all_jobs(level(make_spec, requests=30, warmup_requests=10, **SPREAD)),
        *all_jobs(level(make_spec, requests=30, identity=identity | {"level_index": 2}, **SPREAD)),
        *all_jobs(level(make_spec, requests=30, identity=identity | {"workload": "another"}, **SPREAD)),
        *all_jobs(level(make_spec, requests=6, phase="probe", identity=identity | {"level_index": 0}, **SPREAD)),
        *all_jobs(level(make_spec, requests=2, phase="probe", identity=identity | {"level_index": 0}, **SPREAD)),
    ]
    kept: set[tuple[str, int]] = set()
    for job in jobs:
        assert not kept & blocks(text(job))
        kept |= blocks(text(job))
    assert len(jobs) == 108


def test_recorded_blocks_are_shared_within_a_level_alone(make_spec, tmp_path: Path) -> None:
    rows = ('{"timestamp": 0, "input_length": 600, "output_length": 2, "hash_ids": [0, 7]}',
            '{"timestamp": 9, "input_length": 700, "output_length": 3, "hash_ids": [0, 8]}')  # fmt: skip
    (tmp_path / "trace").write_text("\n".join(rows))
    trace = {"file": str(tmp_path / "trace"), "format": "mooncake"}
    identity = level(make_spec).identity
    (first, second), (again, _) = (
        [
            text(job)
            for job in all_jobs(level(make_spec, requests=2, identity=identity | {"level_index": index}, trace=trace))
        ]
        for index in (1, 2)
    )
    assert first[:1000] == second[:1000]
    assert not blocks(first) & blocks(again)


def test_a_shared_prefix_is_hit_on_purpose_in_all_phases_and_levels(make_spec) -> None:
    shared = {"input_tokens": 100, "output_tokens": 5, "shared_prefix": {"tokens": 60, "prefixes": 2}}
    identity = level(make_spec).identity | {"level_index": 2}
    scale = PromptScale(4.0, 10.0)
    jobs = [
        *all_jobs(level(make_spec, requests=4, warmup_requests=2, prompt_scale=scale, **shared)),
        *all_jobs(level(make_spec, requests=4, identity=identity, prompt_scale=scale, **shared)),
    ]
    assert [job.prefix_group for job in jobs] == [0, 1] * 5
    # 60 tokens x 4 characters are the group's, the rest of (100 - 10) x 4 is the request's own
    assert {len(text(job)) for job in jobs} == {360}
    assert len({text(job)[:240] for job in jobs}) == 2
    assert len({text(job)[241:253] for job in jobs}) == 10
    assert {job.target_input_tokens for job in jobs} == {100}


def test_a_prompt_is_longer_than_its_shared_prefix_at_the_least(make_spec) -> None:
    drawn = {"distribution": "uniform", "min": 1, "max": 100}
    shared = {"input_tokens": drawn, "output_tokens": 5, "shared_prefix": {"tokens": 60, "prefixes": 1}}
    jobs = all_jobs(level(make_spec, requests=40, **shared))
    assert min(job.target_input_tokens for job in jobs) == 61
    assert min(len(text(job)) for job in jobs) > 240


def conversation(make_spec, number: int = 0, **fields: Any) -> list[Job]:
    queue = queue_of(level(make_spec, **SPREAD, turns=TURNS, **fields))
    job = [queue.take() for _ in range(number + 1)][-1]
    jobs = [job]
    while job.think_s is not None:
        job = queue.next_turn(job, f"answer {len(jobs)}", None, None)
        jobs.append(job)
    return jobs


def test_a_conversation_sends_all_that_was_said_before(make_spec) -> None:
    jobs = next(talk for number in range(20) if len(talk := conversation(make_spec, number)) == 3)
    said = texts(jobs[2])
    assert texts(jobs[0]) == said[:1]
    assert texts(jobs[1]) == said[:3]
    assert [said[1], said[3]] == ["answer 1", "answer 2"]
    assert [job.turn_index for job in jobs] == [0, 1, 2]
    assert len({job.conversation_index for job in jobs}) == 1
    assert len({job.index for job in jobs}) == 3
    # no counts from the server: what was asked for stands in for them
    added = jobs[1].target_input_tokens - jobs[0].target_input_tokens - jobs[0].target_output_tokens
    assert len(said[2]) == added * 4
    assert jobs[2].prompt_chars == sum(map(len, said))


def test_conversations_are_alike_for_the_same_seed_over_shards(make_spec) -> None:
    for number in range(6):
        whole = conversation(make_spec, number)
        part = conversation(make_spec, number // 3, shard=number % 3, shards=3)
        assert [job.request.content for job in whole] == [job.request.content for job in part]
        assert [job.think_s for job in whole] == [job.think_s for job in part]
        assert whole[0].conversation_index == part[0].conversation_index == number


def test_conversations_have_the_turns_and_pauses_asked_for(make_spec) -> None:
    queue = queue_of(level(make_spec, **SPREAD, turns=TURNS))
    jobs = [queue.take() for _ in range(400)]
    pauses = [turn.think_s for job in jobs for turn in job.later]
    # mean of 1..4 turns is 2.5; mean pause 2 s, standard error of 600 exponential ones 2 / sqrt(600) = 0.08
    assert sum(len(job.later) + 1 for job in jobs) / 400 == pytest.approx(2.5, abs=0.2)
    assert sum(pauses) / len(pauses) == pytest.approx(2.0, abs=0.35)
    assert queue.mean_turns == 2.5
    assert queue.limit is None


def test_a_shared_prefix_opens_a_conversation_once(make_spec) -> None:
    turns = {"count": 2, "think_time_s": 1.5, "think_time": "fixed"}
    shared = {"tokens": 30, "prefixes": 1}
    queue = queue_of(level(make_spec, input_tokens=50, output_tokens=5, turns=turns, shared_prefix=shared))
    first, other = queue.take(), queue.take()
    second = queue.next_turn(first, "yes", 52, 5)
    assert (first.think_s, second.think_s, second.prefix_group) == (1.5, None, 0)
    assert texts(first)[0][:120] == texts(other)[0][:120]
    assert texts(second)[2][:12] != texts(first)[0][:12]
    assert second.target_input_tokens == 52 + 5 + 50


@pytest.mark.parametrize(("api", "path"), [("chat", "/v1/chat/completions"), ("completions", "/v1/completions"), ("responses", "/v1/responses")])  # fmt: skip
def test_each_api_gets_the_history_in_its_own_form(make_spec, api: str, path: str) -> None:
    turns = {"count": 2, "think_time_s": 0.0, "think_time": "fixed"}
    queue = queue_of(level(make_spec, target={"api": api}, turns=turns))
    first = queue.take()
    second = queue.next_turn(first, "yes", None, None)
    assert second.request.url.path == path
    before = texts(first)[0]
    if api == "completions":
        assert texts(second)[0].startswith(f"{before}\nyes\n")
    else:
        assert texts(second)[:2] == [before, "yes"]
    assert first.prompt_sha256 != second.prompt_sha256


def test_an_answer_with_half_a_surrogate_pair_goes_into_the_history(make_spec) -> None:
    turns = {"count": 2, "think_time_s": 0.0, "think_time": "fixed"}
    queue = queue_of(level(make_spec, turns=turns))
    assert texts(queue.next_turn(queue.take(), "a\ud800", None, None))[1] == "a?"


def test_probes_are_short_and_around_the_mean(make_spec) -> None:
    drawn = {"distribution": "uniform", "min": 20, "max": 60}
    jobs = all_jobs(level(make_spec, phase="probe", requests=3, input_tokens=drawn, turns=TURNS))
    # mean 40 tokens: 20, 40 and 60, at 4 characters each; conversations are not played
    assert [job.prompt_chars for job in jobs] == [80, 160, 240]
    assert {(job.phase, job.think_s, job.target_output_tokens) for job in jobs} == {("probe", None, 4)}


def test_jobs_are_built_before_they_are_needed_up_to_a_weight(make_spec, monkeypatch) -> None:
    queue = queue_of(level(make_spec, requests=50, concurrency=2))
    asyncio.run(queue.fill())
    assert len(queue._ready) == 50
    # 40,000 characters and some 6,300 bytes each: 1 MiB holds 22 and a part; but 4 rounds of 8 slots there are always
    monkeypatch.setattr("loadgen.jobs._AHEAD_BYTES", 2**20)
    for concurrency, ready in ((2, 23), (8, 32)):
        heavy = queue_of(level(make_spec, requests=100, concurrency=concurrency, input_tokens=10_000))
        asyncio.run(heavy.fill())
        assert len(heavy._ready) == ready
    endless = queue_of(level(make_spec, requests=None, duration_s=5.0, concurrency=2))
    asyncio.run(endless.fill())
    assert len(endless._ready) == 8
    monkeypatch.undo()
    # 30 requests a second for 5 s, a tenth more, and 2 warm-up requests
    steady = queue_of(
        level(make_spec, requests=None, duration_s=5.0, kind="open", concurrency=None, rate=30.0, warmup_requests=2)
    )
    asyncio.run(steady.fill())
    assert len(steady._ready) == 167


def test_a_queue_is_refilled_as_jobs_are_taken(make_spec) -> None:
    async def take_six() -> int:
        queue = queue_of(level(make_spec, requests=None, duration_s=5.0, concurrency=2))
        await queue.fill()
        keeper = asyncio.create_task(queue.keep_filled())
        indexes = []
        for _ in range(6):
            indexes.append(queue.take().index)
            while len(queue._ready) < 8:
                await asyncio.sleep(0)
        keeper.cancel()
        assert indexes == list(range(6))
        return len(queue._ready)

    assert asyncio.run(take_six()) == 8


def test_a_queue_ends(make_spec) -> None:
    queue = queue_of(level(make_spec, requests=3, warmup_requests=1))
    assert [job.index for job in taken(queue)] == [0, 1, 2, 3]
    assert not queue


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"target": {"api": "embeddings"}}, "target.api is 'embeddings', expected one of chat, completions, responses"),
        ({"phase": "cooldown"}, "phase is 'cooldown'"),
        ({"requests": None}, "stop.requests is null"),
        ({"phase": "probe", "requests": None, "duration_s": 5.0}, "a probe needs requests"),
        ({"prompt_scale": PromptScale(0.0, 5.0)}, "chars_per_token is 0, which means a tokenizer"),
        ({"input_tokens": {"distribution": "zipf"}}, "a length's distribution is 'zipf'"),
    ],
)
def test_what_cannot_be_run_is_said(make_spec, fields: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        queue_of(level(make_spec, **fields))
