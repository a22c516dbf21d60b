"""A scripted HTTP server on loopback, and the pieces that its answers are made of."""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from loadgen.level import Level
from loadgen.receiver import is_compiled
from loadgen.spec import PromptScale, Shape, ShardSpec, StopRules, Target
from loadgen.worker import run_shard
from schemas.arrow import arrow_schema
from schemas.columns import REQUEST_TRACES

Answer = Callable[[dict[str, Any], asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """What the server saw: request bodies and heads, connections, and the most requests that were in flight at once."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    in_flight: int = 0
    peak: int = 0


class Wire:
    """Bytes of HTTP answers."""

    STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    END = b"0\r\n\r\n"

    @staticmethod
    def chunk(data: bytes) -> bytes:
        return b"%x\r\n%s\r\n" % (len(data), data)

    @staticmethod
    def sized(body: bytes, status: str = "200 OK", kind: str = "application/json", extra: str = "") -> bytes:
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
        return head.encode() + body

    @staticmethod
    def event(payload: Any) -> bytes:
        data = payload if isinstance(payload, str) else json.dumps(payload)
        return f"data: {data}\n\n".encode()

    @classmethod
    def token(cls, text: str, **fields: Any) -> bytes:
        return cls.event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **fields})

    @classmethod
    def finish(cls) -> bytes:
        return cls.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})

    @classmethod
    def usage(cls, prompt: int, completion: int, **details: Any) -> bytes:
        return cls.event(
            {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion, **details}}
        )

    @classmethod
    def stream(cls, *texts: str, prompt: int = 7) -> bytes:
        """A whole well-behaved answer: one token a text."""
        events = [*map(cls.token, texts), cls.finish(), cls.usage(prompt, len(texts)), cls.event("[DONE]")]
        return cls.STREAM_HEAD + b"".join(map(cls.chunk, events)) + cls.END


@pytest.fixture(params=["c", "python"])
def receiving(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets are read in C, and in Python."""
    monkeypatch.setenv("RATECARD_RECEIVER", request.param)
    if request.param == "c" and not is_compiled():
        pytest.skip("nothing was compiled here")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as near:
        near.setblocking(False)
        far, _ = listener.accept()
        with far:
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield near, far


@pytest.fixture
def wire() -> type[Wire]:
    return Wire


@pytest.fixture
def serve() -> Callable[..., contextlib.AbstractAsyncContextManager[Server]]:
    """`async with serve(answer) as server`: answer(body, writer) writes the answer to each request."""

    @contextlib.asynccontextmanager
    async def start(
        answer: Answer, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", one_answer: bool = False
    ) -> AsyncIterator[Server]:
        seen = Server()
        handlers: set[asyncio.Task[None]] = set()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.connections += 1
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next((int(v) for k, _, v in _fields(head) if k == "content-length"), 0)
                body = await reader.readexactly(length)
                seen.heads.append(head)
                seen.bodies.append(json.loads(body or b"{}"))
                seen.in_flight += 1
                seen.peak = max(seen.peak, seen.in_flight)
                try:
                    await answer(seen.bodies[-1], writer)
                    await writer.drain()
                finally:
                    seen.in_flight -= 1
                if one_answer:
                    break

        async def on_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            handlers.add(task)
            try:
                with contextlib.suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
                    await handle(reader, writer)
            finally:
                writer.close()

        listener = await asyncio.start_server(on_connect, host, 0, ssl=tls, backlog=512)
        port = listener.sockets[0].getsockname()[1]
        shown = f"[{host}]" if ":" in host else "localhost" if tls else host
        seen.url = f"{'https' if tls else 'http'}://{shown}:{port}/v1"
        try:
            yield seen
        finally:
            listener.close()
            for task in handlers:
                task.cancel()
            await asyncio.gather(*handlers, return_exceptions=True)

    return start


def _fields(head: str) -> list[tuple[str, str, str]]:
    lines = (line.partition(": ") for line in head.splitlines()[1:])
    return [(name.lower(), sep, value) for name, sep, value in lines]


@pytest.fixture
def make_spec(tmp_path: Path) -> Callable[..., ShardSpec]:
    """A shard spec for a server's URL.

    Keyword arguments replace fields of the spec, `target` those of the target; what is a field of the shape, the stop
    rules or the workload goes there.
    """

    def make(url: str, *, target: dict[str, Any] | None = None, **given: Any) -> ShardSpec:
        parts: dict[str, dict[str, Any]] = {
            "shape": {"kind": "closed", "concurrency": 2},
            "stop": {
                "requests": 6, "duration_s": None, "min_requests": 0, "max_duration_s": 60.0, "error_share": 1.0,
            },
            "workload": {"input_tokens": 50, "output_tokens": 3},
        }  # fmt: skip
        names = {
            "shape": Shape.__dataclass_fields__, "stop": StopRules.__dataclass_fields__,
            "workload": ("input_tokens", "output_tokens", "shared_prefix", "turns", "dataset", "trace"),
        }  # fmt: skip
        fields = dict(given)
        for part, members in names.items():
            parts[part] |= {name: fields.pop(name) for name in given if name in members}
        defaults: dict[str, Any] = {
            "identity": {
                "run_id": "run-1", "attempt": 1, "suite": "adhoc", "endpoint": "e", "workload": "w", "load": "l",
                "run_date": "2026-11-20", "level_index": 1, "load_kind": parts["shape"]["kind"],
                "concurrency": parts["shape"].get("concurrency"), "request_rate": parts["shape"].get("rate"),
                "config_hash": "c0ffee",
            },
            "target": Target(**{"url": url, "api": "chat", "model": "tiny", "timeout_s": 20.0, **(target or {})}),
            "phase": "measure", "shard": 0, "shards": 1, "warmup_requests": 0,
            "shape": Shape(**parts["shape"]), "stop": StopRules(**parts["stop"]), "workload": parts["workload"],
            "prompt_scale": PromptScale(), "seed": 1, "part_path": str(tmp_path / "part.parquet"),
        }  # fmt: skip
        return ShardSpec(**defaults | fields)

    return make


class Outcome:
    """The closing event of a shard, its rows as landed, and what the server saw."""

    def __init__(self, spec: ShardSpec, done: dict[str, Any], server: Any, events: list[dict[str, Any]]) -> None:
        self.spec, self.done, self.server, self.events = spec, done, server, events
        tables = [pq.read_table(part) for part in done["parts"]]
        assert all(table.schema.equals(arrow_schema(REQUEST_TRACES)) for table in tables)
        self.rows = [row for table in tables for row in table.to_pylist()]


@pytest.fixture
def run_level(serve, make_spec):
    """Run a shard against a scripted server."""

    def run(
        answer,
        *,
        interrupt_after_s: float | None = None,
        interrupt_once_ended: int | None = None,
        one_answer: bool = False,
        **fields: Any,
    ) -> Outcome:
        def interrupt_once(level: Level) -> None:
            if level.ended >= interrupt_once_ended:
                level.interrupt()
            else:
                asyncio.get_running_loop().call_later(0.01, interrupt_once, level)

        async def scenario() -> Outcome:
            events: list[dict[str, Any]] = []

            def on_start(level: Level) -> None:
                if interrupt_after_s is not None:
                    asyncio.get_running_loop().call_later(interrupt_after_s, level.interrupt)
                if interrupt_once_ended is not None:
                    interrupt_once(level)

            async with serve(answer, one_answer=one_answer) as server:
                spec: ShardSpec = make_spec(server.url, **fields)
                done = await run_shard(spec, events.append, on_start)
            return Outcome(spec, done, server, events)

        return asyncio.run(scenario())

    return run
