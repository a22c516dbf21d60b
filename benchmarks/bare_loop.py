"""The least that a client can do: one recvmsg a read on uvloop, bytes and stamps kept, nothing read of them.

    python -m benchmarks.bare_loop URL STREAMS REQUESTS OUTPUT_TOKENS

Closed loop over plain sockets, the same request again and again; an answer ends with its last chunk. The floor that
CPU a token is held against.
"""

import asyncio
import gc
import json
import resource
import socket
import sys
from urllib.parse import SplitResult, urlsplit

import uvloop

_SO_TIMESTAMPING, _RX_SOFTWARE_STAMPS = 37, (1 << 3) | (1 << 4)
_READ_BYTES, _STAMP_BYTES = 65536, 64
_LAST_CHUNK = b"0\r\n\r\n"


class Stream:
    """One connection that sends the request `rounds` times, each when the answer before has ended."""

    def __init__(self, address: tuple[str, int], wire: bytes, rounds: int) -> None:
        self._wire, self._rounds = wire, rounds
        self._sock = socket.create_connection(address)
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _RX_SOFTWARE_STAMPS)
        self.reads: list[tuple[bytes, list[tuple[int, int, bytes]]]] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        """Send the first request."""
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._read)
        self._sock.send(self._wire)

    def _read(self) -> None:
        data, ancillary, _, _ = self._sock.recvmsg(_READ_BYTES, _STAMP_BYTES)
        self.reads.append((data, ancillary))
        if data.endswith(_LAST_CHUNK):
            self._rounds -= 1
            if self._rounds:
                self._sock.send(self._wire)
            else:
                self.close()
                self.done.set_result(None)
        elif not data:
            self.close()
            self.done.set_exception(ConnectionError("the endpoint closed the connection before an answer ended"))

    def close(self) -> None:
        """Close the connection."""
        asyncio.get_running_loop().remove_reader(self._sock.fileno())
        self._sock.close()


async def main(url: str, streams: int, requests: int, output_tokens: int) -> None:
    """Keep `streams` requests in flight until `requests` have ended; with none, only connect. Raises ConnectionError."""
    _allow_many_connections()
    parts = urlsplit(url)
    wire, address = _request(parts, output_tokens), (parts.hostname or "", parts.port or 80)
    gc.disable()
    rounds = [requests // streams + (number < requests % streams) for number in range(streams)]
    running = [Stream(address, wire, count) for count in rounds]
    if requests:
        for stream in running:
            stream.start()
        await asyncio.gather(*(stream.done for stream in running))
    else:
        for stream in running:
            stream.close()


def _request(url: SplitResult, output_tokens: int) -> bytes:
    message = {"role": "user", "content": "bare"}
    wanted = {"model": "reference", "messages": [message], "max_tokens": output_tokens, "stream": True}
    body = json.dumps(wanted).encode()
    head = f"POST {url.path}/chat/completions HTTP/1.1\r\nhost: {url.netloc}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _allow_many_connections() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
