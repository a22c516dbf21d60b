"""The client that most tools start from: httpx, `aiter_lines`, a time stamp when a line is seen.

    python -m benchmarks.plain_httpx URL STREAMS REQUESTS OUTPUT_TOKENS [--aiohttp] > rows.jsonl

Run by `benchmarks.clients` as a process of its own: httpx as it comes, or over aiohttp (the `httpx-aiohttp` package),
whose limit of 100 connections is lifted. One JSON line a request: prompt hash, TTFT and gaps in ms; or why it failed.
"""

import asyncio
import hashlib
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import httpx


async def main(url: str, streams: int, requests: int, output_tokens: int, over_aiohttp: bool) -> list[dict[str, Any]]:
    """Keep `streams` requests in flight until `requests` have ended."""
    rows: list[dict[str, Any]] = []
    prompts = iter([f"httpx request {number}" for number in range(requests)])
    async with _client(over_aiohttp) as client:

        async def slot(prompts: Iterator[str]) -> None:
            for prompt in prompts:
                rows.append(await _one_or_why_not(client, url, prompt, output_tokens))  # noqa: PERF401

        await asyncio.gather(*(slot(prompts) for _ in range(streams)))
    return rows


@asynccontextmanager
async def _client(over_aiohttp: bool) -> AsyncIterator[httpx.AsyncClient]:
    if not over_aiohttp:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with httpx.AsyncClient(limits=limits, timeout=None) as client:
            yield client
        return
    import aiohttp
    import httpx_aiohttp

    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        httpx.AsyncClient(transport=httpx_aiohttp.AiohttpTransport(client=session), timeout=None) as client,
    ):
        yield client


async def _one_or_why_not(client: httpx.AsyncClient, url: str, prompt: str, output_tokens: int) -> dict[str, Any]:
    try:
        return await one(client, url, prompt, output_tokens)
    except httpx.HTTPError as error:
        return {"prompt_sha256": _digest(prompt), "error": " from ".join(_chain(error))}


def _chain(error: BaseException | None) -> Iterator[str]:
    """The error and those below it: httpx's own say nothing of who closed a connection.

    `anyio.ClosedResourceError` is this side: httpx drops a connection that was idle for 5 s, be it one that it has just
    given to a request which has not begun. On a loop that lags by seconds that happens.
    """
    while isinstance(error, Exception):
        yield f"{type(error).__module__}.{type(error).__name__}" + (f" ({error})" if str(error) else "")
        error = error.__cause__ or error.__context__


async def one(client: httpx.AsyncClient, url: str, prompt: str, output_tokens: int) -> dict[str, Any]:
    """Send one chat request and stamp its tokens. Raises httpx.HTTPError."""
    body = {
        "model": "reference",
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": output_tokens,
        "stream": True,
    }
    stamps = []
    sent = time.perf_counter()
    async with client.stream("POST", f"{url}/chat/completions", json=body) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            now = time.perf_counter()
            if line.startswith("data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
                stamps.append(now)
    return {
        "prompt_sha256": _digest(prompt),
        "ttft_ms": (stamps[0] - sent) * 1e3,
        "gaps_ms": [(later - earlier) * 1e3 for earlier, later in pairwise(stamps)],
    }


def _digest(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()


if __name__ == "__main__":
    url, streams, requests, output_tokens, *options = sys.argv[1:]
    for row in asyncio.run(main(url, int(streams), int(requests), int(output_tokens), "--aiohttp" in options)):
        print(json.dumps(row))
