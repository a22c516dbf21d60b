"""What the engine says of itself: its Prometheus page once a second, as rows of `raw.server_metrics`.

    scraper = Scraper(target, spec.identity)
    task = asyncio.create_task(scraper.run(level_is_over))
    …
    scraper.write(server_metrics_path(folder, attempt, level_index))

A page that is absent, dead or not an engine's is asked for a few times and then left alone; one that has answered is
asked to the end. Nothing is raised for it.
"""

import asyncio
import math
import ssl
from collections.abc import Coroutine, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from time import monotonic_ns, time_ns
from typing import Any

import httpx

from loadgen.engine_pages import read_page
from loadgen.sockets import tls_context
from schemas.columns import SERVER_METRICS

_PERIOD_S = 1.0
_TIMEOUT_S = 4.0
_GRACE_S = 0.5
_MOST_FAILURES = 3
_MOST_BYTES = 8 * 2**20
"""Engines' pages have a hundredth of that; parsing more would hold up the level."""
_NONE_THERE = (404, 405, 410, 501)


class Scraper:
    """Scrapes the page of one endpoint during one level; `rows` are those of `raw.server_metrics` so far.

    `url` is the API base (ending in `/v1` or not), `metrics_url` the page where it is not `/metrics` (or `/v1/metrics`,
    NIM's) beside it. `headers` (authorization) are sent to the endpoint's own host only. Redirects are not followed.
    """

    def __init__(
        self,
        url: str,
        identity: Mapping[str, Any],
        *,
        metrics_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        verify: bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.rows: list[dict[str, Any]] = []
        self._constants = {
            **{name: identity[name] for name in ("run_id", "attempt", "endpoint", "level_index")},
            "run_date": date.fromisoformat(str(identity["run_date"])),
        }
        self._pages = [metrics_url] if metrics_url else _pages_of(url)
        self._headers = dict(headers or {}) if _same_host(self._pages[0], url) else {}
        self._tls: ssl.SSLContext | bool = False
        if self._pages[0].lower().startswith("https:"):
            try:
                self._tls = tls_context(verify=verify)  # now: it takes a tenth of a second, which no level should see
            except OSError:  # a wrong certificate file: a load level must never suffer for this
                self._pages = []
        self._transport = transport
        self._failures = 0

    async def run(self, until: asyncio.Event) -> None:
        """Scrape at 0, 1, 2, … s until `until` is set, or until a page that never answered has failed three times.

        A second that a slow page ran over is left out. One that is asked for when `until` is set has half a second more.
        Nothing is raised.
        """
        started_ns, over = monotonic_ns(), asyncio.create_task(until.wait())
        try:
            async with httpx.AsyncClient(
                verify=self._tls,
                timeout=_TIMEOUT_S,
                headers=self._headers,
                trust_env=False,
                transport=self._transport,
            ) as client:
                while self._pages and not until.is_set():
                    await _within(over, self._scrape(client, started_ns))
                    elapsed_s = (monotonic_ns() - started_ns) / 1e9
                    wait_s = (math.floor(elapsed_s / _PERIOD_S) + 1) * _PERIOD_S - elapsed_s
                    if self._pages:
                        await _passed(until, wait_s)
        except Exception:
            # nor for an address that is none
            self._pages = []
        finally:
            over.cancel()

    def write(self, path: Path) -> Path | None:
        """Write the rows as one part at `path`; null where there are none. Raises PartError."""
        from loadgen.parts import PartWriter  # pyarrow is slow to import

        if not self.rows:
            return None
        writer = PartWriter(path, SERVER_METRICS, rows_per_part=len(self.rows) + 1, seconds_per_part=math.inf)
        for row in self.rows:
            writer.add(row)
        writer.close()
        return path

    async def _scrape(self, client: httpx.AsyncClient, started_ns: int) -> None:
        asked_ns, asked_at = monotonic_ns(), time_ns()
        response = await self._get(client)
        took_ns = monotonic_ns() - asked_ns
        page = None if response is None else read_page(response.text)
        if page is None:
            self._failures += 1
            # one that has answered is the engine's own, and silent when it is busiest: its queue is wanted then
            if self._failures >= _MOST_FAILURES and not self.rows:
                self._pages = []
            return
        self.rows.append(
            {
                **self._constants,
                "scraped_at": datetime.fromtimestamp(asked_at / 1e9, UTC).replace(tzinfo=None),
                "elapsed_s": (asked_ns - started_ns) / 1e9,
                "source": page.source,
                **page.figures,
                "scrape_ms": took_ns / 1e6,
            }
        )

    async def _get(self, client: httpx.AsyncClient) -> httpx.Response | None:
        """The page; null where there is none now. An address that has none at all is not asked again."""
        while self._pages:
            try:
                async with asyncio.timeout(_TIMEOUT_S):  # httpx bounds single reads only
                    response = await _read(client, self._pages[0])
            except (TimeoutError, httpx.HTTPError):
                return None
            if response.status_code == 200 and "html" not in response.headers.get("content-type", ""):
                return response
            if self.rows or (response.status_code != 200 and response.status_code not in _NONE_THERE):
                return None  # it will come back
            self._pages.pop(0)
        return None


async def _read(client: httpx.AsyncClient, url: str) -> httpx.Response:
    """The answer, whole. Raises httpx.HTTPError, also where it is longer than any engine's page."""
    async with client.stream("GET", url) as response:
        content = bytearray()
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > _MOST_BYTES:
                raise httpx.DecodingError(f"{url} is longer than {_MOST_BYTES} bytes")
    headers = {"content-type": response.headers.get("content-type", "text/plain")}
    return httpx.Response(response.status_code, headers=headers, content=bytes(content))


def server_metrics_path(folder: Path, attempt: int, level_index: int) -> Path:
    """Where a level's rows go: `a1-l001.server_metrics.parquet`."""
    return folder / f"a{attempt}-l{level_index:03d}.server_metrics.parquet"


def _pages_of(url: str) -> list[str]:
    root = url.rstrip("/").removesuffix("/v1")
    return [f"{root}/metrics", f"{root}/v1/metrics"]


def _same_host(page: str, url: str) -> bool:
    """Whether what may be told to `url` may be told to `page`: the same host, and no key in the clear for https."""
    there, own = httpx.URL(page), httpx.URL(url)
    return there.host == own.host and (own.scheme == "http" or there.scheme == "https")


async def _within(over: asyncio.Task[Any], scrape: Coroutine[Any, Any, None]) -> None:
    """Do `scrape`; once `over` has ended it is cut after the grace."""
    scraping = asyncio.create_task(scrape)
    await asyncio.wait((scraping, over), return_when=asyncio.FIRST_COMPLETED)
    _, late = await asyncio.wait((scraping,), timeout=_GRACE_S)
    for task in late:
        task.cancel()
        await asyncio.wait((task,))
    if not late:
        scraping.result()


async def _passed(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
