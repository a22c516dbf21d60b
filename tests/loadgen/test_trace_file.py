"""Recorded arrivals are read as they were, from the files of three production traces, and replayed in order."""

from pathlib import Path

import pytest

from loadgen.spec import PromptScale
from schemas.errors import SpecError
from schemas.trace_file import Recorded, Trace, read_trace
from tests.loadgen.queues import all_jobs, queue_of, text

DATA = Path(__file__).parents[3] / "shared" / "data"
AZURE = DATA / "azure" / "AzureLLMInferenceTrace_code_first3000.csv"
MOONCAKE = DATA / "mooncake" / "conversation_first1000.jsonl"
have_data = pytest.mark.skipif(not AZURE.exists(), reason="no real traces here")

BURSTGPT = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,ChatGPT,1087,230,1317,Conversation log
118,GPT-4,417,276,693,API log
120,GPT-4,20,0,20,API log
"""


def trace_of(tmp_path: Path, form: str, content: str, limit: int | None = None) -> Trace:
    (tmp_path / "trace").write_text(content)
    return read_trace({"file": str(tmp_path / "trace"), "format": form, "limit": limit})


def test_azure_times_have_seven_digits_and_maybe_an_offset(tmp_path: Path) -> None:
    rows = "2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0319600,3180,8\n"
    trace = trace_of(tmp_path, "azure", "TIMESTAMP,ContextTokens,GeneratedTokens\n" + rows)
    assert [(a.input_tokens, a.output_tokens, a.block_ids) for a in trace.arrivals] == [
        (4808, 10, None),
        (3180, 8, None),
    ]
    assert [a.at_s for a in trace.arrivals] == [0.0, pytest.approx(0.052, abs=1e-6)]


def test_azure_of_2024_names_an_offset(tmp_path: Path) -> None:
    rows = "2024-05-10 00:00:00.009930+00:00,2162,5\r\n2024-05-10 00:00:01+00:00,10,1\r\n"
    trace = trace_of(tmp_path, "azure", "timestamp,contexttokens,generatedtokens\r\n" + rows)
    assert [a.at_s for a in trace.arrivals] == [0.0, pytest.approx(0.99007, abs=1e-6)]


def test_burstgpt_leaves_out_what_failed(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "burstgpt", BURSTGPT)
    assert trace.arrivals == (Recorded(0, 472, 18), Recorded(40, 1087, 230), Recorded(113, 417, 276))
    assert trace.skipped == 1
    # (472 + 1087 + 417) / 3 and (18 + 230 + 276) / 3
    assert (trace.mean_input_tokens, trace.mean_output_tokens) == (
        pytest.approx(658.667, abs=1e-3),
        pytest.approx(174.667, abs=1e-3),
    )


def test_mooncake_tells_milliseconds_and_blocks(tmp_path: Path) -> None:
    rows = [
        '{"timestamp": 3052, "input_length": 600, "output_length": 2, "hash_ids": [0, 7]}',
        '{"timestamp": 52, "input_length": 512, "output_length": 3, "hash_ids": [0]}',
    ]
    trace = trace_of(tmp_path, "mooncake", "\n".join(rows))
    assert trace.arrivals == (Recorded(0, 512, 3, (0,)), Recorded(3, 600, 2, (0, 7)))  # sorted by time


def test_the_first_arrivals_in_time_are_taken(tmp_path: Path) -> None:
    assert [a.at_s for a in trace_of(tmp_path, "burstgpt", BURSTGPT, limit=2).arrivals] == [0, 40]


def test_the_mean_rate_is_gaps_over_time(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "burstgpt", BURSTGPT)
    assert trace.rate(3) == 2 / 113
    assert trace.rate(2) == 1 / 40
    assert trace.rate(1) == 1.0


@pytest.mark.parametrize(
    ("form", "content", "told"),
    [
        ("azure", "TIMESTAMP,Context\n", "trace:1: no column 'ContextTokens', found timestamp, context"),
        ("azure", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16,1,1\n", "trace:2: TIMESTAMP: found '2023-11-16', expected a time"),
        ("azure", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-02-30 00:00:00,1,1\n", "trace:2: TIMESTAMP: found"),
        ("azure", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 00:00:00,1,-1\n", "trace:2: GeneratedTokens: found '-1'"),
        ("azure", "TIMESTAMP,ContextTokens,GeneratedTokens\n", "trace:1: holds no arrivals"),
        ("burstgpt", "Timestamp,Request tokens,Response tokens\nnan,1,1\n", "trace:2: Timestamp: found 'nan', expected a number"),
        ("mooncake", "\n{\n", "trace:2: not JSON"),
        ("mooncake", "[1]\n", "trace:1: found [1], expected a JSON object"),
        ("mooncake", '{"timestamp": 1, "input_length": 1, "output_length": 1, "hash_ids": ["a"]}', "trace:1: hash_ids: expected a list"),
        ("mooncake", '{"timestamp": 1, "output_length": 1}', "trace:1: input_length: found None"),
        ("alibaba", "", "format is 'alibaba', expected one of azure, mooncake, burstgpt"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_read_is_told_with_its_line(tmp_path: Path, form: str, content: str, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        trace_of(tmp_path, form, content)
    assert told in str(caught.value)


@have_data
def test_the_real_azure_trace_is_read_whole() -> None:
    trace = read_trace({"file": str(AZURE), "format": "azure"})
    assert (len(trace), trace.skipped) == (3000, 0)
    assert trace.arrivals[0] == Recorded(0.0, 4808, 10)
    assert all(a.at_s <= b.at_s for a, b in zip(trace.arrivals, trace.arrivals[1:], strict=False))


@have_data
def test_the_real_mooncake_trace_is_replayed_with_its_prefixes(make_spec) -> None:
    trace = {"file": str(MOONCAKE), "format": "mooncake", "limit": 6}
    scale = PromptScale(4.0, 20.0)
    jobs = all_jobs(
        make_spec("http://x/v1", trace=trace, arrivals="trace", kind="open", requests=None, prompt_scale=scale)
    )
    # all six begin with block 0 and go on with blocks of their own
    recorded = read_trace(trace).arrivals
    prompts = [text(job) for job in jobs]
    assert [job.target_input_tokens for job in jobs] == [6758, 7322, 7236, 2290, 6760, recorded[5].input_tokens]
    assert [len(prompt) for prompt in prompts] == [4 * (arrival.input_tokens - 20) for arrival in recorded]
    assert len({prompt[: 512 * 4] for prompt in prompts}) == 1
    assert len({prompt[512 * 4 : 512 * 4 + 20] for prompt in prompts}) == 6


def test_a_trace_keeps_its_times_over_shards(tmp_path: Path, make_spec) -> None:
    (tmp_path / "trace").write_text(BURSTGPT)
    trace = {"file": str(tmp_path / "trace"), "format": "burstgpt"}
    shape = {"kind": "open", "arrivals": "trace", "requests": 3}
    both = [all_jobs(make_spec("http://x/v1", trace=trace, shard=shard, shards=2, **shape)) for shard in (0, 1)]
    assert [[job.at_s for job in jobs] for jobs in both] == [[0, 113], [40]]
    assert [[job.target_output_tokens for job in jobs] for jobs in both] == [[18, 276], [230]]
    assert [len(text(job)) for job in both[0]] == [472 * 4, 417 * 4]


def test_other_loads_take_a_traces_lengths_in_turn(tmp_path: Path, make_spec) -> None:
    (tmp_path / "trace").write_text(BURSTGPT)
    trace = {"file": str(tmp_path / "trace"), "format": "burstgpt"}
    jobs = all_jobs(make_spec("http://x/v1", trace=trace, requests=5))
    assert [job.target_output_tokens for job in jobs] == [18, 230, 276, 18, 230]
    assert {job.at_s for job in jobs} == {None}
    assert len({text(job)[:12] for job in jobs}) == 5
    assert queue_of(make_spec("http://x/v1", trace=trace)).repeats_after == 3


def test_blocks_that_fill_a_prompt_are_cut_to_its_length(tmp_path: Path, make_spec) -> None:
    rows = [
        '{"timestamp": 0, "input_length": 1024, "output_length": 2, "hash_ids": [4, 5]}',
        '{"timestamp": 1, "input_length": 1024, "output_length": 2, "hash_ids": [4, 5]}',
        '{"timestamp": 2, "input_length": 700, "output_length": 2, "hash_ids": [4, 6]}',
    ]
    (tmp_path / "trace").write_text("\n".join(rows))
    trace = {"file": str(tmp_path / "trace"), "format": "mooncake"}
    scale = PromptScale(4.0, 24.0)
    one, other, partial = map(text, all_jobs(make_spec("http://x/v1", trace=trace, requests=3, prompt_scale=scale)))
    assert one == other  # recorded as the same prompt
    assert len(one) == 4 * (1024 - 24)
    assert one[:2048] == partial[:2048]
    assert one[2048:2060] != partial[2049:2061]


def test_a_level_that_replays_needs_a_trace(make_spec) -> None:
    with pytest.raises(SpecError, match="the workload has no trace to replay"):
        queue_of(make_spec("http://x/v1", arrivals="trace", kind="open"))
