"""Prompts have the length asked for and the same bytes for the same key; the probe's counts give the scale."""

from hypothesis import given
from hypothesis import strategies as st

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


def test_extra_body_overrides_fields_and_null_takes_one_away() -> None:
    extra = {"temperature": None, "max_tokens": 5, "ignore_eos": True}
    body = request_body(Target("u", "completions", "m", extra_body=extra), [{"role": "user", "content": "hello"}], 99)
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


def test_a_tokenizer_that_counts_like_the_server_leaves_the_overhead_to_the_probe() -> None:
    # the server counts 12 and 14 tokens more
    points = [
        {"chars": 100, "input_tokens": 37, "local_tokens": 25},
        {"chars": 300, "input_tokens": 89, "local_tokens": 75},
        {"chars": 500, "input_tokens": None, "local_tokens": 125},
    ]
    assert fit_prompt_scale(points) == PromptScale(0.0, 13.0)


def test_a_tokenizer_of_another_model_is_not_used() -> None:
    # 50 of its tokens are 100 of the server's: by characters, 2 a token, 200 / 2 + 5 = 105
    points = [
        {"chars": 200, "input_tokens": 105, "local_tokens": 50},
        {"chars": 400, "input_tokens": 205, "local_tokens": 100},
    ]
    assert fit_prompt_scale(points) == PromptScale(2.0, 5.0)
