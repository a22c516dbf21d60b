"""`prefect deploy --all` against a server, and a run by a process worker, as the guide says."""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from schemas.catalog import Load
from tests.flows.conftest import ROOT, environment
from warehouse import manifests
from warehouse.ask import ask
from warehouse.build import build
from warehouse.home import Home

pytestmark = pytest.mark.timeout(280)
PREFECT = Path(sys.executable).with_name("prefect")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Prefect server of its own; yields the environment that reaches it."""
    folder = tmp_path_factory.mktemp("prefect")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    environ = environment() | settings
    log = (folder / "server.log").open("w")
    process = subprocess.Popen(
        [PREFECT, "server", "start", "--port", str(port)], env=environ, stdout=log, stderr=log, start_new_session=True
    )
    try:
        _until_healthy(settings["PREFECT_API_URL"])
        yield environ
    finally:
        process.terminate()
        process.wait(30)
        log.close()


@pytest.fixture(scope="module")
def clone(server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder from which all deployments were made."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copy(ROOT / "prefect.yaml", folder)
    prefect(server, folder, "work-pool", "create", "ratecard", "--type", "process")
    prefect(server, folder, "deploy", "--all")
    return folder


def _until_healthy(api: str) -> None:
    deadline = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(f"{api}/health", timeout=2):
                return
        except OSError:
            assert time.monotonic() < deadline, "the Prefect server did not start"
            time.sleep(0.5)


def _until_scheduled(api: str) -> None:
    """The scheduler has made runs of the nightly cron: without it no night would ever begin."""
    asked = urllib.request.Request(
        f"{api}/flow_runs/filter",
        data=b'{"deployments": {"name": {"any_": ["nightly"]}}, "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}',
        headers={"content-type": "application/json"},
    )
    deadline = time.monotonic() + 120
    while True:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            if json.load(answer):
                return
        assert time.monotonic() < deadline, "the nightly cron was not scheduled"
        time.sleep(1)


def prefect(environ: dict[str, str], folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [PREFECT, "--no-prompt", *arguments], env=environ | {"PWD": str(folder)}, cwd=folder, capture_output=True,
        text=True, timeout=150,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_all_deployments_are_made_and_a_worker_runs_one(server: dict[str, str], clone: Path) -> None:
    listed = prefect(server, clone, "deployment", "ls")
    assert all(name in listed for name in ("night/nightly", "night/demo", "rebuild/rebuild", "shard/shard"))
    assert "0 2 * * *" in prefect(server, clone, "deployment", "inspect", "night/nightly")

    _until_scheduled(server["PREFECT_API_URL"])

    prefect(server, clone, "deployment", "run", "rebuild/rebuild")
    worker: list[str | Path] = [PREFECT, "worker", "start", "--pool", "ratecard", "--run-once"]
    subprocess.run(worker, env=server, cwd=clone, capture_output=True, timeout=150, check=True)
    deadline = time.monotonic() + 60
    while not (clone / "data" / "warehouse.duckdb").exists():
        assert time.monotonic() < deadline, list(clone.iterdir())
        time.sleep(0.2)


@pytest.fixture
def worker(server: dict[str, str], clone: Path, tmp_path: Path) -> Iterator[Path]:
    """A worker of the pool, for the length of a test; yields its log."""
    log = tmp_path / "worker.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [PREFECT, "worker", "start", "--pool", "ratecard"], env=server, cwd=clone, stdout=file, stderr=file
        )
        yield log
        process.terminate()
        process.wait(60)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
async def test_shards_run_by_a_deployment_are_one_level_and_a_stop_lands_what_they_have(
    server: dict[str, str], worker: Path, tmp_path: Path, reference: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from tests.flows.runs import Night

    monkeypatch.setattr("flows.levels.START_AFTER_S", 0.0)  # at once: nobody compares the machines' starts here
    night = Night(Home(tmp_path / "home"), monkeypatch)
    load = Load(concurrency=[2, 200], requests=40, warmup_requests=2, shards=2, run_by="shard/shard")

    async def stop_in_the_second_level() -> None:
        while len(list(night.home.incoming.glob("*/a1-l002-s*.parquet*.tmp"))) < 2:
            await asyncio.sleep(0.1)
        night.stop.set()

    stopper = asyncio.create_task(stop_in_the_second_level())
    with temporary_settings({PREFECT_API_URL: server["PREFECT_API_URL"]}):
        outcome = await asyncio.wait_for(night.measure(reference("--slots", "2"), load), 200)
    await stopper
    assert outcome.status == "interrupted", f"{outcome}\n{worker.read_text()}"
    [manifest] = manifests.read_all(night.home)
    assert [(level["shards"], level["status"]) for level in manifest.levels] == [(2, "complete"), (2, "interrupted")]
    build(night.home)
    points = "select level_index, shards, requests from operating_points where level_index = 1"
    assert ask(night.home, points).rows == [(1, 2, 40)]
    assert not list(night.home.incoming.iterdir())
