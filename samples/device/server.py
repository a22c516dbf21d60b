"""An OpenAI-compatible front over transformers' continuous batching, for the GPU sample.

    python server.py --shape llama-1b --port 8001 --tokenizer tokenizer.json

`transformers serve` runs its web server in the process, and so under the interpreter lock, of the loop that feeds the
GPU; here the two are processes, as in vLLM. One token is one event, written when its step ends. `/metrics` has the
engine's queue and, under the names of NVIDIA's dcgm-exporter, the GPU's power, energy and use.
"""

import argparse
import asyncio
import json
import multiprocessing
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import engine
import orjson
import uvloop
from tokenizers import Tokenizer

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


class Gpu(threading.Thread):
    """Reads the card five times a second, beside the event loop; nothing where there is none."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.lines = ""

    def run(self) -> None:
        """Read until the process ends."""
        try:
            import pynvml as nvml

            nvml.nvmlInit()
            card = nvml.nvmlDeviceGetHandleByIndex(0)
            while True:
                power = nvml.nvmlDeviceGetPowerUsage(card) / 1e3
                energy = nvml.nvmlDeviceGetTotalEnergyConsumption(card)
                busy = nvml.nvmlDeviceGetUtilizationRates(card).gpu
                memory = nvml.nvmlDeviceGetMemoryInfo(card).used / 2**20
                self.lines = (
                    f'DCGM_FI_DEV_POWER_USAGE{{gpu="0"}} {power}\nDCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{gpu="0"}} {energy}\n'
                    f'DCGM_FI_DEV_GPU_UTIL{{gpu="0"}} {busy}\nDCGM_FI_DEV_FB_USED{{gpu="0"}} {memory}\n'
                )
                time.sleep(0.2)
        except Exception as error:
            print(f"no figures of the GPU: {error}", flush=True)


class Front:
    """Requests on their way, and what the engine said of itself last."""

    def __init__(self, name: str, tokenizer: Tokenizer, child: socket.socket) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self.child = child
        self.engine: asyncio.WriteTransport | None = None
        size = tokenizer.get_vocab_size()
        self.texts = [orjson.dumps(tokenizer.decode([token], skip_special_tokens=False)) for token in range(size)]
        self.threads = ThreadPoolExecutor(max_workers=4)
        self.streams: dict[int, Stream] = {}
        self.gpu = Gpu()
        self.begun = self.active = self.finished = 0
        self.cache_used = 0.0
        self.prompt_tokens = self.output_tokens = self.cached_tokens = 0
        self._left = b""

    def tell(self, message: bytes) -> None:
        """Send the engine a message."""
        assert self.engine is not None
        self.engine.write(message)

    def take(self, data: bytes) -> None:
        """Bytes of the engine: whole steps are handed to their streams."""
        data, at = self._left + data, 0
        while len(data) - at >= engine.STEP.size:
            count, active, used = engine.STEP.unpack_from(data, at)
            end = at + engine.STEP.size + count * engine.TOKEN.size
            if len(data) < end:
                break
            self.active, self.cache_used = active, used
            for number, token, last, cached in engine.TOKEN.iter_unpack(data[at + engine.STEP.size : end]):
                stream = self.streams.get(number)
                if stream is not None:
                    stream.token(token, bool(last), cached)
            at = end
        self._left = data[at:]

    def metrics(self) -> bytes:
        """The Prometheus page."""
        figures = {
            "num_requests_running": self.active, "num_requests_waiting": max(0, len(self.streams) - self.active),
            "kv_cache_usage": self.cache_used, "prompt_tokens_total": self.prompt_tokens,
            "generation_tokens_total": self.output_tokens, "requests_finished_total": self.finished,
            "prefix_cache_queries_total": self.prompt_tokens, "prefix_cache_hits_total": self.cached_tokens,
        }  # fmt: skip
        return "".join(
            [*(f"transformers:{name} {value}\n" for name, value in figures.items()), self.gpu.lines]
        ).encode()


class Stream:
    """One answer on its way to its connection."""

    def __init__(self, front: Front, connection: "Connection", prompt_tokens: int, wanted: int, chat: bool) -> None:
        self.front, self.connection = front, connection
        self.number = front.begun = front.begun + 1
        self.prompt_tokens, self.wanted, self.sent, self.cached = prompt_tokens, wanted, 0, 0
        kind = "chat.completion.chunk" if chat else "text_completion"
        start = {"id": f"req-{self.number}", "object": kind, "created": int(time.time()), "model": front.name}
        self.start = b"data: " + orjson.dumps(start)[:-1] + b',"choices":[{"index":0,'
        self.before, self.behind = (b'"delta":{"content":', b"}") if chat else (b'"text":', b"")
        self.empty = b'"delta":{}' if chat else b'"text":""'
        front.streams[self.number] = self

    def token(self, token: int, last: bool, cached: int) -> None:
        """Write a token as one event, and the end behind the last one."""
        front = self.front
        out = b""
        if cached >= 0:
            self.cached = cached
            front.prompt_tokens += self.prompt_tokens
            front.cached_tokens += cached
        if token >= 0:
            self.sent += 1
            front.output_tokens += 1
            text = front.texts[token] if token < len(front.texts) else b'"?"'
            out = _chunk(self.start + self.before + text + self.behind + b',"finish_reason":null}]}\n\n')
        if last:
            front.finished += 1
            del front.streams[self.number]
            usage = {
                "prompt_tokens": self.prompt_tokens, "completion_tokens": self.sent,
                "total_tokens": self.prompt_tokens + self.sent, "prompt_tokens_details": {"cached_tokens": self.cached},
            }  # fmt: skip
            end = self.start + self.empty + b',"finish_reason":"length"}],"usage":' + orjson.dumps(usage) + b"}\n\n"
            out += _chunk(end) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
            self.connection.stream = None
        self.connection.transport.write(out)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Connection(asyncio.Protocol):
    """HTTP/1.1 as far as a client of the API needs it: kept alive, one request after another."""

    transport: asyncio.Transport

    def __init__(self, front: Front) -> None:
        self.front = front
        self.stream: Stream | None = None
        self._left = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, without waiting for full packets."""
        self.transport = transport  # type: ignore[assignment]
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left: so does its request."""
        if self.stream is not None:
            self.front.streams.pop(self.stream.number, None)
            self.front.tell(engine.REQUEST.pack(self.stream.number, -1, 0))

    def data_received(self, data: bytes) -> None:
        """Gather a whole request, then answer it."""
        self._left += data
        head, found, rest = self._left.partition(b"\r\n\r\n")
        if not found:
            return
        first, *lines = head.split(b"\r\n")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        length = int(fields.get(b"content-length", b"0"))
        if len(rest) < length:
            return
        self._left = rest[length:]
        method, path, _ = first.split(b" ")
        if method == b"POST":
            asyncio.get_running_loop().create_task(self._generate(rest[:length], path.endswith(b"/chat/completions")))
        else:
            self._answer(path)

    def _answer(self, path: bytes) -> None:
        if path == b"/metrics":
            body, kind = self.front.metrics(), b"text/plain; version=0.0.4"
        else:
            body, kind = orjson.dumps({"object": "list", "data": [{"id": self.front.name}]}), b"application/json"
        head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (kind, len(body))
        self.transport.write(head + body)

    async def _generate(self, body: bytes, chat: bool) -> None:
        asked: dict[str, Any] = orjson.loads(body)
        text = "\n".join(message["content"] for message in asked["messages"]) if chat else asked["prompt"]
        loop, front = asyncio.get_running_loop(), self.front
        prompt = (await loop.run_in_executor(front.threads, front.tokenizer.encode, text)).ids
        self.stream = Stream(front, self, len(prompt), asked["max_tokens"], chat)
        self.transport.write(_HEAD)
        message = engine.REQUEST.pack(self.stream.number, asked["max_tokens"], len(prompt))
        front.tell(message + b"".join(map(engine.WORD.pack, prompt)))


class Child(asyncio.Protocol):
    """The engine's messages."""

    def __init__(self, front: Front) -> None:
        self.front = front

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Requests go out on it."""
        self.front.engine = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Hand them on."""
        self.front.take(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """No engine, no server."""
        asyncio.get_running_loop().stop()


async def _serve(front: Front, port: int) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: Child(front), sock=front.child)
    server = await loop.create_server(lambda: Connection(front), "127.0.0.1", port, backlog=1024)
    print(f"listening on {port}", flush=True)
    await server.serve_forever()


def main() -> None:
    """Start the engine as a child, then serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=sorted(engine.SHAPES), required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tokenizer", required=True)
    asked = parser.parse_args()
    tokenizer = Tokenizer.from_file(asked.tokenizer)
    silent = json.loads(Path(asked.tokenizer).with_name("silent.json").read_text())
    here, there = socket.socketpair()
    for side in (here, there):
        side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    spawn = multiprocessing.get_context("spawn")
    child = spawn.Process(
        target=engine.main, args=(there, asked.shape, tokenizer.get_vocab_size(), silent), daemon=True
    )
    child.start()
    there.close()
    front = Front(asked.shape, tokenizer, here)
    front.gpu.start()
    uvloop.run(_serve(front, asked.port))


if __name__ == "__main__":
    main()
