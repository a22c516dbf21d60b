"""Prompts have the length asked for, the same bytes for the same seed, and no prefix in common."""

import httpx
from hypothesis import given
from hypothesis import strategies as st

from loadgen.jobs import JobQueue
from loadgen.prompts import fit_prompt_scale, make_prompt, prompt_chars, request_body
from loadgen.spec import PromptScale, Target


@given(st.integers(1, 5000), st.text(max_size=20))
def test_a_prompt_has_exactly_the_characters_asked_for(chars: int, key: str) -> None:
    prompt = make_prompt(chars, key)
    assert len(prompt) == chars
    assert prompt.isascii()
    assert prompt == prompt.strip()
    assert prompt == make_prompt(chars, key)


def test_the_target_length_is_turned_into_characters() -> None:
    # (200 - 12) tokens x 4.5 characters = 846
    assert prompt_chars(200, PromptScale(chars_per_token=4.5, overhead_tokens=12)) == 846
    assert prompt_chars(5, PromptScale(overhead_tokens=12)) == 1


def prompts_of(make_spec, **fields) -> list[str]:
    client = httpx.AsyncClient()
    queue = JobQueue(make_spec("http://127.0.0.1:1/v1", **fields), client)
    return [
        httpx.Response(200, content=queue.take().request.content).json()["messages"][0]["content"] for _ in range(8)
    ]


def test_no_two_prompts_begin_alike_over_shards_levels_and_phases(make_spec) -> None:
    identity = make_spec("http://x/v1").identity
    prompts = [
        *prompts_of(make_spec, warmup_requests=4),
        *prompts_of(make_spec, shard=1),
        *prompts_of(make_spec, identity=identity | {"level_index": 2}),
        *prompts_of(make_spec, seed=2),
        *prompts_of(make_spec, phase="probe", requests=8),
    ]
    assert len({prompt[:12] for prompt in prompts}) == len(prompts) == 40


def test_the_same_seed_gives_the_same_bytes(make_spec) -> None:
    another_run = make_spec("http://x/v1").identity | {"run_id": "run-2", "attempt": 2}
    assert prompts_of(make_spec) == prompts_of(make_spec) == prompts_of(make_spec, identity=another_run)


def test_probe_prompts_have_different_lengths(make_spec) -> None:
    # 50 tokens asked: 3 probes of 25, 50 and 75 tokens at 4 characters each
    queue = JobQueue(make_spec("http://x/v1", phase="probe", requests=3), httpx.AsyncClient())
    jobs = [queue.take() for _ in range(3)]
    assert [job.prompt_chars for job in jobs] == [100, 200, 300]
    assert {job.phase for job in jobs} == {"probe"}
    assert not queue


def test_extra_body_overrides_fields_and_null_takes_one_away() -> None:
    extra = {"temperature": None, "max_tokens": 5, "ignore_eos": True}
    body = request_body(Target("u", "completions", "m", extra_body=extra), "hello", 99)
    assert body == {
        "model": "m", "prompt": "hello", "max_tokens": 5, "stream": True,
        "stream_options": {"include_usage": True}, "ignore_eos": True,
    }  # fmt: skip


def test_the_scale_is_fitted_to_two_probes() -> None:
    # 400 characters more cost 100 tokens: 4 a token; 30 - 100 / 4 = 5 tokens of overhead
    points = [{"chars": 100, "input_tokens": 30}, {"chars": 500, "input_tokens": 130}]
    assert fit_prompt_scale(points) == PromptScale(4.0, 5.0)


def test_one_probe_gives_a_scale_without_overhead() -> None:
    points = [{"chars": 100, "input_tokens": 25}, {"chars": 300, "input_tokens": None}]
    assert fit_prompt_scale(points) == PromptScale(4.0, 0.0)


def test_no_scale_is_fitted_to_counts_that_say_nothing() -> None:
    assert fit_prompt_scale([]) is None
    assert fit_prompt_scale([{"chars": 100, "input_tokens": None}]) is None
    assert fit_prompt_scale([{"chars": 100, "input_tokens": 0}]) is None
    assert fit_prompt_scale([{"chars": 100, "input_tokens": 9}, {"chars": 500, "input_tokens": 9}]) is None
