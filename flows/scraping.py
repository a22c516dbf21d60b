"""What the endpoint's engine says of itself during a level: its Prometheus page, scraped beside the load."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from loadgen.scrape import Scraper, server_metrics_path
from loadgen.spec import ShardSpec, Target
from schemas.errors import PartError


@asynccontextmanager
async def scraped(
    spec: ShardSpec, metrics_url: str | None, tell: Callable[[str], None], begun: Callable[[], Awaitable[None]]
) -> AsyncIterator[None]:
    """Scrape for the length of the block, from `begun` on (awaited); the rows are left beside the parts of `spec`.

    Nothing is raised for it; `tell` is told of rows that could not be kept.
    """
    target, identity, over = spec.target, spec.identity, asyncio.Event()
    scraper = Scraper(
        target.url, identity, metrics_url=metrics_url, headers=page_headers(target), verify=target.verify_tls
    )
    scraping = asyncio.create_task(_scrape(scraper, begun, over))
    try:
        yield
    finally:
        over.set()
        await scraping
        path = server_metrics_path(Path(spec.part_path).parent, identity["attempt"], identity["level_index"])
        try:
            await asyncio.to_thread(scraper.write, path)
        except PartError as error:
            tell(f"the server's own figures of level {identity['level_index']} are lost: {error}")


async def _scrape(scraper: Scraper, begun: Callable[[], Awaitable[None]], over: asyncio.Event) -> None:
    either = [asyncio.ensure_future(begun()), asyncio.ensure_future(over.wait())]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    for waiting in either:
        waiting.cancel()
    await scraper.run(over)


def page_headers(target: Target) -> dict[str, str]:
    """What the page may ask for as the API does; the key stays in memory."""
    key = os.environ.get(target.api_key_env or "", "").strip()
    return {**target.headers, **({"authorization": f"Bearer {key}"} if key else {})}
