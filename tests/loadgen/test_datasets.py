"""Prompts of a data set are sent as they are, each once before any comes again, with the lengths that it states."""

import json
from pathlib import Path
from typing import Any

import pytest

from loadgen.datasets import Entry, Said, read_dataset
from loadgen.spec import PromptScale
from schemas.errors import SpecError
from tests.loadgen.queues import all_jobs, queue_of, text, texts

SHAREGPT = [
    {"id": "a", "conversations": [
        {"from": "human", "value": "Hello"}, {"from": "gpt", "value": "12345678"},
        {"from": "human", "value": "And more?"}, {"from": "gpt", "value": "1234"},
    ]},
    {"id": "b", "conversations": [{"from": "gpt", "value": "Lost"}]},
    {"id": "c", "messages": [
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi there"},
        {"role": "assistant", "content": "123456789012"}, {"role": "user", "content": "unanswered"},
    ]},
    {"id": "d", "conversations": [{"from": "human", "value": "nobody answered"}]},
]  # fmt: skip
JSONL = [
    {"prompt": "one", "output_tokens": 11},
    {"text": "two", "max_tokens": 12},
    {"input": "three", "output_length": 13},
    {"messages": [{"role": "user", "content": "four"}, {"role": "assistant", "content": "x" * 56}]},
    {"prompt": "  "},
]


def sharegpt(tmp_path: Path, content: Any = SHAREGPT, **fields: Any) -> dict[str, Any]:
    path = tmp_path / "data.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return {"file": str(path), "format": "sharegpt", "multi_turn": False, **fields}


def jsonl(tmp_path: Path, lines: list[Any]) -> dict[str, Any]:
    path = tmp_path / "data.jsonl"
    path.write_text("\n\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return {"file": str(path), "format": "jsonl", "multi_turn": False}


def spec(make_spec, dataset: dict[str, Any], **fields: Any) -> Any:
    return make_spec("http://x/v1", dataset=dataset, **({"input_tokens": None, "output_tokens": None} | fields))


def test_sharegpt_is_read_in_its_dialects(tmp_path: Path) -> None:
    dataset = read_dataset(sharegpt(tmp_path))
    assert dataset.entries == (
        Entry((Said("Hello", "12345678"), Said("And more?", "1234"))),
        Entry((Said("Hi there", "123456789012"), Said("unanswered", None))),
        Entry((Said("nobody answered", None),)),
    )
    assert dataset.skipped == 1


def test_jsonl_is_read_in_its_dialects(tmp_path: Path) -> None:
    dataset = read_dataset(jsonl(tmp_path, JSONL))
    assert [(entry.turns[0].text, entry.output_tokens) for entry in dataset.entries] == [
        ("one", 11), ("two", 12), ("three", 13), ("four", None),
    ]  # fmt: skip
    assert dataset.skipped == 1


def test_first_turns_are_sent_as_they_are(tmp_path: Path, make_spec) -> None:
    # 5 characters / 4 + 2 tokens of overhead = 3.25; its answer of 8 characters is 2 tokens, the other's 12 are 3
    jobs = all_jobs(spec(make_spec, sharegpt(tmp_path), requests=2, prompt_scale=PromptScale(4.0, 2.0)))
    assert {text(job): (job.target_input_tokens, job.target_output_tokens) for job in jobs} == {
        "Hello": (3, 2),
        "Hi there": (4, 3),
    }
    assert {job.turn_index for job in jobs} == {None}


def test_each_entry_comes_once_before_any_comes_again(tmp_path: Path, make_spec) -> None:
    prompts = [{"prompt": f"prompt {number}"} for number in range(20)]
    config = jsonl(tmp_path, prompts)
    sent = [text(job) for job in all_jobs(spec(make_spec, config, requests=30, warmup_requests=10, output_tokens=5))]
    assert len(set(sent[:20])) == 20
    assert sent[20:] == sent[:20]
    assert sent[:20] != [prompt["prompt"] for prompt in prompts]
    other = [text(job) for job in all_jobs(spec(make_spec, config, requests=20, output_tokens=5, seed=2))]
    assert sorted(other) == sorted(sent[:20])
    assert other != sent[:20]
    assert queue_of(spec(make_spec, config, output_tokens=5)).repeats_after == 20


def test_shards_share_the_entries(tmp_path: Path, make_spec) -> None:
    config = jsonl(tmp_path, [{"prompt": f"prompt {number}"} for number in range(7)])
    whole = [text(job) for job in all_jobs(spec(make_spec, config, requests=7, output_tokens=5))]
    parts = [
        [text(job) for job in all_jobs(spec(make_spec, config, requests=7, output_tokens=5, shard=shard, shards=3))]
        for shard in range(3)
    ]
    assert parts == [whole[0::3], whole[1::3], whole[2::3]]


def test_the_workloads_output_length_goes_before_the_files(tmp_path: Path, make_spec) -> None:
    jobs = all_jobs(spec(make_spec, jsonl(tmp_path, JSONL), requests=4, output_tokens=99))
    assert {job.target_output_tokens for job in jobs} == {99}
    # else the entry's own, else what was recorded: 56 characters / 4
    jobs = all_jobs(spec(make_spec, jsonl(tmp_path, JSONL), requests=4))
    assert {text(job): job.target_output_tokens for job in jobs} == {"one": 11, "two": 12, "three": 13, "four": 14}


def test_a_conversation_is_played_with_the_answers_really_received(tmp_path: Path, make_spec) -> None:
    config = sharegpt(tmp_path, SHAREGPT[:1], multi_turn=True)
    queue = queue_of(spec(make_spec, config, prompt_scale=PromptScale(4.0, 2.0)))
    first = queue.take()
    assert (texts(first), first.think_s, first.turn_index) == (["Hello"], 0.0, 0)
    # 40 + 6 tokens by the server's count, and the 9 characters of the new turn: 2
    second = queue.next_turn(first, "Really?", 40, 6)
    assert texts(second) == ["Hello", "Really?", "And more?"]
    assert (second.target_input_tokens, second.target_output_tokens, second.think_s) == (48, 1, None)
    assert queue.limit is None


def test_probes_take_the_entries_of_the_length_wanted(tmp_path: Path, make_spec) -> None:
    # mean 200 characters: the probes want 100, 200 and 300
    config = jsonl(tmp_path, [{"prompt": "x" * chars, "output_tokens": 50} for chars in (60, 110, 190, 310, 330)])
    jobs = all_jobs(spec(make_spec, config, phase="probe", requests=3))
    assert [job.prompt_chars for job in jobs] == [110, 190, 310]
    assert {job.target_output_tokens for job in jobs} == {4}


def test_half_a_surrogate_pair_can_be_sent(tmp_path: Path, make_spec) -> None:
    config = jsonl(tmp_path, ['{"prompt": "a\\ud800b", "output_tokens": 1}'])
    assert [text(job) for job in all_jobs(spec(make_spec, config, requests=1))] == ["a?b"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "data.json: not JSON"),
        ('{"a": 1}', "data.json:1: expected a JSON list of conversations"),
        ("[]", "data.json:1: holds no entry in which a user says something"),
        ("[1]", "data.json: entry 1: found 1, expected a JSON object"),
        ('[{"conversations": 5}]', "data.json: entry 1: conversations: expected a list of messages"),
        ('[{"conversations": [{"from": "human", "value": 5}]}]', "entry 1: conversations: message 1: found int, expected a text"),
        ('[{"said": "x"}]', "data.json: entry 1: expected one of conversations, messages, prompt, text, input"),
    ],
)  # fmt: skip
def test_a_sharegpt_file_that_cannot_be_read_is_told(tmp_path: Path, content: str, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_dataset(sharegpt(tmp_path, content))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "data.jsonl:3: not JSON"),
        ('{"prompt": [1]}', "data.jsonl:3: prompt: found list, expected a text"),
        ('{"prompt": "x", "output_tokens": 0}', "data.jsonl:3: output_tokens: found 0, expected a whole number"),
    ],
)
def test_a_line_that_cannot_be_read_is_told_with_its_number(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_dataset(jsonl(tmp_path, [{"prompt": "good"}, line]))
    assert told in str(caught.value)


def test_a_file_without_any_length_needs_one_from_the_workload(tmp_path: Path, make_spec) -> None:
    with pytest.raises(SpecError, match="give the workload output_tokens"):
        queue_of(spec(make_spec, jsonl(tmp_path, [{"prompt": "x"}])))
