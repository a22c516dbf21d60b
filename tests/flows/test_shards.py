"""A shard on another machine: what its flow leaves in the shared home, and what the flow that asked makes of it."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import polars as pl
import pytest
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Running, Scheduled

from flows.children import STOPPED_AT_START
from flows.elsewhere import last_word, run_elsewhere
from flows.shards import shard
from loadgen.plan import shard_specs
from loadgen.spec import PromptScale, ShardSpec
from schemas.catalog.loads import Load
from schemas.errors import WorkerError
from tests.flows.conftest import prefect_at
from tests.flows.runs import QUICK, Night, planned
from warehouse.home import Home


def spec_of(folder: Path, url: str = "http://127.0.0.1:9", requests: int = 20, **endpoint: Any) -> ShardSpec:
    """The second of two shards, to write into `folder`."""
    load = Load(concurrency=[2], requests=requests, warmup_requests=0, shards=2)
    plan, _ = planned(url, load, QUICK, {}, **endpoint)
    return shard_specs(plan, plan.levels[0], PromptScale(), folder)[1]


async def test_a_shard_leaves_its_part_and_its_last_word_in_the_home(
    tmp_path: Path, reference: Callable[..., str]
) -> None:
    spec = spec_of(tmp_path, reference())
    done = await shard.fn(asdict(spec))
    assert done["stop_reason"] == "count"
    assert json.loads(last_word(spec).read_bytes()) == done
    assert pl.read_parquet(spec.part_path)["shard"].to_list() == [1] * 10


async def test_a_shard_that_cannot_be_run_leaves_why(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, api_key_env="NO_SUCH_KEY")
    with pytest.raises(WorkerError, match="NO_SUCH_KEY, which is not set"):
        await shard.fn(asdict(spec))
    assert "NO_SUCH_KEY, which is not set" in json.loads(last_word(spec).read_bytes())["message"]


async def test_a_home_that_is_not_shared_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="must be shared by all machines"):
        await shard.fn(asdict(spec_of(tmp_path / "elsewhere")))


async def test_a_shard_ends_when_its_run_is_cleared_away(
    tmp_path: Path, reference: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.shards._LOOK_S", 0.05)
    folder = tmp_path / "run"
    folder.mkdir()
    running = asyncio.create_task(shard.fn(asdict(spec_of(folder, reference(), requests=100_000))))
    while not list(folder.iterdir()):  # the worker has begun
        await asyncio.sleep(0.05)
    shutil.rmtree(folder)
    with contextlib.suppress(
        WorkerError
    ):  # it has no folder to write to, unless the stop came before its first request
        assert (await running)["interrupted"]
    assert not folder.exists()


class Api:
    """Of Prefect: a flow run whose state is the next of `states`, then the last for ever; cancelling it ends it."""

    def __init__(self, *states: State[Any]) -> None:
        self.states = list(states)
        self.asked: list[str] = []

    async def read_flow_run(self, _: UUID) -> SimpleNamespace:
        return SimpleNamespace(state=self.states.pop(0) if len(self.states) > 1 else self.states[0])

    async def set_flow_run_state(self, _: UUID, state: State[Any]) -> None:
        self.asked.append(state.type.value)
        self.states = [Completed()]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Api]:
    """`api(*states)` is what the flow that asks finds as Prefect's API."""
    monkeypatch.setattr("flows.elsewhere._POLL_S", 0.01)

    def make(*states: State[Any]) -> Api:
        made = Api(*states)

        @asynccontextmanager
        async def client() -> AsyncIterator[Api]:
            yield made

        async def deployed(*_: object, **__: object) -> SimpleNamespace:
            return SimpleNamespace(id=uuid4())

        monkeypatch.setattr("flows.elsewhere.get_client", client)
        monkeypatch.setattr("flows.elsewhere.arun_deployment", deployed)
        return made

    return make


async def asked(spec: ShardSpec, stop: asyncio.Event | None = None) -> dict[str, Any]:
    async with prefect_at("http://127.0.0.1:9/api"):
        return await run_elsewhere("shard/shard", stop or asyncio.Event(), spec)


async def test_the_last_word_of_a_shard_is_its_result(tmp_path: Path, api: Callable[..., Api]) -> None:
    spec = spec_of(tmp_path)
    last_word(spec).write_text('{"event": "done", "rows": 7}')
    prefect = api(Scheduled(), Running(), Completed())
    assert await asked(spec) == {"event": "done", "rows": 7}
    assert prefect.asked == []


async def test_a_shard_s_error_is_the_level_s(tmp_path: Path, api: Callable[..., Api]) -> None:
    spec = spec_of(tmp_path)
    last_word(spec).write_text('{"event": "error", "message": "the disk is full"}')
    api(Completed())
    with pytest.raises(WorkerError, match="the disk is full"):
        await asked(spec)


async def test_a_shard_that_left_nothing_is_told(tmp_path: Path, api: Callable[..., Api]) -> None:
    api(Completed())
    with pytest.raises(
        WorkerError, match=r"without leaving .*Is the home a folder that this machine and that one share"
    ):
        await asked(spec_of(tmp_path))


async def test_a_shard_that_no_worker_takes_up_is_cancelled_and_told(
    tmp_path: Path, api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.elsewhere.TAKEN_UP_S", 0.05)
    prefect = api(Scheduled())
    with pytest.raises(WorkerError, match="no worker took shard 1 up"):
        await asked(spec_of(tmp_path))
    assert prefect.asked == ["CANCELLED"]


@pytest.mark.parametrize(("state", "to"), [(Running(), "CANCELLING"), (Scheduled(), "CANCELLED")])
async def test_a_stop_cancels_the_flow_run(tmp_path: Path, api: Callable[..., Api], state: State[Any], to: str) -> None:
    prefect, stop = api(state), asyncio.Event()
    stop.set()
    assert await asked(spec_of(tmp_path), stop) == STOPPED_AT_START
    assert prefect.asked == [to]


async def test_shards_elsewhere_need_a_standing_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    night = Night(Home(tmp_path / "home"), monkeypatch)
    load = Load(concurrency=[2], requests=20, run_by="shard/shard")
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        outcome = await night.measure("http://unused.invalid", load)
    assert outcome.status == "failed"
    assert outcome.message is not None
    assert "run_by: shard/shard needs a Prefect server that all machines reach" in outcome.message
    assert not list(night.home.incoming.iterdir())
