"""However the network cuts an answer, it says the same, and each event belongs to the read that completed it."""

import gzip
import json
import zlib
from dataclasses import asdict
from itertools import cycle, pairwise
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from loadgen.arrivals import Arrivals
from loadgen.body import body_of
from loadgen.generation import Generation, read_generation
from tests.loadgen.reading import Reading

TEXTS = st.text(max_size=3) | st.sampled_from(["\u4e2d\u6587", "\U0001f600", "\u2028", '"', "\\", "a", ""])
CODINGS = st.sampled_from(["identity", "gzip", "x-gzip", "deflate", "bare deflate", "gzip, each event alone"])


def event(text: str, finish_reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    return (
        b"data: " + json.dumps({"choices": [choice], **more}, ensure_ascii=False).encode("utf-8", "replace") + b"\n\n"
    )


EXTRAS = st.sampled_from([b"", b": keep-alive\n\n", b"event: ping\r\ndata: {}\r\n\r\n", b"data:\n\n", b"id: 1\r\r"])
EVENTS = st.builds(
    lambda extra, text, usage: extra + event(text, **({"usage": {"completion_tokens": usage}} if usage else {})),
    EXTRAS,
    TEXTS,
    st.sampled_from([None, None, 3]),
)
STREAMS = st.builds(
    lambda events, last: [*events, event("", "stop"), last],
    st.lists(EVENTS, max_size=8),
    st.sampled_from([b"data: [DONE]\n\n", b"data: [DONE]", b"", b'event: error\ndata: {"message": "no"}\n\n']),
)


def packed(events: list[bytes], coding: str) -> bytes:
    body = b"".join(events)
    match coding:
        case "identity":
            return body
        case "deflate":
            return zlib.compress(body)
        case "bare deflate":
            return zlib.compress(body, wbits=-15)
        case "gzip, each event alone":
            return b"".join(gzip.compress(event, mtime=0) for event in events)
        case _:
            return gzip.compress(body, mtime=0)


def parts(data: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(marks)]


def chunked(body: bytes, places: list[int], coding: str, sizes: list[str]) -> bytes:
    name = coding.removeprefix("bare ").split(",")[0]
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: {name}\r\n"
    chunks = [
        (size % len(part)).encode() + b"\r\n" + part + b"\r\n"
        for part, size in zip(parts(body, places), cycle(sizes), strict=False)
        if part
    ]
    return head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks) + b"0\r\n\r\n"


def received(reads: list[bytes]) -> Generation:
    arrivals = Arrivals()
    reader = Reading(arrivals)
    for stamp, data in enumerate(reads):
        arrivals.stamps.append(stamp)
        arrivals.late.append(False)
        assert reader.takes(data, stamp) == (stamp == len(reads) - 1)
    reader.release()
    return read_generation(arrivals, body_of(arrivals))


@given(
    STREAMS,
    CODINGS,
    st.lists(st.integers(0, 9999), max_size=8),
    st.lists(st.sampled_from(["%x", "%x", "%X", "%03x", "%04x", "%x;a=b"]), min_size=1, max_size=3),
    st.lists(st.integers(0, 9999), max_size=12),
)
@example(  # a read ends within a chunk, and the next chunk's size has just as many bytes too much
    [b"event: ping\r\ndata: {}\r\n\r\n" + event("0"), event("", "stop"), b""],
    "gzip, each event alone",
    [103, 246],
    ["%x;a=b"],
    [507, 1332],
)
def test_any_split_of_an_answer_reads_the_same(
    events: list[bytes], coding: str, chunks: list[int], sizes: list[str], places: list[int]
) -> None:
    wire = chunked(packed(events, coding), chunks, coding, sizes)
    reads = parts(wire, places)
    read_of_byte = [read for read, data in enumerate(reads) for _ in data]

    bytewise = received([wire[i : i + 1] for i in range(len(wire))])
    expected = asdict(bytewise)
    expected["token_reads"] = [read_of_byte[read] for read in expected["token_reads"]]
    for name in ("first_event_read", "first_answer_read"):
        if expected[name] is not None:
            expected[name] = read_of_byte[expected[name]]

    assert asdict(received(reads)) == expected
    assert bytewise.finish_reason == "stop"
    assert bytewise.problem is None or "carried an error: no" in bytewise.problem
