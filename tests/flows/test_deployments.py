"""`prefect.yaml` as the guide says: a server, a worker of the pool, schedules, events, late runs, shards."""

import asyncio
import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from rich.console import Console

from flows.catalogs import AdHoc, write_adhoc
from flows.progress import Progress
from flows.slots import LEASE_S, endpoint_slot
from schemas.catalog.loads import Load
from schemas.errors import EndpointBusyError
from tests.flows.conftest import ROOT, child, environment, free_port, prefect_at
from tests.history import History, Planted, land
from tests.traces import STARTER
from warehouse import manifests
from warehouse.ask import ask
from warehouse.build import build
from warehouse.home import Home

pytestmark = pytest.mark.timeout(1200)
PREFECT = Path(sys.executable).with_name("prefect")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Prefect server of its own; yields the environment that reaches it."""
    folder = tmp_path_factory.mktemp("prefect")
    port = free_port()
    settings = {
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "5",
        # the second of two nights asks again sooner than after half a minute
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "3",
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
def reference_url() -> Iterator[str]:
    with child("endpoints.reference", "--ttft-ms", "20", "--itl-ms", "2") as event:
        yield event["url"]


@pytest.fixture(scope="module")
def clone(server: dict[str, str], reference_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder from which all deployments were made; its nights measure an endpoint that is up and one that is down.

    They are due every minute, or else nobody could wait for one.
    """
    folder = tmp_path_factory.mktemp("clone")
    written = (ROOT / "prefect.yaml").read_text()
    assert '"0 2 * * *"' in written
    quick = written.replace("schedule: nightly\n", "schedule: nightly\n        calibrate: false\n")
    assert "      targets: []\n" in quick
    quick = quick.replace("      targets: []\n", f"      targets: {json.dumps(targets(folder))}\n")
    (folder / "prefect.yaml").write_text(quick.replace('"0 2 * * *"', '"* * * * *"'))
    write_catalog(folder / "catalog", up=reference_url, down="http://127.0.0.1:9")
    prefect(server, folder, "work-pool", "create", "ratecard", "--type", "process")
    prefect(server, folder, "deploy", "--all")
    return folder


def targets(folder: Path) -> list[dict[str, Any]]:
    """Feeds of the deployments: one that cannot be published, and one that can."""
    return [
        {"feed": "postgres", "dsn_env": "NOT_SET"},
        {"feed": "parquet", "directory": str(folder / "feed"), "tables": ["runs"]},
    ]


def write_catalog(folder: Path, *, requests: int = 40, **urls: str) -> None:
    """A suite of the schedule nightly that measures each of `urls` at two levels."""
    folder.mkdir()
    what = AdHoc(
        endpoint={"url": "http://replaced", "model": "reference", "timeout_s": 5.0},
        workload={"input_tokens": 50, "output_tokens": 8},
        load={"concurrency": [1, 2], "requests": requests, "warmup_requests": 2},
        name="e",
    )
    write_adhoc(what, STARTER, folder)
    [described] = yaml.safe_load((folder / "endpoints.yaml").read_text()).values()
    (folder / "endpoints.yaml").write_text(
        yaml.safe_dump({name: described | {"url": url} for name, url in urls.items()})
    )
    [(name, suite)] = yaml.safe_load((folder / "suites.yaml").read_text()).items()
    suite |= {"schedule": "nightly"}
    suite["measure"][0]["endpoints"] = sorted(urls)
    (folder / "suites.yaml").write_text(yaml.safe_dump({name: suite}))


def _until_healthy(api: str) -> None:
    deadline = time.monotonic() + 300
    while True:
        try:
            httpx.get(f"{api}/health", timeout=2, verify=False).raise_for_status()
            return
        except httpx.HTTPError:
            assert time.monotonic() < deadline, "the Prefect server did not start"
            time.sleep(0.5)


@pytest.fixture(scope="module")
def killed_holders() -> list[str]:
    """Limits whose holder was killed while the tests of this file went on."""
    return []


def asked(environ: dict[str, str], path: str, method: str = "POST", **body: Any) -> Any:
    """The answer of the server's API; asked again where its database is locked (503), as Prefect's own client does."""
    # over plain HTTP: to read certificates that nobody uses would take longer than the answer
    with httpx.Client(base_url=environ["PREFECT_API_URL"], timeout=120, verify=False) as client:
        for pause_s in (1, 2, 4, 8, 16, 0):
            answer = client.request(method, path, json=body)
            if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                break
            time.sleep(pause_s)
    answer.raise_for_status()
    return answer.json() if answer.content else None


ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def runs(environ: dict[str, str], deployment: str, log: Path, *states: str) -> list[dict[str, Any]]:
    """Flow runs of a deployment in any of these states, ended where none is named, once there is one; the oldest first."""
    deadline = time.monotonic() + 500
    while True:
        found = asked(
            environ,
            "flow_runs/filter",
            deployments={"name": {"any_": [deployment]}},
            flow_runs={"state": {"type": {"any_": states or ENDED}}},
            sort="EXPECTED_START_TIME_ASC",
        )
        if found:
            return list(found)
        assert time.monotonic() < deadline, f"no run of {deployment} is {states or 'over'}\n{log.read_text()}"
        time.sleep(1)


@contextmanager
def unchained(environ: dict[str, str]) -> Iterator[None]:
    """In the block no event starts a build, a report or a feed: they would only keep the worker busy."""
    chain = [found["id"] for found in asked(environ, "automations/filter") if found["enabled"]]
    for automation in chain:
        asked(environ, f"automations/{automation}", "PATCH", enabled=False)
    yield
    for automation in chain:
        asked(environ, f"automations/{automation}", "PATCH", enabled=True)


def prefect(environ: dict[str, str], folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [PREFECT, "--no-prompt", *arguments], env=environ | {"PWD": str(folder)}, cwd=folder, capture_output=True,
        text=True, timeout=150,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def worker(server: dict[str, str], clone: Path) -> Iterator[Path]:
    """A worker of the pool; yields its log."""
    log = clone / "worker.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [PREFECT, "worker", "start", "--pool", "ratecard"],
            env=server | {"PREFECT_WORKER_QUERY_SECONDS": "2"},
            cwd=clone,
            stdout=file,
            stderr=file,
        )
        yield log
        process.terminate()
        process.wait(60)


def test_all_deployments_are_made(server: dict[str, str], clone: Path) -> None:
    made = {found["name"]: found for found in asked(server, "deployments/filter")}
    assert set(made) >= {
        "nightly",
        "canary",
        "weekly-saturation",
        "build",
        "report",
        "feeds",
        "rebuild",
        "retention",
        "demo",
        "shard",
    }
    slugs = {name: [schedule["slug"] for schedule in found["schedules"]] for name, found in made.items()}
    assert (slugs["nightly"], slugs["canary"], slugs["weekly-saturation"]) == (["nightly"], ["hourly"], ["sunday"])
    assert made["canary"]["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    [of_the_schedule] = [schedule["parameters"]["parameters"] for schedule in made["weekly-saturation"]["schedules"]]
    assert of_the_schedule == {"schedule": "weekly-saturation", "publish": False, "wait_s": 7200, "late_h": 48}


HOLD = """
import asyncio, io
from rich.console import Console
from flows.progress import Progress
from flows.slots import endpoint_slot

async def hold():
    async with endpoint_slot("held", wait_s=0, stop=asyncio.Event(), progress=Progress(Console(file=io.StringIO()))):
        print("held", flush=True)
        await asyncio.sleep(600)

asyncio.run(hold())
"""


async def test_a_slot_is_one_load_s_until_its_holder_is_gone_a_while(
    server: dict[str, str], killed_holders: list[str]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], env=server, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        progress = Progress(Console(file=io.StringIO()))
        async with prefect_at(server["PREFECT_API_URL"]):
            with pytest.raises(EndpointBusyError, match="prefect gcl update ratecard-endpoint-held --active-slots 0"):
                async with endpoint_slot("held", wait_s=0, stop=asyncio.Event(), progress=progress):
                    pass
        holder.kill()
    killed_holders.append("ratecard-endpoint-held")  # the last test looks whether it came free


def test_a_schedule_a_worker_and_the_events_make_a_night_although_one_endpoint_is_down(
    server: dict[str, str], clone: Path, worker: Path
) -> None:
    due = runs(server, "nightly", worker, "RUNNING", *ENDED)[0]
    asked(server, f"deployments/{due['deployment_id']}/pause_deployment")  # one night is enough
    first = runs(server, "nightly", worker)[0]
    assert first["state"]["type"] == "FAILED", worker.read_text()
    assert "connect_error" in first["state"]["message"]
    assert "_up_" not in first["state"]["message"]
    assert {run["state"]["type"] for name in ("build", "report") for run in runs(server, name, worker)} == {"COMPLETED"}

    home = Home(clone / "data")
    night = datetime.fromisoformat(first["expected_start_time"]).replace(tzinfo=None)
    measured = ask(home, f"select endpoint, status from runs where night = '{night}' order by endpoint").rows
    assert measured == [("down", "failed"), ("up", "complete")], worker.read_text()
    assert home.report.exists()

    shown = {found["key"]: found for found in asked(server, "artifacts/latest/filter")}
    rows = {row["endpoint"]: row for row in json.loads(shown["night"]["data"])}
    assert (rows["up"]["status"], rows["down"]["status"]) == ("complete", "failed")
    assert "is the server up" in rows["down"]["message"]
    assert {"rate-card", "ledger", "moved", "regressions", "report"} <= shown.keys()

    # a feed that fails is a failed run of its own: measuring, build, report and the other feed know nothing of it
    carried = runs(server, "feeds", worker)[0]["state"]
    assert (carried["type"], "dsn_env NOT_SET" in carried["message"]) == ("FAILED", True), carried
    assert list((clone / "feed" / "runs").glob("run_date=*/part-*.parquet"))

    limits = {found["name"]: found for found in asked(server, "v2/concurrency_limits/filter")}
    assert [limits[f"ratecard-endpoint-{name}"]["limit"] for name in ("up", "down")] == [1, 1]
    assert [limits[f"ratecard-endpoint-{name}"]["active_slots"] for name in ("up", "down")] == [0, 0]

    made = {"event": {"name": ["prefect.asset.materialization.succeeded"]}, "order": "ASC"}
    keys = [event["resource"]["prefect.resource.id"] for event in asked(server, "events/filter", filter=made)["events"]]
    assert any(key.endswith("/raw/up") for key in keys), keys
    assert any(key.endswith("warehouse.duckdb/curated/cost_per_million_tokens") for key in keys), keys


async def test_a_night_that_starts_hours_late_and_twice_is_the_night_that_was_scheduled(
    server: dict[str, str], clone: Path, worker: Path
) -> None:
    from prefect.deployments import arun_deployment

    due = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=5)
    async with prefect_at(server["PREFECT_API_URL"]):
        asked_for = [
            arun_deployment("night/nightly", scheduled_time=due, timeout=500, poll_interval=1) for _ in range(2)
        ]
        with unchained(server):
            await asyncio.gather(*asked_for)
    attempts = [m.run for m in manifests.read_all(Home(clone / "data")) if m.run["night"] == f"{due:%Y-%m-%dT%H:%M:%S}"]
    assert [run["attempt"] for run in attempts if run["endpoint"] == "up"] == [1]
    assert [run["attempt"] for run in attempts if run["endpoint"] == "down"] == [1, 2]


async def test_shards_run_by_a_deployment_are_one_level_and_a_stop_lands_what_they_have(
    server: dict[str, str], worker: Path, tmp_path: Path, reference: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.flows.runs import Night

    monkeypatch.setattr("flows.levels.START_AFTER_S", 0.0)  # at once: nobody compares the machines' starts here
    night = Night(Home(tmp_path / "home"), monkeypatch)
    load = Load(concurrency=[2, 200], requests=40, warmup_requests=2, shards=2, run_by="shard/shard")

    async def stop_in_the_second_level() -> None:
        while len(list(night.home.incoming.glob("*/a1-l002-s*.parquet*.tmp"))) < 2:
            await asyncio.sleep(0.1)
        night.stop.set()

    stopper = asyncio.create_task(stop_in_the_second_level())
    async with prefect_at(server["PREFECT_API_URL"]):
        outcome = await asyncio.wait_for(night.measure(reference("--slots", "2"), load), 400)
    await stopper
    assert outcome.status == "interrupted", f"{outcome}\n{worker.read_text()}"
    [manifest] = manifests.read_all(night.home)
    assert [(level["shards"], level["status"]) for level in manifest.levels] == [(2, "complete"), (2, "interrupted")]
    build(night.home)
    points = "select level_index, shards, requests from operating_points where level_index = 1"
    assert ask(night.home, points).rows == [(1, 2, 40)]
    assert not list(night.home.incoming.iterdir())


class _Inbox(BaseHTTPRequestHandler):
    """What was posted, in the server's `told`."""

    def do_POST(self) -> None:
        self.server.told.append(self.rfile.read(int(self.headers["content-length"])).decode())  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def inbox() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), _Inbox) as server:
        server.told = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


TELL = """
import asyncio, sys
from prefect import flow
from flows.alerts import tell_changes

@flow
async def told(home: str) -> list[str]:
    return await tell_changes(home)

print(*asyncio.run(told(sys.argv[1])), sep="\\n")
"""


async def test_a_regression_is_an_event_once_and_the_automation_of_the_docs_notifies(
    server: dict[str, str], inbox: HTTPServer, tmp_path: Path
) -> None:
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    home = Home(tmp_path / "home")
    land(home, History(nights=9, noise=0.0, planted=Planted(steps={8: 1.2}, engine_version={8: "2.0"})))
    build(home)
    async with prefect_at(server["PREFECT_API_URL"]):
        block = CustomWebhookNotificationBlock(
            name="inbox", url=f"http://127.0.0.1:{inbox.server_port}", json_data={"text": "{{subject}}: {{body}}"}
        )
        saved = await block.save("inbox")
    automation = (ROOT / "docs" / "regression-automation.yaml").read_text()
    (tmp_path / "automation.yaml").write_text(automation.replace("BLOCK_DOCUMENT_ID", str(saved)))
    prefect(server, tmp_path, "automation", "create", "--from-file", "automation.yaml")

    def tell() -> str:
        command = [sys.executable, "-c", TELL, str(home.root)]
        done = subprocess.run(command, env=server, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    line = tell()
    assert line.startswith("e0 x w, SLO slo: worse since 2026-01-09: 20.0% more GPU time for the same work")
    assert "engine_version: 1.0 -> 2.0" in line
    assert tell() == "", "told once, although the night ran twice"

    deadline = time.monotonic() + 60
    while not inbox.told:  # type: ignore[attr-defined]
        assert time.monotonic() < deadline, "the automation did not notify"
        time.sleep(0.2)
    [posted] = inbox.told  # type: ignore[attr-defined]
    assert json.loads(posted)["text"] == f"Ratecard: e0 x w, SLO slo got worse: {line}"
    found = asked(server, "events/filter", filter={"event": {"name": ["ratecard.regression.found"]}})
    [event] = found["events"]
    assert event["resource"]["ratecard.endpoint"] == "e0" and event["resource"]["ratecard.cause"] == "performance"
    assert event["payload"]["regression_id"] == "e0/w/slo/gpu_seconds@2026-01-09T02:00:00"
    assert event["payload"]["performance_change_share"] == pytest.approx(0.2)
    shown = asked(server, "artifacts/filter", artifacts={"key": {"any_": ["regressions"]}})
    assert any(line in artifact["data"] for artifact in shown)


def test_the_slot_of_a_holder_that_was_killed_has_come_free(server: dict[str, str], killed_holders: list[str]) -> None:
    [name] = killed_holders
    deadline = time.monotonic() + LEASE_S + 60
    while {limit["name"]: limit["active_slots"] for limit in asked(server, "v2/concurrency_limits/filter")}[name]:
        assert time.monotonic() < deadline, "the lease did not end"
        time.sleep(1)
