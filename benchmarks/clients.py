"""The clients that are compared, each as a process of its own against a reference endpoint of its own."""

import importlib.util
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import endpoint
from benchmarks.child import Usage, run
from benchmarks.shards import Level, work
from loadgen.spec import Shape
from warehouse.calibration import Comparison, compare, seen_by_client


@dataclass(frozen=True)
class Streams:
    """A closed loop: so many requests in flight until `requests` have ended; or all made ready and none sent."""

    streams: int
    requests: int
    output_tokens: int = 128
    sends: bool = True


@dataclass(frozen=True)
class Seen:
    """What a client says: requests as in `warehouse.calibration` (null: it read none), and its worker's health.

    `failures` counts those that did not end well, by why.
    """

    requests: pl.DataFrame | None
    usage: Usage
    health: dict[str, Any]
    failures: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Observed:
    """A client's run and the truth about it; `errors` is null for a client that saw nothing.

    `tokens` is how many the endpoint sent, `cpu_us_per_token` the client's CPU less that of a run which sends nothing:
    interpreter, imports, and whatever it builds and opens beforehand.
    """

    client: str
    load: Streams
    seen: Seen
    truth: pl.DataFrame
    errors: Comparison | None
    tokens: int
    cpu_us_per_token: float

    @property
    def notes(self) -> list[str]:
        """What is to be said of requests that failed: they are left out of the figures."""
        of, failures = f"{self.client} at {self.load.streams} streams", self.seen.failures
        return [f"{of}: {count:,} of {self.load.requests:,} requests failed: {why}" for why, count in failures.items()]

    @property
    def merged_share(self) -> float | None:
        """Merged reads a token; null for other clients than ours."""
        merged = self.seen.health.get("merged_reads")
        return None if merged is None else merged / self.tokens

    @property
    def true_itl_p99_ms(self) -> float:
        """p99 of the gaps between tokens as they left."""
        return float(self.truth["gaps_ms"].explode().quantile(0.99, "linear"))  # type: ignore[arg-type]


def ratecard(url: str, load: Streams, folder: Path) -> Seen:
    """Run our load generator, one worker process."""
    shape = Shape(kind="closed", concurrency=load.streams)
    worked = work(url, Level(shape, load.requests, load.output_tokens, sends=load.sends), folder)
    return Seen(seen_by_client(worked.parts), worked.usage, worked.done["health"])


def plain_httpx(url: str, load: Streams, folder: Path) -> Seen:
    """Run the httpx that everybody has."""
    return _httpx(url, load, folder)


def httpx_aiohttp(url: str, load: Streams, folder: Path) -> Seen:
    """Run httpx over aiohttp."""
    return _httpx(url, load, folder, "--aiohttp")


def bare(url: str, load: Streams, folder: Path) -> Seen:
    """Run the loop that reads and keeps, and does not look."""
    return Seen(None, _script("bare_loop", url, load, folder / "bare.txt"), {})


CLIENTS: dict[str, Callable[[str, Streams, Path], Seen]] = {
    "bare": bare,
    "ratecard": ratecard,
    "httpx": plain_httpx,
    "httpx-aiohttp": httpx_aiohttp,
}


def missing(client: str) -> str | None:
    """Why a client cannot run here; null if it can."""
    if client == "httpx-aiohttp" and importlib.util.find_spec("httpx_aiohttp") is None:
        return "httpx-aiohttp is left out: the package is not installed"
    return None


def observe(client: str, load: Streams, tls: bool = False) -> Observed:
    """Run a client and compare. Raises RuntimeError where it failed, or lost a request without a word."""
    seen, truth = _run(client, load, tls)
    failed = seen.failures.total()
    if failed == load.requests:
        raise RuntimeError(f"{client}: all {failed} requests failed: {'; '.join(seen.failures)}")
    errors = None if seen.requests is None else compare(seen.requests, truth, load.streams)
    compared = truth.height if errors is None else errors.requests
    if compared + failed != load.requests:
        raise RuntimeError(
            f"{client}: {compared} of {load.requests} requests are in its rows and the endpoint's log, {failed} failed"
        )
    tokens = int(truth["sent_ns"].list.len().sum())
    start_up, _ = _run(client, replace(load, sends=False), tls)
    cpu_s = seen.usage.cpu_s - start_up.usage.cpu_s
    return Observed(client, load, seen, truth, errors, tokens, cpu_s / tokens * 1e6)


def _run(client: str, load: Streams, tls: bool) -> tuple[Seen, pl.DataFrame]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with endpoint.reference(folder, tls=tls) as url:
            seen = CLIENTS[client](url, load, folder)
        return seen, endpoint.truth(folder)


def _httpx(url: str, load: Streams, folder: Path, *options: str) -> Seen:
    out = folder / "rows.jsonl"
    usage = _script("plain_httpx", url, load, out, *options)
    schema: Any = {"prompt_sha256": pl.String, "ttft_ms": pl.Float64, "gaps_ms": pl.List(pl.Float64)}
    rows = pl.read_ndjson(out, schema=schema | {"error": pl.String})
    failures = Counter(rows["error"].drop_nulls().to_list())
    return Seen(rows.filter(pl.col("error").is_null()).select(*schema), usage, {}, failures)


def _script(module: str, url: str, load: Streams, out: Path, *options: str) -> Usage:
    arguments = [url, str(load.streams), str(load.requests * load.sends), str(load.output_tokens), *options]
    return run([sys.executable, "-m", f"benchmarks.{module}", *arguments], out)
