"""`prefect deploy --all` against a server, and a run by a process worker, as the guide says."""

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.conftest import ROOT, environment

pytestmark = pytest.mark.timeout(280)
PREFECT = Path(sys.executable).with_name("prefect")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A Prefect server of its own; yields the environment that reaches it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    environ = environment() | settings
    log = (tmp_path / "server.log").open("w")
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


def test_all_deployments_are_made_and_a_worker_runs_one(server: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "clone"
    folder.mkdir()
    shutil.copy(ROOT / "prefect.yaml", folder)
    prefect(server, folder, "work-pool", "create", "ratecard", "--type", "process")
    prefect(server, folder, "deploy", "--all")
    listed = prefect(server, folder, "deployment", "ls")
    assert all(name in listed for name in ("night/nightly", "night/demo", "rebuild/rebuild"))
    assert "0 2 * * *" in prefect(server, folder, "deployment", "inspect", "night/nightly")

    _until_scheduled(server["PREFECT_API_URL"])

    prefect(server, folder, "deployment", "run", "rebuild/rebuild")
    worker = [PREFECT, "worker", "start", "--pool", "ratecard", "--run-once"]
    subprocess.run(worker, env=server, cwd=tmp_path, capture_output=True, timeout=150, check=True)
    deadline = time.monotonic() + 60
    while not (folder / "data" / "warehouse.duckdb").exists():
        assert time.monotonic() < deadline, list(folder.iterdir())
        time.sleep(0.2)
