"""`ratecard serve` by itself: its own server, which is killed once, a night that comes due, and the end in the middle of it."""

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.deployments import deployments_file, read_deployments
from flows.settings import quiet_prefect
from schemas.errors import UsageError
from tests.flows.conftest import RATECARD, ROOT, child, environment, free_port, marked
from tests.flows.test_deployments import write_catalog
from warehouse import manifests
from warehouse.home import Home

linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes by /proc, which is Linux")


class Serving:
    """A `ratecard serve` in `folder`, whose nightly run is due every minute."""

    def __init__(self, folder: Path, url: str) -> None:
        self.home, self.log, self.mark = Home(folder / "home"), folder / "serve.log", uuid.uuid4().hex
        self.catalog = folder / "catalog"
        write_catalog(self.catalog, requests=300, up=url)
        written = (ROOT / "prefect.yaml").read_text().replace('"0 2 * * *"', '"* * * * *"')
        (folder / "prefect.yaml").write_text(
            written.replace("schedule: nightly\n", "schedule: nightly\n        calibrate: false\n")
        )
        settings = {
            "TEST_MARK": self.mark,
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_RUNNER_POLL_FREQUENCY": "2",
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*RATECARD, "serve", "--home", str(self.home.root), "--port", str(free_port())],
                stdout=log, stderr=log, cwd=folder, env=environment() | settings,
            )  # fmt: skip

    def until(self, what: str, patience_s: float = 240) -> None:
        """Wait until `what` is in its log."""
        deadline = time.monotonic() + patience_s
        while what not in self.log.read_text():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.2)

    def server(self) -> int:
        """Process id of its Prefect server."""
        [pid] = [pid for pid, line in marked(self.mark).items() if "prefect server start" in line]
        return pid


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    with child("endpoints.reference", "--ttft-ms", "20", "--itl-ms", "2") as event:
        serving = Serving(tmp_path, event["url"])
        yield serving
        for pid in marked(serving.mark):
            os.kill(pid, signal.SIGKILL)
        serving.process.wait()


@linux
def test_a_killed_server_is_started_again_and_a_stop_lands_the_night(serving: Serving) -> None:
    serving.until("Ctrl-C ends it")
    assert f"catalog {serving.catalog}, home {serving.home.root};" in serving.log.read_text()
    os.kill(serving.server(), signal.SIGKILL)
    serving.until("starting it again")
    deadline = time.monotonic() + 300
    while not list(serving.home.incoming.glob("*/a1-l002-s*.tmp")):  # the night is in its second level
        assert time.monotonic() < deadline, serving.log.read_text()
        time.sleep(0.1)
    time.sleep(1)
    serving.process.terminate()
    assert serving.process.wait(120) == 0, serving.log.read_text()
    assert marked(serving.mark) == {}
    night = manifests.read_all(serving.home)[-1]
    assert [level["status"] for level in night.levels] == ["complete", "interrupted"]
    assert not list(serving.home.incoming.iterdir())


async def test_what_is_wrong_in_prefect_yaml_is_named(tmp_path: Path) -> None:
    quiet_prefect()
    path = tmp_path / "prefect.yaml"
    path.write_text("deployments:\n  - name: nightly\n    entrypoint: flows.night.nacht\n")
    with pytest.raises(UsageError, match=r"prefect\.yaml: .*nacht.*not found"):
        await read_deployments(path)
    path.write_text("deployments: [")
    with pytest.raises(UsageError, match=r"prefect\.yaml: ParserError"):
        await read_deployments(path)


async def test_deployments_are_read_from_the_file_that_ships_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet_prefect()
    monkeypatch.chdir(tmp_path)
    read = {deployment.name: deployment for deployment in await read_deployments(deployments_file())}
    [schedule] = read["canary"].schedules or []
    assert (schedule.slug, schedule.parameters) == (
        "hourly",
        {"parameters": {"schedule": "canary", "publish": False, "calibrate": False, "late_h": 0.75}},
    )
    [trigger] = read["build"].triggers
    assert trigger.parameters is not None
    assert trigger.parameters["home"] == "{{ event.payload.home }}", "for the event to fill in"
    assert {name for name, deployment in read.items() if deployment.triggers} == {"build", "report", "feeds"}
    assert read["feeds"].parameters == {"targets": []}, "off until somebody names one"
