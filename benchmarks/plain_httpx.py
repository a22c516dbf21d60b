"""The client that most tools start from: httpx as it comes, `aiter_lines`, a time stamp when a line is seen.

    python -m benchmarks.plain_httpx URL STREAMS SECONDS OUTPUT_TOKENS > rows.jsonl

Run by `benchmarks.client` as a process of its own. One JSON line a request: prompt hash, TTFT and gaps in ms.
"""

import asyncio
import hashlib
import json
import sys
import time
from itertools import pairwise
from typing import Any

import httpx


async def main(url: str, streams: int, seconds: float, output_tokens: int) -> list[dict[str, Any]]:
    """Keep `streams` requests in flight for `seconds`, and follow them to their end."""
    rows: list[dict[str, Any]] = []
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=None) as client:
        end = time.perf_counter() + seconds

        async def slot(number: int) -> None:
            count = 0
            while count == 0 or time.perf_counter() < end:
                rows.append(await one(client, url, f"httpx stream {number} request {count}", output_tokens))
                count += 1

        await asyncio.gather(*(slot(number) for number in range(streams)))
    return rows


async def one(client: httpx.AsyncClient, url: str, prompt: str, output_tokens: int) -> dict[str, Any]:
    """Send one chat request and stamp its tokens."""
    body = {
        "model": "reference",
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": output_tokens,
        "stream": True,
    }
    stamps = []
    sent = time.perf_counter()
    async with client.stream("POST", f"{url}/chat/completions", json=body) as response:
        async for line in response.aiter_lines():
            now = time.perf_counter()
            if line.startswith("data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
                stamps.append(now)
    return {
        "prompt_sha256": hashlib.sha256(prompt.encode()).hexdigest(),
        "ttft_ms": (stamps[0] - sent) * 1e3,
        "gaps_ms": [(later - earlier) * 1e3 for earlier, later in pairwise(stamps)],
    }


if __name__ == "__main__":
    for row in asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))):
        print(json.dumps(row))
