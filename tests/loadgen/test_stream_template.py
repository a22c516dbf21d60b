"""Reading the text of an event by what stands around it says exactly what parsing its JSON says."""

import json
from dataclasses import asdict
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.arrivals import Arrivals
from loadgen.body import body_of
from loadgen.generation import Generation, read_generation
from loadgen.template import Template, parsed, strings_of
from tests.loadgen.reading import Reading

# what a careless look for the text would trip over: keys and values of the events, JSON's own signs, escapes
TEXTS = [
    "a", " b", "\u4e2d", "\u00e9\U0001f600", "", "content", "text", "delta", ":", ",", "null", "tiny", "ratecard", '"',
    "\\", '","', "\n", "\x7f", "\u2028", "\u00a0", "[DONE]", "</s>", "{", "x\\", "\\u0061",
]  # fmt: skip
BROKEN = [b"\xff", b"\xc3", b"\x01", b"\n", b'"', b"\\", b'x","index":7,"y":"', b"\\q", b"\xed\xa0\x80", b"ok"]
HOLE = "@hole@"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chat(field: str, text: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "c-1",
        "model": "tiny",
        "choices": [{"index": 0, "delta": {field: text}, "finish_reason": None}],
    } | more


def completions(text: str) -> dict[str, Any]:
    return {"id": "c-2", "model": "tiny", "choices": [{"index": 0, "text": text}], "usage": None}


def responses(kind: str, text: str) -> dict[str, Any]:
    return {"type": f"response.{kind}.delta", "item_id": "i", "delta": text}


def two_choices(text: str, other: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}}, {"index": 1, "delta": {"content": other}}]}


def tool(text: str) -> dict[str, Any]:
    return {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": text}}]}}]}


def usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 7, "completion_tokens": tokens}


texts = st.sampled_from(TEXTS) | st.text(max_size=4)
payloads = st.one_of(
    st.builds(chat, st.sampled_from(["content", "reasoning", "reasoning_content", "refusal", "role"]), texts),
    st.builds(chat, st.just("content"), texts, id=st.sampled_from(["c-1", "c-9"])),
    st.builds(chat, st.just("content"), texts, usage=st.builds(usage, st.integers(1, 9))),
    st.builds(chat, st.just("content"), texts, error=st.sampled_from([None, "no", {"message": "no"}])),
    st.builds(completions, texts),
    st.builds(responses, st.sampled_from(["output_text", "reasoning_text", "audio"]), texts),
    st.builds(two_choices, texts, texts),
    st.builds(tool, texts),
    st.builds(lambda reason: {"choices": [{"delta": {}, "finish_reason": reason}]}, st.sampled_from(["stop", None])),
)


def encoded(payload: dict[str, Any], ascii_only: bool) -> bytes:
    text = json.dumps(payload, ensure_ascii=ascii_only, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


datas = st.one_of(
    st.builds(encoded, payloads, st.booleans()),
    # the bytes themselves in the place of the text, JSON or not
    st.sampled_from(BROKEN).map(lambda raw: encoded(chat("content", HOLE), False).replace(HOLE.encode(), raw)),
)
runs = st.tuples(datas, st.integers(1, 3)).map(lambda run: [run[0]] * run[1])
events = st.builds(
    lambda kind, data, end: kind + b"data: " + data + end,
    st.sampled_from([b"", b"", b"", b"event: x\n", b"event: error\n", b": note\n\n", b"event: x\n\n"]),
    datas,
    st.sampled_from([b"\n\n", b"\n\n", b"\n\n", b"\r\n\r\n", b"\r\r", b"\n", b""]),
)
streams = st.lists(events | runs.map(lambda run: b"".join(b"data: " + data + b"\n\n" for data in run)), max_size=14)


def generation_of(pieces: list[bytes], size: str = "%x") -> Generation:
    """What is read of `pieces`, each a chunk and each but the first a read of its own."""
    reads = [(size % len(piece)).encode() + b"\r\n" + piece + b"\r\n" for piece in pieces if piece]
    reads = [HEAD + b"".join(reads[:1]), *reads[1:], b"0\r\n\r\n"]
    arrivals = Arrivals()
    reader = Reading(arrivals)
    complete = [reader.takes(data) for data in reads]
    assert complete[-1]
    reader.release()
    body = body_of(arrivals)
    generation = read_generation(arrivals, body)
    assert body.total_bytes() == sum(map(len, pieces))
    return generation


def slowly(pieces: list[bytes]) -> Generation:
    with mock.patch.object(Template, "of", lambda data, text: None):
        return generation_of(pieces)


@given(streams, st.sampled_from(["%x", "%X", "%03x"]))
def test_fast_is_slow_on_any_stream(pieces: list[bytes], size: str) -> None:
    assert asdict(generation_of(pieces, size)) == asdict(slowly(pieces))
    joined = [b"".join(pieces)]
    assert asdict(generation_of(joined)) == asdict(slowly(joined))


SHAPES = {
    "chat": lambda text: chat("content", text),
    "reasoning": lambda text: chat("reasoning_content", text),
    "completions": completions,
    "responses": lambda text: responses("output_text", text),
    "tool": tool,
}


@pytest.mark.parametrize("shape", SHAPES)
@given(first=texts, then=texts | st.sampled_from(BROKEN).map(lambda raw: raw.decode("latin-1")))
def test_a_template_says_the_text_or_nothing(shape: str, first: str, then: str) -> None:
    template = Template.of(encoded(SHAPES[shape](first), False), first)
    if template:
        text = template.text_of(encoded(SHAPES[shape](then), False))
        assert text is None or text == then.encode("utf-8", "surrogatepass")


RAW = st.lists(
    st.sampled_from([b"\\", b'"', b"a", b",", b"n", b"\n", b"u00e9", b"\xc3\xa9", b"\xc3", b'","']), max_size=5
)


@given(st.lists(RAW.map(b"".join).filter(len), min_size=1, max_size=5))
def test_texts_that_are_read_together_are_those_of_each_event(raw: list[bytes]) -> None:
    strings = [parsed(b'"%b"' % text) for text in raw]
    texts = strings_of(raw)
    assert texts == [string.encode() for string in strings[: len(texts)]]
    if all(isinstance(string, str) for string in strings):
        assert len(texts) == len(raw)
