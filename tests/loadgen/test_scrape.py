"""Engines' Prometheus pages become rows; a page that is not there is left alone and never hurts a level."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from loadgen import scrape
from loadgen.engine_pages import read_page
from loadgen.scrape import Scraper, server_metrics_path
from schemas.contracts import SPLITTERS

PAGES = Path(__file__).parents[2].parent / "shared" / "data" / "sse"
IDENTITY = {"run_id": "r", "attempt": 1, "endpoint": "e", "run_date": "2026-11-20", "level_index": 2, "workload": "w"}

VLLM = """# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 5.0
vllm:num_requests_waiting{engine="0",model_name="m"} 2.0
vllm:num_requests_waiting{engine="1",model_name="m"} 0.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 2.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.2
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.6
vllm:prefix_cache_queries_total{engine="0",model_name="m"} 100.0
vllm:prefix_cache_hits_total{engine="0",model_name="m"} 25.0
vllm:prompt_tokens_total{engine="0",model_name="m"} 100.0
vllm:request_success_total{finished_reason="stop"} 4.0
vllm:request_success_total{finished_reason="length"} 6.0
vllm:time_to_first_token_seconds_bucket{le="0.001"} 1.0
"""


def figures(text: str) -> tuple[str, dict[str, float]]:
    """Source and the figures that a page has."""
    page = read_page(text)
    assert page is not None
    return page.source, {name: value for name, value in page.figures.items() if value is not None}


def test_queues_and_counters_are_summed_over_ranks_and_shares_averaged() -> None:
    assert figures(VLLM) == (
        "vllm",
        {
            "requests_running": 8.0, "requests_waiting": 2.0, "kv_cache_usage": 0.4, "prefix_cache_queries": 100.0,
            "prefix_cache_hits": 25.0, "prompt_tokens": 100.0, "requests_finished": 10.0,
        },
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "source", "expected"),
    [
        pytest.param(
            'vllm:gpu_cache_usage_perc{m="a"} 0.5\nvllm:gpu_prefix_cache_queries_total 8\nvllm:gpu_prefix_cache_hits_total 2\n',
            "vllm",
            {"kv_cache_usage": 0.5, "prefix_cache_queries": 8.0, "prefix_cache_hits": 2.0},
            id="an older vLLM",
        ),
        pytest.param(
            'sglang:num_running_reqs{m="a"} 4\nsglang:num_queue_reqs{m="a"} 1\nsglang:token_usage{m="a"} 0.28\n'
            'sglang:cache_hit_rate{m="a"} 0.1\nsglang:prompt_tokens_total{m="a"} 8.1e+06\n'
            'sglang:cached_tokens_total{m="a",cache_source="device"} 2e6\n'
            'sglang:cached_tokens_total{m="a",cache_source="host"} 1e6\nsglang:num_requests_total{m="a"} 9\n',
            "sglang",
            {
                "requests_running": 4.0, "requests_waiting": 1.0, "kv_cache_usage": 0.28, "prefix_cache_hit_share": 0.1,
                "prompt_tokens": 8.1e6, "prefix_cache_queries": 8.1e6, "prefix_cache_hits": 3e6,
                "requests_finished": 9.0,
            },
            id="SGLang",
        ),
        pytest.param(
            "llamacpp:kv_cache_usage_ratio 0.5\nllamacpp:prompt_tokens_total 20\nllamacpp:requests_processing 2\n",
            "llama.cpp",
            {"kv_cache_usage": 0.5, "prompt_tokens": 20.0, "requests_running": 2.0},
            id="an older llama.cpp, which does not count cached tokens",
        ),
        pytest.param(
            'num_requests_running{model_name="m"} 7\ngpu_cache_usage_perc{model_name="m"} 0.3\n'
            'request_finish_total{finished_reason="stop"} 3\n',
            "nim",
            {"requests_running": 7.0, "kv_cache_usage": 0.3, "requests_finished": 3.0},
            id="NIM",
        ),
        pytest.param(
            'nv_trt_llm_request_metrics{model="t",request_type="active",version="1"} 6\n'
            'nv_trt_llm_request_metrics{model="t",request_type="scheduled",version="1"} 4\n'
            'nv_trt_llm_request_metrics{model="t",request_type="waiting",version="1"} 2\n'
            'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="max",model="t"} 900\n'
            'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="fraction",model="t"} 0.75\n'
            'nv_inference_request_success{model="ensemble"} 10\nnv_inference_request_success{model="t"} 10\n'
            'nv_gpu_power_usage{gpu_uuid="GPU-a"} 300\n',
            "triton",
            {"gpu_power_w": 300.0, "requests_running": 4.0, "requests_waiting": 2.0, "kv_cache_usage": 0.75, "requests_finished": 10.0},
            id="Triton with TensorRT-LLM, a request counted in each model of the ensemble",
        ),
        pytest.param(
            "transformers:num_requests_running 3\ntransformers:kv_cache_usage 0.25\n"
            'DCGM_FI_DEV_POWER_USAGE{gpu="0"} 300.5\nDCGM_FI_DEV_POWER_USAGE{gpu="1"} 200\n'
            'DCGM_FI_DEV_GPU_UTIL{gpu="0"} 100\nDCGM_FI_DEV_GPU_UTIL{gpu="1"} 50\n'
            'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0"} 8e6\n',
            "transformers",
            {
                "requests_running": 3.0, "kv_cache_usage": 0.25, "gpu_power_w": 500.5, "gpu_energy_mj": 8e6,
                "gpu_busy_percent": 75.0,
            },
            id="a page with the cards too: two of them draw 300.5 + 200 W and are busy (100 + 50) / 2 % of the time",
        ),
    ],
)  # fmt: skip
def test_each_engine_is_known_by_its_names(text: str, source: str, expected: dict[str, float]) -> None:
    assert figures(text) == (source, expected)


@pytest.mark.parametrize(
    "text", ["", "<html><body>hello</body></html>", "python_info 1\n", 'vllm:num_requests_running{a="b} 1\n', "vllm:num_requests_running NaN\n"]
)  # fmt: skip
def test_a_page_of_no_engine_has_no_figures(text: str) -> None:
    assert read_page(text) is None


@pytest.mark.skipif(not PAGES.exists(), reason="needs the recorded pages")
def test_recorded_pages_are_read() -> None:
    # vLLM: two requests of 10 prompt tokens, 12 tokens generated. llama.cpp: the same, and it keeps no other count
    source, found = figures((PAGES / "vllm-cpu.metrics.txt").read_text())
    assert source == "vllm"
    assert found == {
        "requests_running": 0.0, "requests_waiting": 0.0, "kv_cache_usage": 0.0, "prefix_cache_queries": 20.0,
        "prefix_cache_hits": 0.0, "prompt_tokens": 20.0, "generation_tokens": 12.0, "requests_finished": 2.0,
        "preemptions": 0.0,
    }  # fmt: skip
    source, found = figures((PAGES / "xllamacpp.metrics.txt").read_text())
    assert source == "llama.cpp"
    assert (found["prompt_tokens"], found["generation_tokens"], found["requests_running"]) == (20.0, 12.0, 0.0)


Answer = Callable[[httpx.Request], httpx.Response]


async def scraped(answer: Answer, enough: int, url: str = "http://engine:8000/v1", **options: Any) -> Scraper:
    """A scraper that ran until `enough` requests were answered, or until it gave up by itself."""
    until, requests = asyncio.Event(), 0

    def handler(request: httpx.Request) -> httpx.Response:
        nonlocal requests
        requests += 1
        if requests >= enough:
            until.set()
        return answer(request)

    scraper = Scraper(url, IDENTITY, transport=httpx.MockTransport(handler), **options)
    async with asyncio.timeout(20):
        await scraper.run(until)
    return scraper


def served(text: str) -> Answer:
    """Every request gets this page."""
    return lambda request: httpx.Response(200, text=text)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scrapes come each 10 ms."""
    monkeypatch.setattr(scrape, "_PERIOD_S", 0.01)


@pytest.mark.usefixtures("quick")
def test_scrapes_become_one_part_that_keeps_the_contract(tmp_path: Path) -> None:
    scraper = asyncio.run(scraped(served(VLLM), 3))
    path = server_metrics_path(tmp_path, 1, 2)
    assert path.name == "a1-l002.server_metrics.parquet"
    assert scraper.write(path) == path
    split = SPLITTERS["server_metrics"](pl.read_parquet(path))
    assert (split.good.height, split.bad.height) == (3, 0), split.bad
    assert split.good["requests_running"].to_list() == [8.0] * 3
    assert split.good["elapsed_s"].is_sorted()


@pytest.mark.usefixtures("quick")
def test_the_page_is_beside_the_api_and_nims_below_it() -> None:
    asked: list[str] = []

    def nim(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return (
            httpx.Response(200, text="num_requests_running 1\n")
            if request.url.path == "/v1/metrics"
            else httpx.Response(404)
        )

    scraper = asyncio.run(scraped(nim, 3))
    assert asked == ["/metrics", "/v1/metrics", "/v1/metrics"]
    assert [row["source"] for row in scraper.rows] == ["nim", "nim"]


def test_a_prefix_cache_that_is_off_has_no_share_of_hits() -> None:
    text = "vllm:num_requests_running 7\nvllm:gpu_prefix_cache_hit_rate -1.0\n"
    assert figures(text) == ("vllm", {"requests_running": 7.0})


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("answer", "requests"),
    [
        pytest.param(lambda request: httpx.Response(404), 2, id="no such page under either address"),
        pytest.param(lambda request: httpx.Response(200, html="<html>"), 2, id="a web page"),
        pytest.param(lambda request: httpx.Response(503), 3, id="three failures in a row"),
        pytest.param(served("python_info 1\n"), 3, id="metrics of something else"),
        pytest.param(served("vllm:num_requests_running 1\n" * 400_000), 3, id="longer than any engine's page"),
    ],
)
def test_a_page_that_is_not_there_is_left_alone(answer: Answer, requests: int, tmp_path: Path) -> None:
    asked = 0

    def counting(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return answer(request)

    scraper = asyncio.run(scraped(counting, 10))
    assert asked == requests
    assert scraper.rows == []
    assert scraper.write(tmp_path / "none.parquet") is None
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("quick")
def test_a_failure_now_and_then_loses_only_its_scrape() -> None:
    answers = iter([503, 503, 200, 503, 503, 200, 200])
    scraper = asyncio.run(scraped(lambda request: httpx.Response(next(answers), text=VLLM), 7))
    assert len(scraper.rows) == 3


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("trouble", [503, 404])
def test_a_page_that_has_answered_is_asked_to_the_end(trouble: int) -> None:
    answers = iter([200, trouble, trouble, trouble, trouble, 200])
    scraper = asyncio.run(scraped(lambda request: httpx.Response(next(answers), text=VLLM), 6))
    assert len(scraper.rows) == 2


@pytest.mark.usefixtures("quick")
def test_a_refused_connection_or_any_other_trouble_is_not_raised() -> None:
    def refused(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    def broken(request: httpx.Request) -> httpx.Response:
        raise RuntimeError("a bug")

    assert asyncio.run(scraped(refused, 10)).rows == []
    assert asyncio.run(scraped(broken, 10)).rows == []


async def test_a_certificate_file_that_is_none_costs_only_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    scraper = Scraper("https://engine:8000/v1", IDENTITY)
    await scraper.run(asyncio.Event())
    assert scraper.rows == []


def test_a_page_that_never_answers_costs_its_time_out_and_the_level_ends_when_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scrape, "_TIMEOUT_S", 0.02)
    monkeypatch.setattr(scrape, "_PERIOD_S", 0.01)

    async def silent() -> tuple[int, list[dict[str, Any]]]:
        held: list[asyncio.Task[Any] | None] = []

        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            held.append(asyncio.current_task())
            await reader.read()  # until the client gives up
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            scraper = Scraper(f"http://127.0.0.1:{port}/v1", IDENTITY)
            async with asyncio.timeout(20):
                await scraper.run(asyncio.Event())
                await asyncio.gather(*(task for task in held if task))
        return len(held), scraper.rows

    assert asyncio.run(silent()) == (3, [])


class SlowPage(httpx.AsyncBaseTransport):
    """A page that takes `seconds`; the level is over once it was asked for the `last` time."""

    def __init__(self, seconds: float, last: int) -> None:
        self.seconds, self.last, self.asked, self.level_over = seconds, last, 0, asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.asked == self.last:
            self.level_over.set()
        await asyncio.sleep(self.seconds)
        return httpx.Response(200, text=VLLM)

    async def rows(self) -> list[dict[str, Any]]:
        scraper = Scraper("http://engine:8000/v1", IDENTITY, transport=self)
        async with asyncio.timeout(20):
            await scraper.run(self.level_over)
        return scraper.rows


async def test_a_page_slower_than_its_second_gives_a_row_with_its_own_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "_GRACE_S", 20)
    [row] = await SlowPage(1.1, last=1).rows()
    assert row["requests_running"] == 8.0
    assert row["scrape_ms"] >= 1099
    assert row["elapsed_s"] < 1.1  # when it was asked for, not when it came


@pytest.mark.usefixtures("quick")
async def test_a_slow_page_is_asked_for_once_at_a_time_at_the_rate_that_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "_GRACE_S", 20)
    page = SlowPage(0.05, last=3)
    rows = await page.rows()
    assert len(rows) == page.asked == 3  # the third was on its way, and within the grace
    ends = [row["elapsed_s"] + row["scrape_ms"] / 1e3 for row in rows]
    assert all(row["elapsed_s"] >= end for row, end in zip(rows[1:], ends, strict=False))


async def test_a_page_on_its_way_does_not_outlive_its_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "_TIMEOUT_S", 1000)
    monkeypatch.setattr(scrape, "_GRACE_S", 0.01)
    assert await SlowPage(1000, last=1).rows() == []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("metrics_url", "expected"),
    [
        (None, "Bearer key"),
        ("http://engine:8002/metrics", "Bearer key"),
        ("http://elsewhere:8000/metrics", None),
    ],
)
def test_the_key_goes_to_the_endpoints_own_host_only(metrics_url: str | None, expected: str | None) -> None:
    told: list[str | None] = []

    def listening(request: httpx.Request) -> httpx.Response:
        told.append(request.headers.get("authorization"))
        return httpx.Response(200, text=VLLM)

    asyncio.run(scraped(listening, 1, metrics_url=metrics_url, headers={"authorization": "Bearer key"}))
    assert told == [expected]


@pytest.mark.usefixtures("quick")
def test_a_key_for_https_is_not_told_in_the_clear() -> None:
    told: list[str | None] = []

    def listening(request: httpx.Request) -> httpx.Response:
        told.append(request.headers.get("authorization"))
        return httpx.Response(200, text=VLLM)

    options = {"metrics_url": "http://engine:8002/metrics", "headers": {"authorization": "Bearer key"}}
    asyncio.run(scraped(listening, 1, "https://engine/v1", **options))
    assert told == [None]
