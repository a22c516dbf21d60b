"""End to end on a real engine: the warehouse holds what llama.cpp's own counters say, and a rebuild is equal."""

import json
import math
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.catalog.loads import Load
from schemas.catalog.workloads import Workload
from tests.curated import content
from tests.flows.conftest import child, run_ratecard
from tests.flows.runs import Night
from warehouse.ask import ask
from warehouse.build import build
from warehouse.home import Home

pytest.importorskip("xllamacpp", reason="the real engine is in the extra demo")

SMALL = ("--hidden", "128", "--layers", "2", "--ffn", "256", "--vocabulary", "512")
LEVELS = {1: 40, 2: 40, 4: 40}
OUTPUT_TOKENS = 240
BODY = '{"ignore_eos": true, "cache_prompt": false}'


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """llama.cpp's server with a tiny random Llama."""
    with child(
        "endpoints.llama", "--model-dir", str(tmp_path_factory.mktemp("models")), "--slots", "4", *SMALL
    ) as ready:
        yield ready


def counters(engine: dict[str, Any]) -> dict[str, float]:
    """The engine's own counts, by name without prefix."""
    lines = httpx.get(engine["metrics_url"]).text.splitlines()
    pairs = (line.split() for line in lines if line.startswith("llamacpp:"))
    return {name.removeprefix("llamacpp:"): float(value) for name, value in pairs}


@dataclass
class Measured:
    """A home after one `ratecard run` against the engine, and what the engine counted meanwhile."""

    home: Home
    shown: str
    counted: dict[str, float]


@pytest.fixture(scope="module")
def measured(engine: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Measured:
    folder = tmp_path_factory.mktemp("measured")
    home, before = Home(folder / "home"), counters(engine)
    shown = run_ratecard(
        folder, "run", "--url", engine["url"].removesuffix("/v1"), "--model", engine["model"], "--endpoint", "tiny",
        "--concurrency", ",".join(map(str, LEVELS)), "--requests", "40", "--warmup", "3", "--input-tokens", "60",
        # long answers: the pause between two of them, in which this server opens a connection, is then little
        "--output-tokens", str(OUTPUT_TOKENS), "--extra-body", BODY, "--home", str(home.root),
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    return Measured(home, shown.stdout, {name: value - before[name] for name, value in counters(engine).items()})


def test_the_warehouse_holds_what_the_engine_counted(measured: Measured) -> None:
    home, counted = measured.home, measured.counted
    assert "Operating points" in measured.shown
    traces = f"read_parquet('{home.raw}/request_traces/**/*.parquet', hive_partitioning = false)"
    [total] = ask(
        home, f"select count(*) as requests, sum(input_tokens) as input, sum(output_tokens) as output from {traces}"
    ).objects()
    # 8 probes, 3 warm-up and 40 measured requests a level; each token that the engine counts is one of ours
    assert total["requests"] == 8 + sum(3 + requests for requests in LEVELS.values())
    assert total["output"] == counted["tokens_predicted_total"]
    assert total["input"] == counted["prompt_tokens_total"] + counted["prompt_tokens_cached_total"]
    assert ask(home, f"select distinct outcome from {traces}").rows == [("ok",)]

    points = ask(home, "select * from operating_points order by concurrency").objects()
    assert [(p["concurrency"], p["requests"]) for p in points] == list(LEVELS.items())
    # the prompt length is held to its target by the engine's own count
    assert [p["output_tokens_mean"] for p in points] == [OUTPUT_TOKENS] * len(LEVELS)
    assert [p["input_tokens_mean"] for p in points] == pytest.approx([60] * len(LEVELS), rel=0.1)
    assert all("cache_contaminated" not in p["validity"] for p in points)

    published = content(home)
    home.warehouse.unlink()
    build(home)
    assert published == content(home)


def test_real_operating_points_become_dollars_that_add_up(
    measured: Measured, ratecard: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    home = measured.home
    [best] = ask(home, "select * from best_operating_points where slo = 'offline'").objects()
    if best["status"] != "chosen":
        pytest.skip(f"this machine was too busy for a valid point: {best['reasons']}")

    sized = ratecard(
        "size", "--endpoint", "tiny", "--slo", "offline", "--peak-rps", "950", "--mean-rps", "400", "--spares", "1",
        "--price-plan", "own-8gpu", "--json", "--home", str(home.root),
    )  # fmt: skip
    assert sized.returncode == 0, sized.stderr
    answer = json.loads(sized.stdout)
    instances = math.ceil(950 / best["request_rps"]) + 1
    servers = math.ceil(instances / 8)  # one GPU an instance, eight a server, $87,500 each a year
    assert (answer["fleet"]["instances"], answer["fleet"]["servers"]) == (instances, servers)
    for method in ("price_ratio", "processor_sharing"):
        buckets = [row["usd"] for row in answer["cost_ledger"] if row["allocation_method"] == method]
        assert math.fsum(buckets) == pytest.approx(servers * 87_500, abs=0.005)
    [shares] = ask(home, "select * from time_shares where slo = 'offline'").objects()
    before, after = shared_by_hand(home, best)
    assert shares["input_share"] == pytest.approx(before / (before + after), abs=1e-6)
    assert shares["window_s"] * (1 - shares["idle_share"]) == pytest.approx(before + after, rel=1e-6)


def shared_by_hand(home: Home, best: dict[str, Any]) -> tuple[float, float]:
    """Seconds that the requests of a chosen level held before and after their first tokens: each instant by itself."""
    rows = ask(
        home,
        f"""select epoch_us(epoch_wall_at) * 1000 + sent_ns, epoch_us(epoch_wall_at) * 1000 + first_token_ns,
            epoch_us(epoch_wall_at) * 1000 + closed_ns
        from read_parquet('{home.raw}/request_traces/**/*.parquet', hive_partitioning = false)
        where phase = 'measure' and concurrency = {best["concurrency"]} order by 3""",
    ).rows
    started, ended = rows[best["concurrency"] - 1][2], max(sent for sent, _, _ in rows)
    marks = sorted({started, ended, *(at for row in rows for at in row if started < at < ended)})
    before = after = 0.0
    for at, until in pairwise(marks):
        present = [first for sent, first, closed in rows if sent <= at < closed]
        waiting = sum(at < first for first in present)
        if present:
            before += (until - at) / 1e9 * waiting / len(present)
            after += (until - at) / 1e9 * (len(present) - waiting) / len(present)
    return before, after


@pytest.mark.parametrize(("api", "seed"), [("chat", 1), ("completions", 2)])
async def test_a_server_that_caches_prompts_finds_nothing_of_ours_in_its_cache(
    engine: dict[str, Any], api: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = Night(Home(tmp_path / "home"), monkeypatch)
    outcome = await night.measure(
        engine["url"], Load(concurrency=[2], requests=30), workload=Workload(input_tokens=200, output_tokens=4),
        model=engine["model"], api=api, seed=seed, extra_body={"ignore_eos": True, "cache_prompt": True},
    )  # fmt: skip
    assert outcome.status == "complete", outcome
    build(night.home)
    [(requests, share)] = ask(night.home, "select requests, cached_share from operating_points").rows
    assert requests == 30
    assert share < 0.01
